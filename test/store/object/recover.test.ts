/** The database is lost, the storage is damaged, or both. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES } from '../../../src/bao/constants.ts'
import { hashBytes } from '../../../src/bao/outboard.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { EMPTY_HASH } from '../../../src/hash.ts'
import { dataKey, outboardKey, partialPrefix, tagKey } from '../../../src/store/object/layout.ts'
import type { RecoveryProgress, RecoveryReport } from '../../../src/store/object/recover/index.ts'
import { StorageAccessError, StorageUnavailableError } from '../../../src/store/object/storage/errors.ts'
import { FilesystemStorage } from '../../../src/store/object/storage/filesystem/index.ts'
import type { ObjectStorage } from '../../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import type { ObjectStore } from '../../../src/store/object/store.ts'
import {
  contentOf,
  cutOff,
  flipByte,
  groups,
  hasContent,
  keysOf,
  MIB,
  receive,
  type SampleBlob,
  sampleBlob,
  serve,
  testFolder,
  testStore,
  WatchedStorage
} from './support.ts'

/** A report of nothing but this. */
function report(found: Partial<Record<keyof RecoveryReport, unknown>>): unknown {
  const none = {
    complete: 0,
    partial: 0,
    repaired: 0,
    corrupt: 0,
    failed: 0,
    orphaned: 0,
    lost: 0,
    tags: 0,
    bytesRead: 0
  }
  return { ...none, quarantined: [], orphans: expect.any(Array), ...found }
}

/** A storage with a blob in it, and a store that knows nothing of it. */
async function afterLossOf(blob: SampleBlob, ranges = ChunkRanges.all) {
  const storage = new WatchedStorage()
  await using before = await testStore(storage)
  if (ranges === ChunkRanges.all) await before.addBytes(blob.data)
  else await receive(before, blob, ranges)
  return storage
}

async function expectAbsent(store: ObjectStore, blob: SampleBlob): Promise<void> {
  expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
  expect(await store.open(blob.hash)).toBeUndefined()
}

async function expectComplete(store: ObjectStore, blob: SampleBlob): Promise<void> {
  expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
  expect(await serve(store, blob.hash)).toBeGreaterThanOrEqual(blob.size)
}

const storages: Record<string, () => Promise<() => Promise<ObjectStorage>>> = {
  memory: async () => {
    const storage = new MemoryStorage()
    return async () => storage
  },
  folder: async () => {
    const folder = await testFolder()
    return async () => await FilesystemStorage.open(folder, { sync: 'none' })
  }
}

