/** What goes on while a recovery does, and recoveries that are interrupted. */
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { dataKey, outboardKey, tagKey } from '../../../src/store/object/layout.ts'
import { Metadata } from '../../../src/store/object/metadata/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import {
  gate,
  groups,
  keysOf,
  MIB,
  receive,
  type SampleBlob,
  sampleBlob,
  serve,
  startReceiving,
  testFolder,
  testStore,
  until,
  WatchedStorage
} from './support.ts'

/** A blob that is listed before the other. */
function inOrder(size: number): [SampleBlob, SampleBlob] {
  const two = [sampleBlob(size, 1), sampleBlob(size, 2)]
  two.sort((a, b) => (a.hash.toBase32() < b.hash.toBase32() ? -1 : 1))
  return two as [SampleBlob, SampleBlob]
}

/**
 * A storage whose first blob is there, and a store whose recovery of the first stands still until told, when the second has been
 * listed already.
 */
async function standingStill(prepare: (storage: WatchedStorage, second: SampleBlob) => Promise<void>) {
  const [first, second] = inOrder(3 * MIB)
  const storage = new WatchedStorage()
  {
    await using before = await testStore(storage)
    await before.addBytes(first.data)
  }
  await prepare(storage, second)
  const store = await testStore(storage)
  const door = gate()
  storage.before = async ({ method, key }) => {
    if (method === 'read' && key === dataKey(first.hash)) await door.pass()
  }
  return { first, second, storage, store, door }
}

describe.each([false, true])('while a recovery goes on (fast: %s)', fast => {
  it('a blob that was listed half stays when it has become whole', async () => {
    const { first, second, storage, store, door } = await standingStill(async (storage, second) => {
      await storage.put(outboardKey(second.hash), [new Uint8Array(64)])
    })
    const recovering = store.recoverFromStorage({ fast, concurrency: 1 })
    await door.reached
    await store.addBytes(second.data)
    door.open()
    expect(await recovering).toMatchObject({ complete: 2, corrupt: 0, orphaned: 0, lost: 0 })
    for (const { hash, size } of [first, second]) {
      expect(await store.status(hash)).toEqual({ state: 'complete', size })
      await serve(store, hash)
    }
    expect(storage.count('move')).toBe(0)
  })

  it('a blob that was listed whole does not come back when it was deleted', async () => {
    const { second, storage, store, door } = await standingStill(async (storage, second) => {
      await using before = await testStore(storage)
      await before.addBytes(second.data)
    })
    const recovering = store.recoverFromStorage({ fast, concurrency: 1 })
    await door.reached
    expect(await store.delete(second.hash)).toBe(true)
    door.open()
    expect(await recovering).toMatchObject({ complete: 1, corrupt: 0 })
    expect(await store.status(second.hash)).toEqual({ state: 'absent' })
    expect(await Array.fromAsync(store.list())).toHaveLength(1)
    expect(await keysOf(storage, `blobs/${second.hash.toBase32()}`)).toEqual([])
  })

  it('what has arrived since a partial blob was listed stays', async () => {
    const { second, store, door } = await standingStill(async (storage, second) => {
      await using before = await testStore(storage)
      await receive(before, second, groups(0, 2))
    })
    const recovering = store.recoverFromStorage({ fast, concurrency: 1 })
    await door.reached
    await receive(store, second, groups(10, 12))
    door.open()
    expect(await recovering).toMatchObject({ complete: 1, partial: 1, corrupt: 0, orphaned: 0 })
    expect(await store.status(second.hash)).toMatchObject({ ranges: groups(0, 2).union(groups(10, 12)) })
    await serve(store, second.hash)
  })

  it('a partial blob that has become whole since it was listed is whole', async () => {
    const { second, store, door } = await standingStill(async (storage, second) => {
      await using before = await testStore(storage)
      await receive(before, second, groups(0, 2))
    })
    const recovering = store.recoverFromStorage({ fast, concurrency: 1 })
    await door.reached
    await receive(store, second, ChunkRanges.all)
    door.open()
    expect(await recovering).toMatchObject({ complete: 2, partial: 0, corrupt: 0 })
    expect(await store.status(second.hash)).toEqual({ state: 'complete', size: second.size })
    await serve(store, second.hash)
  })

  it('who writes a blob goes on', async () => {
    const storage = new WatchedStorage()
    const blob = sampleBlob(3 * MIB)
    const store = await testStore(storage)
    const writer = await startReceiving(store, blob, groups(0, 100))
    expect(await store.recoverFromStorage({ fast })).toMatchObject({ corrupt: 0 })
    const rest = await startReceiving(store, blob, groups(100, 192))
    await writer.close()
    expect(await rest.close()).toEqual({ state: 'complete', size: blob.size })
  })

  it('nothing of what others add and delete is lost or comes back', async () => {
    const storage = new MemoryStorage()
    const old = Array.from({ length: 60 }, (_, i) => sampleBlob(20_000 + i, i + 1))
    {
      await using before = await testStore(storage)
      for (const { data } of old) await before.addBytes(data)
    }
    const store = await testStore(storage)
    const recovering = store.recoverFromStorage({ fast })
    const added: SampleBlob[] = []
    for (let i = 0; i < 60; i++) {
      const blob = sampleBlob(30_000 + i, 100 + i)
      await store.addBytes(blob.data)
      added.push(blob)
      if (i % 2 === 0) await store.delete(old[i]!.hash)
      await store.tags.set(`${i}`, { hash: blob.hash, format: 'raw' })
    }
    await recovering
    for (const { hash } of added) expect(await store.status(hash)).toMatchObject({ state: 'complete' })
    for (const [i, { hash }] of old.entries()) {
      expect(await store.status(hash)).toMatchObject({ state: i % 2 === 0 ? 'absent' : 'complete' })
    }
    expect(await Array.fromAsync(store.tags.list())).toHaveLength(60)
    expect(await Array.fromAsync(store.list())).toHaveLength(90)
  })

  it('another process of the same database goes on receiving', async () => {
    const dbPath = join(await testFolder(), 'blobs.db')
    const { second, storage, door } = await standingStill(async () => undefined)
    const store = await testStore(storage, { dbPath })
    const other = await testStore(storage, { dbPath })
    await receive(other, second, groups(0, 2))
    const recovering = store.recoverFromStorage({ fast, concurrency: 1 })
    await door.reached
    await receive(other, second, groups(7, 9))
    door.open()
    await recovering
    expect(await store.status(second.hash)).toMatchObject({ ranges: groups(0, 2).union(groups(7, 9)) })
  })
})

