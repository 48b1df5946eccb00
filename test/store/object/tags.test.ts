/** Tags as objects. What a store promises of tags is in the compliance suite. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tagKey } from '../../../src/store/object/layout.ts'
import { decodeTag, encodeTag, MAX_TAG_BYTES } from '../../../src/store/object/tags.ts'
import { checkTagName } from '../../../src/store/tag-names.ts'
import { contentOf, gate, keysOf, sampleBlob, testStore, WatchedStorage } from './support.ts'

const { hash } = sampleBlob(1)
const other = sampleBlob(2).hash

const ODD_NAMES = [
  'a',
  ' ',
  '../../etc/passwd',
  'a/b//c',
  '\u0001\u001f\u007f',
  '"quoted" \\ {}',
  'é',
  'e\u0301',
  '日本語 🏳️‍🌈',
  '\ufeffmark',
  '__proto__',
  '\u0001'.repeat(1024),
  'x'.repeat(1024),
  '💣'.repeat(256)
]

const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }).filter(text => {
  try {
    checkTagName(text)
    return true
  } catch {
    return false
  }
})

describe('a tag as an object', () => {
  it.each(ODD_NAMES)('comes back, whatever its name is (%j)', async text => {
    const storage = new WatchedStorage()
    {
      await using before = await testStore(storage)
      await before.tags.set(text, { hash, format: 'hash_seq' })
    }
    const store = await testStore(storage)
    expect(await store.recoverFromStorage()).toMatchObject({ tags: 1, corrupt: 0 })
    expect(await Array.fromAsync(store.tags.list())).toEqual([{ name: text, hash, format: 'hash_seq' }])
    expect(await store.tags.delete(text)).toBe(true)
    expect(await keysOf(storage)).toEqual([])
  })

  it('comes back with any name, and is never longer than is read', () => {
    fc.assert(
      fc.property(name, fc.constantFrom('raw', 'hash_seq'), (text, format) => {
        const bytes = encodeTag({ name: text, hash, format })
        expect(bytes.length).toBeLessThanOrEqual(MAX_TAG_BYTES)
        expect(decodeTag(bytes)).toEqual({ name: text, hash, format })
        expect(tagKey(text)).toMatch(/^tags\/[a-z2-7]{52}$/)
      })
    )
  })

  it('is nothing when it is anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        expect(decodeTag(bytes)).toBeUndefined()
      })
    )
    const right = { name: 'a', hash: hash.toString(), format: 'raw' }
    const wrong = [
      { ...right, name: '' },
      { ...right, name: 'x'.repeat(1025) },
      { ...right, name: 'a\0' },
      { ...right, hash: 'abc' },
      { ...right, format: 'other' },
      { ...right, more: 1 },
      { name: 'a', format: 'raw' },
      [right],
      null
    ]
    for (const value of wrong) expect(decodeTag(Buffer.from(JSON.stringify(value)))).toBeUndefined()
    expect(decodeTag(Buffer.from(JSON.stringify(right)))).toBeDefined()
  })
})

describe('the object comes before the row', () => {
  it('a tag that cannot be put is not set', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await store.tags.set('old', { hash, format: 'raw' })
    storage.before = ({ method }) => {
      if (method === 'put' || method === 'delete') throw new Error('out of order')
    }
    await expect(store.tags.set('new', { hash, format: 'raw' })).rejects.toThrow('out of order')
    await expect(store.tags.set('old', { hash: other, format: 'raw' })).rejects.toThrow('out of order')
    await expect(store.tags.delete('old')).rejects.toThrow('out of order')
    expect(await Array.fromAsync(store.tags.list())).toEqual([{ name: 'old', hash, format: 'raw' }])
  })

  it('a tag that is set is in the storage, one that is deleted is not', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const seen: unknown[] = []
    storage.before = async ({ method }) => {
      if (method === 'put' || method === 'delete') seen.push(await store.tags.get('a'))
    }
    await store.tags.set('a', { hash, format: 'raw' })
    expect(decodeTag(await contentOf(storage, tagKey('a')))).toEqual({ name: 'a', hash, format: 'raw' })
    await store.tags.set('a', { hash: other, format: 'raw' })
    await store.tags.delete('a')
    expect(await keysOf(storage)).toEqual([])
    expect(seen).toEqual([
      undefined,
      { name: 'a', hash, format: 'raw' },
      { name: 'a', hash: other, format: 'raw' }
    ])
  })

  it('the storage says what the index says, however many set and delete a tag at once', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    storage.before = async () => await new Promise(resolve => setTimeout(resolve, Math.random() * 5))
    const hashes = [hash, other]
    await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        i % 5 === 4 ? store.tags.delete('a') : store.tags.set('a', { hash: hashes[i % 2]!, format: 'raw' })
      )
    )
    storage.before = undefined
    const before = await store.tags.get('a')
    await store.recoverFromStorage()
    expect(await store.tags.get('a')).toEqual(before)
  })

  it('the end of the store ends a put that hangs', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const door = gate()
    storage.before = async ({ method }, signal) => {
      if (method !== 'put') return
      signal?.addEventListener('abort', door.open)
      await door.pass()
      signal?.throwIfAborted()
    }
    const setting = expect(store.tags.set('a', { hash, format: 'raw' })).rejects.toMatchObject({
      code: 'ERR_STORE_CLOSED'
    })
    await door.reached
    await store.close()
    await setting
  })
})
