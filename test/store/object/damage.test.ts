/** What is told to be damaged: mended, or set aside, and never deleted. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { EMPTY_HASH } from '../../../src/hash.ts'
import { dataKey, outboardKey, partialPrefix } from '../../../src/store/object/layout.ts'
import {
  contentOf,
  cutOff,
  flipByte,
  gate,
  groups,
  hasContent,
  keysOf,
  MIB,
  receive,
  sampleBlob,
  serve,
  startReceiving,
  testFolder,
  testStore,
  WatchedStorage
} from './support.ts'

const blob = sampleBlob(3 * MIB)

async function withBlob() {
  const storage = new WatchedStorage()
  const store = await testStore(storage)
  await store.addBytes(blob.data)
  return { storage, store }
}

describe('a complete blob', () => {
  it('that is all right stays as it is', async () => {
    const { storage, store } = await withBlob()
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'complete', size: blob.size })
    expect(await keysOf(storage)).toHaveLength(2)
    expect(store.notices).toEqual([])
  })

  it.each([
    ['flipped', async (storage: WatchedStorage, key: string) => await flipByte(storage, key, 0)],
    ['cut off', async (storage: WatchedStorage, key: string) => await cutOff(storage, key, 1)],
    ['gone', async (storage: WatchedStorage, key: string) => await storage.delete([key])]
  ])('whose outboard is %s gets a new one, and is served again', async (_, damage) => {
    const { storage, store } = await withBlob()
    const right = await contentOf(storage, outboardKey(blob.hash))
    await damage(storage, outboardKey(blob.hash))
    await expect(serve(store, blob.hash)).rejects.toThrow()
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'complete', size: blob.size })
    expect(await hasContent(storage, outboardKey(blob.hash), right)).toBe(true)
    // Not out of what was read before.
    await serve(store, blob.hash)
    expect(store.notices).toEqual([expect.stringContaining('computed anew')])
  })

  it.each([
    ['emptied', async (storage: WatchedStorage, key: string) => await storage.put(key, [])],
    [
      'something else',
      async (storage: WatchedStorage, key: string) => await storage.put(key, [sampleBlob(3 * MIB, 2).data])
    ]
  ])('whose data is %s is set aside with its outboard, and can be added again', async (_, damage) => {
    const { storage, store } = await withBlob()
    await damage(storage, dataKey(blob.hash))
    const wrong = await contentOf(storage, dataKey(blob.hash))
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'absent' })
    expect(await store.open(blob.hash)).toBeUndefined()
    expect(await keysOf(storage, 'blobs/')).toEqual([])
    const [data, outboard] = await keysOf(storage, 'quarantine/')
    expect(data).toMatch(`quarantine/${blob.hash.toBase32()}/data-`)
    expect(outboard).toMatch(`quarantine/${blob.hash.toBase32()}/outboard-`)
    expect(await hasContent(storage, data!, wrong)).toBe(true)
    expect(store.notices).toEqual([expect.stringContaining(data!)])
    await store.addBytes(blob.data)
    await serve(store, blob.hash)
  })

  it.each([
    [
      'flipped',
      async (storage: WatchedStorage, key: string) => await flipByte(storage, key, 70_000),
      groups(4)
    ],
    ['cut off', async (storage: WatchedStorage, key: string) => await cutOff(storage, key, 1), groups(191)],
    [
      'halved',
      async (storage: WatchedStorage, key: string) => await cutOff(storage, key, 96 * 16_384),
      groups(96, 192)
    ]
  ])('whose data is %s is set aside, and what is right of it stays', async (_, damage, wrong) => {
    const { storage, store } = await withBlob()
    await damage(storage, dataKey(blob.hash))
    const stored = await contentOf(storage, dataKey(blob.hash))
    const right = groups(0, 192).subtract(wrong)
    expect(await store.reportDamage(blob.hash)).toMatchObject({
      state: 'partial',
      size: blob.size,
      ranges: right
    })
    const [data] = await keysOf(storage, 'quarantine/')
    expect(await hasContent(storage, data!, stored)).toBe(true)
    expect(store.notices).toEqual([expect.stringMatching(/quarantine.*of the 192 chunk groups .* are wrong/)])
    await serve(store, blob.hash)
    await receive(store, blob, wrong)
    expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
    expect(await hasContent(storage, dataKey(blob.hash), blob.data)).toBe(true)
    expect(await keysOf(storage, partialPrefix(blob.hash))).toEqual([])
  })

  it('whose data was made longer is whole again at once', async () => {
    const { storage, store } = await withBlob()
    await storage.put(dataKey(blob.hash), [blob.data, blob.data])
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'complete', size: blob.size })
    expect(await hasContent(storage, dataKey(blob.hash), blob.data)).toBe(true)
    expect(await keysOf(storage, 'quarantine/')).toHaveLength(2)
    await serve(store, blob.hash)
  })

  it('keeps what its outboard proves when that is damaged, too', async () => {
    const { storage, store } = await withBlob()
    await flipByte(storage, dataKey(blob.hash), 0)
    // The node above the last MiB, and those below it.
    await flipByte(storage, outboardKey(blob.hash), -63 * 64)
    expect(await store.reportDamage(blob.hash)).toMatchObject({ state: 'partial', ranges: groups(1, 128) })
    await serve(store, blob.hash)
  })

  it('of many parts keeps what is right of each, in pieces', async () => {
    const large = sampleBlob(40 * MIB + 5)
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await store.addBytes(large.data)
    for (const group of [0, 700, 2000]) await flipByte(storage, dataKey(large.hash), group * 16_384)
    storage.calls.length = 0
    const wrong = groups(0).union(groups(700)).union(groups(2000))
    expect(await store.reportDamage(large.hash)).toMatchObject({
      state: 'partial',
      ranges: ChunkRanges.range(0, 40 * 1024 + 1).subtract(wrong)
    })
    expect(storage.count('put', /partial/)).toBe(6)
    await receive(store, large, wrong)
    expect(await store.status(large.hash)).toEqual({ state: 'complete', size: large.size })
    expect(await hasContent(storage, dataKey(large.hash), large.data)).toBe(true)
  })

  it('is absent or partial when it is interrupted at any step, and never wrong', async () => {
    const large = sampleBlob(20 * MIB)
    let isDone = false
    for (let step = 1; !isDone; step++) {
      const storage = new WatchedStorage()
      const dbPath = join(await testFolder(), 'blobs.db')
      const store = await testStore(storage, { dbPath })
      await store.addBytes(large.data)
      await flipByte(storage, dataKey(large.hash), 9 * MIB)
      let left = step
      // From this step on nothing reaches the storage any more, as if the process had been killed.
      storage.before = ({ method }) => {
        if (['put', 'move', 'delete', 'compose'].includes(method) && --left <= 0) throw new Error('killed')
      }
      isDone = await store.reportDamage(large.hash).then(
        () => true,
        () => false
      )
      await store.close().catch(() => undefined)
      const reopened = await testStore(new WatchedStorage(storage.inner), { dbPath })
      const status = await reopened.status(large.hash)
      if (status.state === 'partial') await serve(reopened, large.hash)
      // As before the first step; or the index does not know yet that the data was moved, as who reads it finds.
      if (status.state === 'complete') {
        await expect(serve(reopened, large.hash)).rejects.toThrow()
        await reopened.reportDamage(large.hash)
      }
      await receive(reopened, large, ChunkRanges.all)
      await serve(reopened, large.hash)
      expect(await reopened.status(large.hash)).toEqual({ state: 'complete', size: large.size })
    }
  })

  it('whose data is gone is absent', async () => {
    const { storage, store } = await withBlob()
    await storage.delete([dataKey(blob.hash)])
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'absent' })
    expect(store.notices).toEqual([expect.stringContaining('is gone')])
  })

  it('is not given up when the storage fails', async () => {
    const { storage, store } = await withBlob()
    await flipByte(storage, dataKey(blob.hash), 0)
    storage.before = ({ method }) => {
      if (method === 'move') throw new Error('out of order')
    }
    await expect(store.reportDamage(blob.hash)).rejects.toThrow('out of order')
    storage.before = undefined
    expect(await store.reportDamage(blob.hash)).toMatchObject({ state: 'partial', ranges: groups(1, 192) })
  })

  it('that is damaged is never exported, and found to be partial when somebody tries', async () => {
    const { storage, store } = await withBlob()
    await flipByte(storage, dataKey(blob.hash), 2 * MIB)
    const folder = await testFolder()
    const exporting = store.exportPath(blob.hash, join(folder, 'target'))
    await expect(exporting).rejects.toMatchObject({ name: 'CorruptSourceError' })
    expect(await readdir(folder)).toEqual([])
    expect(await store.status(blob.hash)).toMatchObject({ state: 'partial' })
  })
})

describe('a partial blob', () => {
  const large = sampleBlob(20 * MIB)

  it('loses only the fragments that are wrong', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, large, groups(0, 3).union(groups(600, 603)))
    const [first] = await keysOf(storage, partialPrefix(large.hash))
    await flipByte(storage, first!, 100)
    await expect(serve(store, large.hash)).rejects.toThrow()
    expect(await store.reportDamage(large.hash)).toMatchObject({ state: 'partial', ranges: groups(600, 603) })
    expect(await keysOf(storage, 'quarantine/')).toHaveLength(1)
    await serve(store, large.hash)
    await receive(store, large, ChunkRanges.all)
    await serve(store, large.hash)
  })

  it('loses the fragments that are gone', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, large, groups(0, 3).union(groups(600, 603)))
    const [first] = await keysOf(storage, partialPrefix(large.hash))
    await storage.delete([first!])
    expect(await store.reportDamage(large.hash)).toMatchObject({ state: 'partial', ranges: groups(600, 603) })
    expect(await keysOf(storage, 'quarantine/')).toEqual([])
  })

  it('is absent when nothing of it is right', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, large, groups(0, 3))
    const [first] = await keysOf(storage, partialPrefix(large.hash))
    await cutOff(storage, first!, 64)
    expect(await store.reportDamage(large.hash)).toEqual({ state: 'absent' })
    expect(await Array.fromAsync(store.list())).toEqual([])
    expect(await keysOf(storage, 'quarantine/')).toHaveLength(1)
  })

  it('that is being written makes its writers begin anew', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const writer = await startReceiving(store, large, groups(0, 600))
    await store.reportDamage(large.hash)
    await writer.close()
    await receive(store, large, ChunkRanges.all)
    await serve(store, large.hash)
  })
})

it('nothing is to be said of the empty blob, or of one that is not there', async () => {
  const storage = new WatchedStorage()
  const store = await testStore(storage)
  expect(await store.reportDamage(EMPTY_HASH)).toEqual({ state: 'complete', size: 0 })
  expect(await store.reportDamage(blob.hash)).toEqual({ state: 'absent' })
  expect(store.notices).toEqual([])
})

describe('looking for damage', () => {
  it('is done once for all who tell of it at the same time', async () => {
    const { storage, store } = await withBlob()
    storage.calls.length = 0
    const reports = await Promise.all(Array.from({ length: 20 }, () => store.reportDamage(blob.hash)))
    expect(reports).toHaveLength(20)
    expect(storage.count('read', /data/)).toBe(1)
    await store.reportDamage(blob.hash)
    expect(storage.count('read', /data/)).toBe(2)
  })

  it('ends when the store is closed', async () => {
    const { storage, store } = await withBlob()
    const reading = gate()
    storage.before = async ({ method, key }, signal) => {
      if (method !== 'read' || key !== dataKey(blob.hash)) return
      reading.pass()
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    }
    const report = store.reportDamage(blob.hash)
    const failing = expect(report).rejects.toMatchObject({ name: 'StoreClosedError' })
    await reading.reached
    await store.close()
    await failing
    expect(await keysOf(storage)).toHaveLength(2)
  })
})
