/** Two nodes on one bucket, each with its own database. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { Hash } from '../../../src/hash.ts'
import { blobPrefix, dataKey, outboardKey, partialPrefix, tagKey } from '../../../src/store/object/layout.ts'
import { MISS_MS, MOST_MISSES } from '../../../src/store/object/lookup.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import {
  flipByte,
  gate,
  groups,
  keysOf,
  MIB,
  receive,
  sampleBlob,
  serve,
  startReceiving,
  testStore,
  until,
  WatchedStorage
} from './support.ts'

afterEach(() => void vi.useRealTimers())

async function twoNodes() {
  const bucket = new MemoryStorage()
  const storages = [new WatchedStorage(bucket), new WatchedStorage(bucket)] as const
  const a = await testStore(storages[0], { readThrough: true })
  const b = await testStore(storages[1], { readThrough: true })
  for (const { calls } of storages) calls.length = 0
  return { bucket, a, b, storage: storages[1] }
}

describe('what one node has added', () => {
  it.each([1, 100_000, 3 * MIB, 20 * MIB])('another one serves at once (%i bytes)', async size => {
    const { a, b } = await twoNodes()
    const blob = sampleBlob(size)
    await a.addBytes(blob.data)
    expect(await b.status(blob.hash)).toEqual({ state: 'complete', size })
    expect(await serve(b, blob.hash)).toBeGreaterThanOrEqual(size)
    expect(await Array.fromAsync(b.list())).toHaveLength(1)
  })

  it('is opened without having been asked for, with one request', async () => {
    const { a, b, storage } = await twoNodes()
    const blob = sampleBlob(3 * MIB)
    await a.addBytes(blob.data)
    await using reader = await b.open(blob.hash)
    expect(reader?.size).toBe(blob.size)
    expect(storage.calls).toEqual([{ method: 'list', key: blobPrefix(blob.hash) }])
  })

  it('is found by its tag, which is not taken for a free name, and can be deleted', async () => {
    const { a, b, bucket } = await twoNodes()
    const { hash } = sampleBlob(1)
    await a.tags.set('x', { hash, format: 'hash_seq' })
    expect(await b.tags.get('x')).toEqual({ name: 'x', hash, format: 'hash_seq' })
    expect(await b.tags.get('y')).toBeUndefined()
    expect(await b.tags.delete('y')).toBe(false)
    expect(await b.tags.delete('x')).toBe(true)
    expect(await b.tags.get('x')).toBeUndefined()
    expect(await keysOf(bucket)).toEqual([])
  })

  it('is no tag when its object is none', async () => {
    const { a, b, bucket } = await twoNodes()
    await a.tags.set('x', { hash: sampleBlob(1).hash, format: 'raw' })
    await flipByte(bucket, tagKey('x'), 0)
    expect(await b.tags.get('x')).toBeUndefined()
  })

  it('is not fetched again', async () => {
    const { a, b } = await twoNodes()
    const blob = sampleBlob(3 * MIB)
    await a.addBytes(blob.data)
    await using writer = await startReceiving(b, blob, groups(0, 1))
    expect(await writer.close()).toEqual({ state: 'complete', size: blob.size })
  })

  it('is not put again by another one that adds it', async () => {
    const { a, b, storage } = await twoNodes()
    const blob = sampleBlob(3 * MIB)
    await a.addBytes(blob.data)
    await b.addBytes(blob.data)
    expect(storage.count('put')).toBe(0)
    expect(await b.status(blob.hash)).toMatchObject({ state: 'complete' })
  })

  it('is not looked for without read_through', async () => {
    const { a, bucket } = await twoNodes()
    const other = new WatchedStorage(bucket)
    const c = await testStore(other)
    const blob = sampleBlob(1000)
    await a.addBytes(blob.data)
    other.calls.length = 0
    expect(await c.status(blob.hash)).toEqual({ state: 'absent' })
    expect(await c.open(blob.hash)).toBeUndefined()
    expect(other.calls).toEqual([])
  })

  it('is found by many who ask at once with one request', async () => {
    const { a, b, storage } = await twoNodes()
    const blob = sampleBlob(1000)
    await a.addBytes(blob.data)
    const found = await Promise.all(Array.from({ length: 20 }, () => b.status(blob.hash)))
    expect(new Set(found.map(({ state }) => state))).toEqual(new Set(['complete']))
    expect(storage.calls).toHaveLength(1)
  })
})

describe('what is not there', () => {
  it('is asked for once in a while only', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const { a, b, storage } = await twoNodes()
    const blob = sampleBlob(1000)
    for (let i = 0; i < 3; i++) expect(await b.status(blob.hash)).toEqual({ state: 'absent' })
    expect(await b.open(blob.hash)).toBeUndefined()
    expect(storage.calls).toHaveLength(1)
    await a.addBytes(blob.data)
    vi.advanceTimersByTime(MISS_MS - 1)
    expect(await b.status(blob.hash)).toEqual({ state: 'absent' })
    vi.advanceTimersByTime(1)
    expect(await b.status(blob.hash)).toMatchObject({ state: 'complete' })
    expect(storage.calls).toHaveLength(2)
  })

  it('is remembered of so many blobs and no more', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const { b, storage } = await twoNodes()
    const hashOf = (i: number) => {
      const bytes = new Uint8Array(32)
      new DataView(bytes.buffer).setUint32(0, i)
      return Hash.fromBytes(bytes)
    }
    for (let i = 0; i <= MOST_MISSES; i++) await b.status(hashOf(i))
    storage.calls.length = 0
    await b.status(hashOf(MOST_MISSES))
    expect(storage.calls).toHaveLength(0)
    await b.status(hashOf(0))
    expect(storage.calls).toHaveLength(1)
  })

  it('is no longer missed when it has come here', async () => {
    const { b, storage } = await twoNodes()
    const blob = sampleBlob(1000)
    expect(await b.status(blob.hash)).toEqual({ state: 'absent' })
    await b.addBytes(blob.data)
    expect(await b.status(blob.hash)).toMatchObject({ state: 'complete' })
    await b.delete(blob.hash)
    storage.calls.length = 0
    expect(await b.status(blob.hash)).toEqual({ state: 'absent' })
    expect(storage.calls).toHaveLength(1)
  })

  it('can be asked for with a signal, however long the storage takes', async () => {
    const { b, storage } = await twoNodes()
    const door = gate()
    storage.before = door.pass
    const reason = new Error('enough')
    const stop = new AbortController()
    const { hash } = sampleBlob(1000)
    const asking = [b.status(hash, { signal: stop.signal }), b.open(hash, { signal: stop.signal })]
    await door.reached
    stop.abort(reason)
    for (const one of asking) await expect(one).rejects.toBe(reason)
    const closing = b.close()
    door.open()
    await closing
  })

  it('and cannot be looked up: that is an error, not an answer', async () => {
    const { b, storage } = await twoNodes()
    const { hash } = sampleBlob(1000)
    storage.before = () => {
      throw new Error('out of order')
    }
    await expect(b.status(hash)).rejects.toThrow('out of order')
    storage.before = undefined
    expect(await b.status(hash)).toEqual({ state: 'absent' })
  })
})

describe('a look at the storage is old when it comes back', () => {
  async function looking(size = 1000) {
    const nodes = await twoNodes()
    const blob = sampleBlob(size)
    const door = gate()
    const list = nodes.bucket.list.bind(nodes.bucket)
    let isFirst = true
    // The listing is made at once, and comes back late.
    nodes.storage.inner.list = async function* (options) {
      if (!isFirst) return yield* list(options)
      isFirst = false
      const objects = await Array.fromAsync(list(options))
      await door.pass()
      yield* objects
    }
    return { ...nodes, blob, door }
  }

  it('what was added meanwhile stays', async () => {
    for (const size of [1000, 3 * MIB]) {
      const { b, blob, door } = await looking(size)
      const asking = b.status(blob.hash)
      await door.reached
      await b.addBytes(blob.data)
      door.open()
      expect(await asking).toEqual({ state: 'complete', size })
      expect(await b.status(blob.hash)).toEqual({ state: 'complete', size })
    }
  })

  it('what has arrived meanwhile stays', async () => {
    const { b, blob, door } = await looking(3 * MIB)
    const asking = b.status(blob.hash)
    await door.reached
    await receive(b, blob, groups(0, 3))
    door.open()
    await asking
    expect(await b.status(blob.hash)).toMatchObject({ state: 'partial', ranges: groups(0, 3) })
  })

  it('what was deleted meanwhile does not come back', async () => {
    const { a, b, blob, door } = await looking()
    await a.addBytes(blob.data)
    const asking = b.status(blob.hash)
    await door.reached
    await b.delete(blob.hash)
    door.open()
    expect(await asking).toEqual({ state: 'absent' })
    expect(await b.status(blob.hash)).toEqual({ state: 'absent' })
    expect(await Array.fromAsync(b.list())).toEqual([])
  })
})

describe('what one node deletes', () => {
  it('the other one meets, tells of, and forgets', async () => {
    const { a, b } = await twoNodes()
    const blob = sampleBlob(3 * MIB)
    await a.addBytes(blob.data)
    expect(await b.status(blob.hash)).toMatchObject({ state: 'complete' })
    await a.delete(blob.hash)
    await expect(serve(b, blob.hash)).rejects.toMatchObject({ code: 'ERR_BLOB_NOT_FOUND' })
    await until(async () => (await b.status(blob.hash)).state === 'absent')
    expect(await b.open(blob.hash)).toBeUndefined()
    expect(await Array.fromAsync(b.list())).toEqual([])
  })

  it('can be added again by the other one, which thinks that it has it', async () => {
    const { a, b } = await twoNodes()
    for (const size of [1000, 3 * MIB]) {
      const blob = sampleBlob(size)
      await a.addBytes(blob.data)
      await b.status(blob.hash)
      await a.delete(blob.hash)
      await b.addBytes(blob.data)
      await serve(b, blob.hash)
    }
  })

  it('and of which only the outboard is gone, the other one mends', async () => {
    const { bucket, a, b } = await twoNodes()
    const blob = sampleBlob(3 * MIB)
    await a.addBytes(blob.data)
    expect(await b.status(blob.hash)).toMatchObject({ state: 'complete' })
    await bucket.delete([outboardKey(blob.hash)])
    await expect(serve(b, blob.hash)).rejects.toMatchObject({ code: 'ERR_BLOB_DAMAGED' })
    await until(() => b.notices.length > 0)
    expect(await b.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
    await serve(b, blob.hash)
  })
})

describe('a blob that is arriving at one node', () => {
  it('is served in part by the other, and whole when it is', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const { a, b } = await twoNodes()
    const blob = sampleBlob(20 * MIB)
    await receive(a, blob, groups(0, 600))
    expect(await b.status(blob.hash)).toMatchObject({ state: 'partial', ranges: groups(0, 600) })
    await serve(b, blob.hash)
    await receive(a, blob, groups(600, 700))
    vi.advanceTimersByTime(MISS_MS)
    expect(await b.status(blob.hash)).toMatchObject({ state: 'partial', ranges: groups(0, 700) })
    await receive(a, blob, ChunkRanges.all)
    vi.advanceTimersByTime(MISS_MS)
    expect(await b.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
    await serve(b, blob.hash)
  })

  it('the other one goes on with', async () => {
    const { a, b, bucket } = await twoNodes()
    const blob = sampleBlob(20 * MIB)
    await receive(a, blob, groups(0, 600))
    await receive(b, blob, groups(600, 1280))
    expect(await b.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
    await serve(b, blob.hash)
    expect(await keysOf(bucket, partialPrefix(blob.hash))).toEqual([])
  })
})

it('what is damaged in the bucket is set aside by who is told', async () => {
  const { a, b, bucket } = await twoNodes()
  const blob = sampleBlob(3 * MIB)
  await a.addBytes(blob.data)
  await flipByte(bucket, dataKey(blob.hash), 10)
  await b.status(blob.hash)
  expect(await b.reportDamage(blob.hash)).toMatchObject({ state: 'partial', ranges: groups(1, 192) })
  await expect(serve(a, blob.hash)).rejects.toThrow()
  await a.addBytes(blob.data)
  await serve(a, blob.hash)
})