it('what another process of the same database receives while a partial blob is read through stays', async () => {
  const dbPath = join(await testFolder(), 'blobs.db')
  const storage = new WatchedStorage()
  const blob = sampleBlob(3 * MIB)
  const store = await testStore(storage, { dbPath })
  const other = await testStore(storage, { dbPath })
  await receive(other, blob, groups(0, 2))
  const door = gate()
  storage.before = async ({ method, key }) => {
    if (method === 'read' && key.includes('partial')) await door.pass()
  }
  const recovering = store.recoverFromStorage()
  await door.reached
  await receive(other, blob, groups(7, 9))
  door.open()
  expect(await recovering).toMatchObject({ partial: 1, corrupt: 0 })
  expect(await store.status(blob.hash)).toMatchObject({ ranges: groups(0, 2).union(groups(7, 9)) })
})

describe('tags while a recovery goes on', () => {
  it.each([
    ['set', 'hash_seq'],
    ['deleted', undefined]
  ] as const)('one that is %s after it was listed stays so', async (_, format) => {
    const storage = new WatchedStorage()
    const { hash } = sampleBlob(1)
    {
      await using before = await testStore(storage)
      await before.tags.set('a', { hash, format: 'raw' })
    }
    const store = await testStore(storage)
    await store.tags.set('a', { hash, format: 'raw' })
    const door = gate()
    storage.before = async ({ method, key }) => {
      if (method === 'read' && key === tagKey('a')) await door.pass()
    }
    const recovering = store.recoverFromStorage()
    await door.reached
    // The tag's turn comes after the recovery's, so what the recovery finds is old by then.
    const changing = format === undefined ? store.tags.delete('a') : store.tags.set('a', { hash, format })
    door.open()
    await Promise.all([recovering, changing])
    expect((await store.tags.get('a'))?.format).toBe(format)
  })

  it('one that was deleted or made longer between listing and reading is no failure', async () => {
    const storage = new WatchedStorage()
    const { hash } = sampleBlob(1)
    {
      await using before = await testStore(storage)
      for (const name of ['a', 'b', 'c']) await before.tags.set(name, { hash, format: 'raw' })
    }
    const store = await testStore(storage)
    const change = async (): Promise<void> => {
      await using other = await testStore(new WatchedStorage(storage.inner))
      for (const name of ['b', 'c']) await other.tags.set(name, { hash, format: 'hash_seq' })
      await storage.inner.delete([tagKey('a')])
    }
    let changing: Promise<void> | undefined
    storage.before = async ({ method }) => {
      if (method !== 'read') return
      changing ??= change()
      await changing
    }
    expect(await store.recoverFromStorage()).toMatchObject({ tags: 2, corrupt: 0 })
    expect((await Array.fromAsync(store.tags.list())).map(({ format }) => format)).toEqual([
      'hash_seq',
      'hash_seq'
    ])
  })
})