describe.each(Object.entries(storages))('recovery from %s', (_, make) => {
  it('brings complete blobs, partial ones and tags back, and they are served', async () => {
    const open = await make()
    const sizes = [1, GROUP_BYTES, GROUP_BYTES + 1, MIB, 3 * MIB + 7, 9 * MIB]
    const blobs = sizes.map((size, i) => sampleBlob(size, i + 1))
    const part = sampleBlob(20 * MIB, 20)
    const held = groups(2, 5).union(groups(600, 640))
    {
      await using before = await testStore(await open())
      for (const blob of blobs) await before.addBytes(blob.data)
      await receive(before, part, held)
      for (const [i, blob] of blobs.entries()) {
        await before.tags.set(`tag ${i}`, { hash: blob.hash, format: i % 2 === 0 ? 'raw' : 'hash_seq' })
      }
    }
    const store = await testStore(await open())
    expect(await Array.fromAsync(store.list())).toEqual([])
    const found = await store.recoverFromStorage()
    expect(found).toMatchObject({
      complete: 6,
      partial: 1,
      repaired: 0,
      corrupt: 0,
      orphaned: 0,
      lost: 0,
      tags: 6
    })
    expect(found.bytesRead).toBeGreaterThan(sizes.reduce((a, b) => a + b))
    for (const blob of blobs) await expectComplete(store, blob)
    expect(await store.status(part.hash)).toEqual({
      state: 'partial',
      size: part.size,
      isSizeProven: false,
      ranges: held
    })
    await serve(store, part.hash)
    const tags = await Array.fromAsync(store.tags.list())
    expect(tags).toEqual(
      blobs.map(({ hash }, i) => ({ name: `tag ${i}`, hash, format: i % 2 === 0 ? 'raw' : 'hash_seq' }))
    )
    expect(await Array.fromAsync(store.list())).toHaveLength(7)
    await receive(store, part, ChunkRanges.all)
    await expectComplete(store, part)
  })

  it('sets data aside that does not match its key, keeps it, and goes on with what is right of it', async () => {
    const open = await make()
    const blob = sampleBlob(MIB)
    const good = sampleBlob(MIB, 2)
    {
      await using before = await testStore(await open())
      await before.addBytes(blob.data)
      await before.addBytes(good.data)
    }
    await flipByte(await open(), dataKey(blob.hash), 500_000)
    const wrong = await contentOf(await open(), dataKey(blob.hash))
    const store = await testStore(await open())
    const { quarantined, ...counts } = await store.recoverFromStorage()
    expect(counts).toMatchObject({ complete: 1, partial: 1, repaired: 0, corrupt: 1, orphaned: 0, lost: 0 })
    expect(quarantined).toEqual([{ key: dataKey(blob.hash), to: expect.stringMatching(/^quarantine\//) }])
    expect(await hasContent(await open(), quarantined[0]!.to, wrong)).toBe(true)
    expect(await store.status(blob.hash)).toMatchObject({
      state: 'partial',
      ranges: groups(0, 64).subtract(groups(30))
    })
    await serve(store, blob.hash)
    await expectComplete(store, good)
    expect(await keysOf(await open(), 'quarantine/')).toHaveLength(2)
    await receive(store, blob, groups(30))
    await expectComplete(store, blob)
  })
})

describe('recovery', () => {
  it('finds nothing in nothing', async () => {
    const store = await testStore(new MemoryStorage())
    expect(await store.recoverFromStorage()).toEqual(report({}))
  })

  it('reads every byte once, and no outboard where there is none', async () => {
    const storage = await afterLossOf(sampleBlob(GROUP_BYTES))
    const store = await testStore(storage)
    storage.calls.length = 0
    expect(await store.recoverFromStorage()).toEqual(report({ complete: 1, bytesRead: GROUP_BYTES }))
    expect(storage.count('read')).toBe(1)
  })

  it.each([
    ['a byte is flipped', async (storage: ObjectStorage, key: string) => await flipByte(storage, key, 700)],
    ['it is cut off', async (storage: ObjectStorage, key: string) => await cutOff(storage, key, 64)],
    ['it is gone', async (storage: ObjectStorage, key: string) => await storage.delete([key])]
  ])('makes an outboard anew when %s', async (_, damage) => {
    for (const fast of [false, true]) {
      const blob = sampleBlob(MIB)
      const storage = await afterLossOf(blob)
      const right = await contentOf(storage, outboardKey(blob.hash))
      await damage(storage, outboardKey(blob.hash))
      const store = await testStore(storage)
      expect(await store.recoverFromStorage({ fast })).toMatchObject({ complete: 1, repaired: 1, corrupt: 0 })
      expect(await hasContent(storage, outboardKey(blob.hash), right)).toBe(true)
      await expectComplete(store, blob)
    }
  })

  it.each([
    ['by a byte', 1],
    ['to whole groups', GROUP_BYTES],
    ['to less than a group', MIB - 10],
    ['to nothing', MIB]
  ])('does not take data for whole that was cut off %s, also when fast', async (_, bytes) => {
    for (const fast of [false, true]) {
      const blob = sampleBlob(MIB)
      const storage = await afterLossOf(blob)
      await cutOff(storage, dataKey(blob.hash), bytes)
      const store = await testStore(storage)
      expect(await store.recoverFromStorage({ fast })).toMatchObject({ complete: 0, corrupt: 1, orphaned: 0 })
      await expectAbsent(store, blob)
      expect(await keysOf(storage, 'blobs/')).toEqual([])
    }
  })

  it('checks small blobs also when fast', async () => {
    const blob = sampleBlob(1000)
    const storage = await afterLossOf(blob)
    await flipByte(storage, dataKey(blob.hash), 0)
    const store = await testStore(storage)
    expect(await store.recoverFromStorage({ fast: true })).toMatchObject({ complete: 0, corrupt: 1 })
  })

  it('reads no more than the outboard and the last group when fast', async () => {
    const blob = sampleBlob(5 * MIB + 3)
    const storage = await afterLossOf(blob)
    const store = await testStore(storage)
    const { outboard } = hashBytes(blob.data)
    expect(await store.recoverFromStorage({ fast: true })).toEqual(
      report({ complete: 1, bytesRead: outboard.length + 3 })
    )
    await expectComplete(store, blob)
  })

  it('believes data in the middle when fast: who reads it finds out, and it is set aside', async () => {
    const blob = sampleBlob(MIB)
    const storage = await afterLossOf(blob)
    await flipByte(storage, dataKey(blob.hash), 5)
    const store = await testStore(storage)
    expect(await store.recoverFromStorage({ fast: true })).toMatchObject({ complete: 1, corrupt: 0 })
    await expect(serve(store, blob.hash)).rejects.toThrow('stored')
    expect(await store.reportDamage(blob.hash)).toMatchObject({ state: 'partial', ranges: groups(1, 64) })
    expect(await keysOf(storage, 'quarantine/')).toHaveLength(2)
  })

  it.each([
    [
      'a byte of its data is flipped',
      async (storage: ObjectStorage, key: string) => await flipByte(storage, key, 3)
    ],
    [
      'a byte of its nodes is flipped',
      async (storage: ObjectStorage, key: string) => await flipByte(storage, key, -3)
    ],
    ['it is cut off', async (storage: ObjectStorage, key: string) => await cutOff(storage, key, 1)]
  ])('sets only the fragment aside of which %s', async (_, damage) => {
    const blob = sampleBlob(20 * MIB)
    const storage = await afterLossOf(blob, groups(1, 3).union(groups(600, 602)))
    const [first] = await keysOf(storage, partialPrefix(blob.hash))
    await damage(storage, first!)
    const store = await testStore(storage)
    const { quarantined, ...counts } = await store.recoverFromStorage()
    expect(counts).toMatchObject({ complete: 0, partial: 1, corrupt: 1, orphaned: 0 })
    expect(quarantined).toMatchObject([{ key: first }])
    expect(await store.status(blob.hash)).toMatchObject({ state: 'partial', ranges: groups(600, 602) })
    await serve(store, blob.hash)
    expect(await keysOf(storage, 'quarantine/')).toHaveLength(1)
  })

  it('keeps of fragments that disagree on the size those with more data', async () => {
    const blob = sampleBlob(20 * MIB)
    const storage = await afterLossOf(blob, groups(1, 5))
    const [key] = await keysOf(storage, partialPrefix(blob.hash))
    const liar = `${partialPrefix(blob.hash)}1000.0-1`
    await storage.put(liar, [new Uint8Array(1000)])
    const store = await testStore(storage)
    expect(await store.recoverFromStorage({ fast: true })).toMatchObject({
      partial: 1,
      orphaned: 1,
      corrupt: 0
    })
    expect(await store.status(blob.hash)).toMatchObject({ size: 20 * MIB })
    expect(await keysOf(storage, partialPrefix(blob.hash))).toEqual([liar, key!])
  })

  it('deletes fragments of blobs that are whole', async () => {
    const blob = sampleBlob(20 * MIB)
    const storage = await afterLossOf(blob, groups(1, 5))
    const [key] = await keysOf(storage, partialPrefix(blob.hash))
    const fragment = await contentOf(storage, key!)
    await using before = await testStore(storage)
    await before.addBytes(blob.data)
    await storage.put(key!, [fragment])
    const store = await testStore(storage)
    expect(await store.recoverFromStorage()).toMatchObject({ complete: 1, partial: 0, orphaned: 0 })
    expect(await keysOf(storage, partialPrefix(blob.hash))).toEqual([])
  })

  it('leaves what is not ours where it is, and counts it', async () => {
    const blob = sampleBlob(1000)
    const storage = await afterLossOf(blob)
    const foreign = [
      'blobs/0',
      `blobs/${blob.hash.toBase32()}/other`,
      `blobs/${blob.hash.toBase32().slice(1)}/data`,
      `blobs/${EMPTY_HASH.toBase32()}/data`,
      `${partialPrefix(sampleBlob(1000, 2).hash)}1-2-3`,
      `${outboardKey(sampleBlob(1000, 3).hash)}`,
      'blobs/zzz',
      'tags/not-a-tag'
    ]
    for (const key of foreign) await storage.put(key, [])
    await storage.put('elsewhere/x', [])
    const store = await testStore(storage)
    const found = await store.recoverFromStorage()
    expect(found).toEqual(report({ complete: 1, orphaned: foreign.length, bytesRead: 1000 }))
    expect(found.orphans.toSorted()).toEqual(foreign.toSorted())
    expect(await keysOf(storage)).toEqual([...foreign, 'elsewhere/x', dataKey(blob.hash)].sort())
    expect(await Array.fromAsync(store.list())).toHaveLength(1)
    expect(await store.status(EMPTY_HASH)).toEqual({ state: 'complete', size: 0 })
  })

  it('takes blobs and tags out of the index whose objects are gone', async () => {
    const blobs = Array.from({ length: 8 }, (_, i) => sampleBlob(1000 + i, i + 1))
    const part = sampleBlob(20 * MIB)
    const storage = new MemoryStorage()
    const store = await testStore(storage)
    for (const { data } of blobs) await store.addBytes(data)
    await receive(store, part, groups(0, 2))
    for (const { hash } of blobs) await store.tags.set(`${hash}`, { hash, format: 'raw' })
    const [gone, other] = blobs as [SampleBlob, SampleBlob]
    await storage.delete([dataKey(gone.hash), dataKey(other.hash), tagKey(`${gone.hash}`)])
    await storage.delete(await keysOf(storage, partialPrefix(part.hash)))
    expect(await store.recoverFromStorage()).toMatchObject({ complete: 6, partial: 0, lost: 4, tags: 7 })
    await expectAbsent(store, gone)
    await expectAbsent(store, part)
    expect(await Array.fromAsync(store.list())).toHaveLength(6)
    expect(await store.tags.get(`${gone.hash}`)).toBeUndefined()
    expect(await store.tags.get(`${other.hash}`)).toBeDefined()
  })

  it('sets tags aside that are damaged or under the key of another', async () => {
    const { hash } = sampleBlob(1)
    const storage = new MemoryStorage()
    {
      await using before = await testStore(storage)
      for (const name of ['good', 'flipped', 'cut', 'huge'])
        await before.tags.set(name, { hash, format: 'raw' })
    }
    await storage.put(tagKey('empty'), [])
    await flipByte(storage, tagKey('flipped'), 12)
    await cutOff(storage, tagKey('cut'), 5)
    await storage.put(tagKey('huge'), [new Uint8Array(10_000).fill(32)])
    await storage.put(tagKey('wrong key'), [await contentOf(storage, tagKey('good'))])
    const store = await testStore(storage)
    const found = await store.recoverFromStorage()
    expect(found).toEqual(report({ tags: 1, corrupt: 5, quarantined: expect.any(Array) }))
    expect(await Array.fromAsync(store.tags.list())).toEqual([{ name: 'good', hash, format: 'raw' }])
    expect(await keysOf(storage, 'tags/')).toHaveLength(1)
    expect(await keysOf(storage, 'quarantine/')).toEqual(found.quarantined.map(({ to }) => to).sort())
    expect(await store.recoverFromStorage()).toEqual(report({ tags: 1 }))
  })

  it('brings what tags say in the storage, not what the index has said', async () => {
    const { hash } = sampleBlob(1)
    const storage = new MemoryStorage()
    const store = await testStore(storage)
    await store.tags.set('a', { hash, format: 'raw' })
    await using other = await testStore(storage)
    await other.tags.set('a', { hash, format: 'hash_seq' })
    await store.recoverFromStorage()
    expect(await store.tags.get('a')).toMatchObject({ format: 'hash_seq' })
  })

  it('tells of each object once, and of no more than it can keep', async () => {
    const storage = new MemoryStorage()
    const { hash } = sampleBlob(1)
    for (let i = 0; i < 1500; i++) await storage.put(tagKey(`${i}`), [])
    const told: string[] = []
    const store = await testStore(storage, { onNotice: message => told.push(message) })
    expect(await store.recoverFromStorage()).toMatchObject({ corrupt: 1500 })
    expect(store.notices).toHaveLength(1001)
    expect(told).toEqual(store.notices)
    expect(told.at(-1)).toMatch('there is more')
    expect(await store.status(hash)).toEqual({ state: 'absent' })
  })

  it('tells how far it is, from nothing to all', async () => {
    const storage = new MemoryStorage()
    {
      await using before = await testStore(storage)
      for (let i = 0; i < 50; i++) await before.addBytes(sampleBlob(100, i + 1).data)
    }
    const store = await testStore(storage)
    const told: RecoveryProgress[] = []
    await store.recoverFromStorage({ onProgress: progress => told.push(progress) })
    const ascending = <T>(values: T[]) => expect(values).toEqual([...values].sort((a, b) => +a - +b))
    ascending(told.map(({ blobs }) => blobs))
    ascending(told.map(({ bytes }) => bytes))
    ascending(told.map(({ position }) => position))
    expect(told.at(-1)).toEqual({ blobs: 50, bytes: 5000, position: 1 })
  })

  it.each([0, -1, 1.5, Number.NaN])('does not look at %d blobs at a time', async concurrency => {
    const store = await testStore(new MemoryStorage())
    await expect(store.recoverFromStorage({ concurrency })).rejects.toThrow(
      'concurrency is a positive number'
    )
  })

  it('looks at so many blobs at a time as it is told', async () => {
    const storage = new WatchedStorage()
    {
      await using before = await testStore(storage)
      for (let i = 0; i < 30; i++) await before.addBytes(sampleBlob(100, i + 1).data)
    }
    const store = await testStore(storage)
    let now = 0
    let most = 0
    const allAtOnce = Promise.withResolvers<void>()
    storage.before = async ({ method }) => {
      if (method !== 'read') return
      most = Math.max(most, ++now)
      if (now === 7) allAtOnce.resolve()
      await allAtOnce.promise
      await new Promise(resolve => setTimeout(resolve, 1))
      now--
    }
    await store.recoverFromStorage({ concurrency: 7 })
    expect(most).toBe(7)
  })

  it('recovers many small blobs', { timeout: 300_000 }, async () => {
    const storage = new MemoryStorage()
    const count = 20_000
    for (let i = 0; i < count; i++) {
      const data = new TextEncoder().encode(`blob ${i}`)
      await storage.put(dataKey(hashBytes(data).hash), [data])
    }
    const dbPath = join(await testFolder(), 'blobs.db')
    const store = await testStore(storage, { dbPath })
    expect(await store.recoverFromStorage()).toMatchObject({ complete: count, corrupt: 0 })
    let listed = 0
    for await (const { status } of store.list()) if (status.state === 'complete') listed++
    expect(listed).toBe(count)
  })
})

describe('a blob that cannot be read', () => {
  it('is told and counted, and keeps no other from being recovered', async () => {
    const storage = new WatchedStorage()
    const blobs = Array.from({ length: 12 }, (_, i) => sampleBlob(1000 + i, i + 1))
    {
      await using before = await testStore(storage)
      for (const { data } of blobs) await before.addBytes(data)
    }
    const archived = blobs[5]!
    storage.before = ({ method, key }) => {
      if (method === 'read' && key === dataKey(archived.hash)) throw new StorageAccessError('archived')
    }
    const dbPath = join(await testFolder(), 'blobs.db')
    const store = await testStore(storage, { dbPath })
    expect(await store.recoverFromStorage()).toMatchObject({ complete: 11, failed: 1, corrupt: 0 })
    expect(store.notices).toContainEqual(expect.stringContaining('archived'))
    await store.close()
    storage.before = undefined
    // What is not known is looked for, and found by the next run.
    const again = await testStore(storage, { dbPath })
    await serve(again, archived.hash)
    expect(await again.recoverFromStorage()).toMatchObject({ complete: 12, failed: 0 })
  })

  it('is no reason to go on when the storage does not answer at all', async () => {
    const storage = await afterLossOf(sampleBlob(1000))
    const store = await testStore(storage)
    storage.before = ({ method }) => {
      if (method === 'read') throw new StorageUnavailableError('out of reach')
    }
    await expect(store.recoverFromStorage()).rejects.toThrow('out of reach')
  })
})
