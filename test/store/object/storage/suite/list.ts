import { expect } from 'vitest'
import type { ObjectStorage } from '../../../../../src/store/object/storage/index.ts'
import { bytes, inParallel, keysOf, type Test } from './support.ts'

/** Keys whose order is not that of their folders' names: `-` and `.` come before `/`, digits after. */
const TRICKY = [
  'a',
  'b-c/d',
  'b-c.d',
  'b.c/d-e',
  'b/a-a/b',
  'b/a.a',
  'b/a/c',
  'b/a0/0',
  'b/a0/00',
  'b/b/c/d',
  'b/b/c-d',
  'b0',
  'b01a',
  'b_',
  'bb/a',
  'c/-/_',
  'c/_/-'
]

async function putAll(storage: ObjectStorage, keys: readonly string[]): Promise<void> {
  await inParallel(keys, 32, async key => await storage.put(key, [bytes(key.length)]))
}

export function listTests(test: Test): void {
  test('of nothing is empty', async storage => {
    expect(await keysOf(storage)).toEqual([])
    expect(await keysOf(storage, { prefix: 'a/b' })).toEqual([])
  })

  test('has all, in the order of their bytes', async storage => {
    await putAll(storage, TRICKY)
    const infos = await Array.fromAsync(storage.list())
    expect(infos.map(info => info.key)).toEqual(TRICKY.toSorted())
    expect(infos.map(info => info.size)).toEqual(infos.map(info => info.key.length))
  })

  test('has only keys that begin so, and only those after one', async storage => {
    await putAll(storage, TRICKY)
    const sorted = TRICKY.toSorted()
    const ends = [...sorted, 'b', 'b/', 'b-', 'b/a', 'b/a0/', 'b/b/', 'b/b/c', 'c/', 'd', '0', 'b/~', '~']
    for (const prefix of ['', ...ends]) {
      const begun = sorted.filter(key => key.startsWith(prefix))
      expect(await keysOf(storage, { prefix }), `prefix ${prefix}`).toEqual(begun)
      for (const after of ends) {
        const expected = begun.filter(key => key > after)
        expect(await keysOf(storage, { prefix, after }), `${prefix} after ${after}`).toEqual(expected)
      }
    }
  })

  test('finds nothing under prefixes that no key has', async storage => {
    await putAll(storage, ['a/b'])
    for (const prefix of ['..', '../', '/', './', 'a//', 'a/../a', '.temp', '.', 'A']) {
      expect(await keysOf(storage, { prefix }), prefix).toEqual([])
    }
  })

  test('goes on where it was left, over more keys than a page has', async storage => {
    const keys = Array.from({ length: 2600 }, (_, i) => {
      const name = ((i * 7919) % 2600).toString(36)
      return `many/${name}${['-x', '.x', '/x', '/y/z'][i % 4]}`
    })
    await putAll(storage, keys)
    const sorted = keys.toSorted()
    expect(await keysOf(storage)).toEqual(sorted)
    const found: string[] = []
    for (;;) {
      const before = found.length
      for await (const { key } of storage.list({ prefix: 'many/', after: found.at(-1) ?? '' })) {
        found.push(key)
        if (found.length === before + 700) break
      }
      if (found.length === before) break
    }
    expect(found).toEqual(sorted)
    await storage.delete(keys)
    expect(await keysOf(storage)).toEqual([])
  })

  test('goes on when objects come and go meanwhile, and has each of the others once', async storage => {
    const keys = Array.from({ length: 60 }, (_, i) => `k/${String(i).padStart(2, '0')}/x`)
    await putAll(storage, keys)
    const found: string[] = []
    for await (const { key } of storage.list()) {
      found.push(key)
      await storage.delete([keys[50]!])
      await storage.put('k/00/a', [bytes(1)])
      await storage.put('k/99/z', [bytes(1)])
    }
    const stable = keys.filter(key => key !== keys[50])
    expect(found.filter(key => stable.includes(key))).toEqual(stable)
    expect(found).toEqual([...new Set(found)].sort())
  })
}