describe('a recovery that is interrupted', () => {
  async function manyBlobs() {
    const storage = new WatchedStorage()
    const blobs = Array.from({ length: 40 }, (_, i) => sampleBlob(1000 + i, i + 1))
    blobs.sort((a, b) => (a.hash.toBase32() < b.hash.toBase32() ? -1 : 1))
    {
      await using before = await testStore(storage)
      for (const { data } of blobs) await before.addBytes(data)
      await before.tags.set('a', { hash: blobs[0]!.hash, format: 'raw' })
    }
    await storage.put('blobs/000', [])
    const dbPath = join(await testFolder(), 'blobs.db')
    return { storage, blobs, dbPath }
  }

  const all = { complete: 40, partial: 0, repaired: 0, corrupt: 0, failed: 0, orphaned: 1, lost: 0, tags: 1 }

  it.each([1, 5])('goes on where it was, and counts nothing twice (%i at a time)', async concurrency => {
    const { storage, blobs, dbPath } = await manyBlobs()
    const bytes = blobs.reduce((sum, { size }) => sum + size, 0)
    let store = await testStore(storage, { dbPath })
    const reason = new Error('enough')
    const stop = new AbortController()
    // One of the first stands still while others that come after it are done.
    storage.before = async ({ method, key }, signal) => {
      if (method !== 'read' || key !== dataKey(blobs[10]!.hash)) return
      if (concurrency > 1) await until(() => storage.count('read', /blobs/) >= 20)
      stop.abort(reason)
      signal?.throwIfAborted()
    }
    await expect(store.recoverFromStorage({ signal: stop.signal, concurrency })).rejects.toBe(reason)
    await store.close()
    storage.before = undefined
    storage.calls.length = 0
    store = await testStore(storage, { dbPath })
    expect(store.notices).toHaveLength(1)
    expect(await store.recoverFromStorage({ concurrency })).toEqual({
      ...all,
      bytesRead: bytes,
      quarantined: [],
      orphans: expect.any(Array)
    })
    expect(storage.count('read', /blobs/)).toBe(30)
    // Tags are few, and may have changed since.
    expect(storage.count('read', /tags/)).toBe(1)
    expect(await Array.fromAsync(store.list())).toHaveLength(40)
  })

  it('does not go on in another storage, nor after a day', async () => {
    for (const what of ['another storage', 'a day later']) {
      const { storage, blobs, dbPath } = await manyBlobs()
      const store = await testStore(storage, { dbPath })
      const stop = new AbortController()
      storage.before = ({ method, key }) => {
        if (method === 'read' && key === dataKey(blobs[30]!.hash)) stop.abort()
      }
      await expect(store.recoverFromStorage({ signal: stop.signal })).rejects.toThrow()
      await store.close()
      storage.before = undefined
      const elsewhere = Object.assign(new WatchedStorage(storage.inner), { name: 'elsewhere' })
      if (what === 'another storage') {
        const other = await testStore(elsewhere, { dbPath })
        expect(await other.recoverFromStorage()).toMatchObject(all)
        continue
      }
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 25 * 60 * 60 * 1000 })
      try {
        storage.calls.length = 0
        expect(await (await testStore(storage, { dbPath })).recoverFromStorage()).toMatchObject(all)
        expect(storage.count('read', /blobs/)).toBe(40)
      } finally {
        vi.useRealTimers()
      }
    }
  })

  it('begins anew when told, and when it is of another kind', async () => {
    for (const options of [{ restart: true }, { fast: true }]) {
      const { storage, blobs, dbPath } = await manyBlobs()
      const store = await testStore(storage, { dbPath })
      const stop = new AbortController()
      storage.before = ({ method, key }) => {
        if (method === 'read' && key === dataKey(blobs[30]!.hash)) stop.abort()
      }
      await expect(store.recoverFromStorage({ signal: stop.signal })).rejects.toThrow()
      storage.before = undefined
      storage.calls.length = 0
      expect(await store.recoverFromStorage(options)).toMatchObject(all)
      expect(storage.count('read', /blobs/)).toBe(40)
    }
  })

  it('begins anew when it was done', async () => {
    const { storage, dbPath } = await manyBlobs()
    const store = await testStore(storage, { dbPath })
    for (let i = 0; i < 2; i++) expect(await store.recoverFromStorage()).toMatchObject(all)
  })

  it('begins anew when its note cannot be read', async () => {
    const { storage, dbPath } = await manyBlobs()
    {
      using metadata = Metadata.open(dbPath)
      metadata.setFact('recovery', '{"fast":false,"after":7}')
    }
    const store = await testStore(storage, { dbPath })
    expect(await store.recoverFromStorage()).toMatchObject(all)
  })

  it('by a failing storage tells of it, and goes on later', async () => {
    const { storage, blobs, dbPath } = await manyBlobs()
    const store = await testStore(storage, { dbPath })
    storage.before = ({ method, key }) => {
      if (method === 'read' && key === dataKey(blobs[20]!.hash)) throw new Error('out of order')
    }
    await expect(store.recoverFromStorage()).rejects.toThrow('out of order')
    storage.before = undefined
    expect(await store.recoverFromStorage()).toMatchObject(all)
  })

  it('by the end of the store ends with it', async () => {
    const { storage, blobs, dbPath } = await manyBlobs()
    const store = await testStore(storage, { dbPath })
    const door = gate()
    storage.before = async ({ method, key }) => {
      if (method === 'read' && key === dataKey(blobs[20]!.hash)) await door.pass()
    }
    const recovering = store.recoverFromStorage()
    const failing = expect(recovering).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' })
    await door.reached
    const closing = store.close()
    door.open()
    await failing
    await closing
  })
})

