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
    ['flipped', async (storage: WatchedStorage, key: string) => await flipByte(storage, key, 70_000)],
    ['cut off', async (storage: WatchedStorage, key: string) => await cutOff(storage, key, 1)],
    ['emptied', async (storage: WatchedStorage, key: string) => await storage.put(key, [])],
    [
      'made longer',
      async (storage: WatchedStorage, key: string) => await storage.put(key, [blob.data, blob.data])
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
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'absent' })
  })

  it('that is damaged is never exported, and set aside when somebody tries', async () => {
    const { storage, store } = await withBlob()
    await flipByte(storage, dataKey(blob.hash), 2 * MIB)
    const folder = await testFolder()
    const exporting = store.exportPath(blob.hash, join(folder, 'target'))
    await expect(exporting).rejects.toMatchObject({ name: 'CorruptSourceError' })
    expect(await readdir(folder)).toEqual([])
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
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