describe('two recoveries at once', () => {
  it('come one after the other', async () => {
    const storage = new WatchedStorage()
    {
      await using before = await testStore(storage)
      for (let i = 0; i < 10; i++) await before.addBytes(sampleBlob(100, i + 1).data)
    }
    const store = await testStore(storage)
    const [a, b] = await Promise.all([store.recoverFromStorage(), store.recoverFromStorage()])
    expect(a).toEqual(b)
    expect(a).toMatchObject({ complete: 10, bytesRead: 1000 })
  })
})

describe('a new database for a storage that has blobs', () => {
  it('tells so, and serves what it does not know, until it is recovered', async () => {
    const storage = new WatchedStorage()
    const whole = sampleBlob(MIB)
    const part = sampleBlob(20 * MIB, 2)
    {
      await using before = await testStore(storage)
      await before.addBytes(whole.data)
      await receive(before, part, groups(0, 3))
    }
    const dbPath = join(await testFolder(), 'blobs.db')
    let store = await testStore(storage, { dbPath })
    expect(store.notices).toEqual([expect.stringContaining('blobs recover')])
    expect(await Array.fromAsync(store.list())).toEqual([])
    expect(await store.status(whole.hash)).toEqual({ state: 'complete', size: whole.size })
    expect(await serve(store, whole.hash)).toBeGreaterThan(whole.size)
    await receive(store, part, groups(3, 5))
    expect(await store.status(part.hash)).toMatchObject({ ranges: groups(0, 5) })
    await store.close()

    store = await testStore(storage, { dbPath })
    expect(store.notices).toHaveLength(1)
    await store.recoverFromStorage()
    storage.calls.length = 0
    expect(await store.status(sampleBlob(5).hash)).toEqual({ state: 'absent' })
    expect(storage.calls).toEqual([])
    await store.close()

    store = await testStore(storage, { dbPath })
    expect(store.notices).toEqual([])
    expect(await Array.fromAsync(store.list())).toHaveLength(2)
  })

  it('a deleted blob that nobody has asked for is gone from the storage', async () => {
    const storage = new WatchedStorage()
    const blob = sampleBlob(MIB)
    {
      await using before = await testStore(storage)
      await before.addBytes(blob.data)
    }
    const store = await testStore(storage)
    expect(await store.delete(blob.hash)).toBe(true)
    expect(await keysOf(storage, 'blobs/')).toEqual([])
    expect(await store.delete(blob.hash)).toBe(false)
  })

  it('knows all of a storage that has none, and goes on knowing when blobs are left over', async () => {
    const storage = new WatchedStorage()
    const dbPath = join(await testFolder(), 'blobs.db')
    await storage.put('blobs/foreign', [])
    {
      await using first = await testStore(storage, { dbPath })
      expect(first.notices).toEqual([])
    }
    await storage.put(outboardKey(sampleBlob(MIB).hash), [])
    const store = await testStore(storage, { dbPath })
    expect(store.notices).toEqual([])
  })
})
