import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { StoreClosedError } from '../../../../src/store/errors.ts'
import { PAGE_BYTES, PAGE_COST_BYTES } from '../../../../src/store/object/reading/constants.ts'
import { OutboardCache } from '../../../../src/store/object/reading/outboard-cache.ts'
import { StorageUnavailableError } from '../../../../src/store/object/storage/errors.ts'
import { ObservedStorage, placeBytes, settle } from './support.ts'

const KIB = 1024
const MIB = 1024 * 1024
const KEY = 'blobs/x/outboard'
/** Of an 8 GiB blob. */
const SIZE = 32 * MIB - 64

const open: { cache: OutboardCache; storage: ObservedStorage }[] = []

function trial(maxBytes?: number) {
  const storage = new ObservedStorage()
  storage.makeUp(KEY, placeBytes)
  storage.makeUp('other', (offset, length) => placeBytes(offset + 1, length))
  const cache = new OutboardCache(storage, maxBytes)
  const read = async (offset: number, length: number, until?: number, signal?: AbortSignal) => {
    const target = new Uint8Array(length)
    await cache.read(KEY, SIZE, offset, target, { until, signal })
    if (Buffer.compare(target, placeBytes(offset, length)) !== 0) throw new Error(`wrong bytes at ${offset}`)
  }
  open.push({ cache, storage })
  return { storage, cache, read }
}

afterEach(async () => {
  for (const { cache, storage } of open.splice(0)) {
    await cache.close()
    expect(storage.inFlight).toBe(0)
  }
})

describe('OutboardCache', () => {
  it('fetches a small outboard in one GET, once', async () => {
    const { cache, storage } = trial()
    const target = new Uint8Array(64)
    for (const at of [0, 640, 64_000 - 64]) await cache.read('other', 64_000, at, target)
    expect(storage.gets).toEqual([{ key: 'other', offset: 0, length: 64_000 }])
    expect(target).toEqual(placeBytes(64_000 - 63, 64))
  })

  it('fetches neighbouring pages of one read in one GET, and the last page no further than it goes', async () => {
    const { read, storage } = trial()
    await read(100, 3 * PAGE_BYTES)
    expect(storage.gets).toEqual([{ key: KEY, offset: 0, length: 4 * PAGE_BYTES }])
    await read(SIZE - 64, 64)
    expect(storage.gets[1]).toEqual({ key: KEY, offset: SIZE - PAGE_BYTES + 64, length: PAGE_BYTES - 64 })
  })

  it('fetches near pages that are asked for together in one GET, far ones in another', async () => {
    const { read, storage } = trial()
    await Promise.all([
      read(0, 64),
      read(16 * MIB, 64),
      read(16 * MIB + 4 * PAGE_BYTES, 64),
      read(PAGE_BYTES, 64)
    ])
    expect(storage.gets.map(({ offset, length }) => [offset, length])).toEqual([
      [0, 2 * PAGE_BYTES],
      [16 * MIB, 5 * PAGE_BYTES]
    ])
    await read(16 * MIB + PAGE_BYTES, 64)
    expect(storage.gets).toHaveLength(3)
  })

  it('fetches a page once for all who ask for it meanwhile; one who gives up disturbs nobody', async () => {
    const { read, storage } = trial()
    const gate = Promise.withResolvers<void>()
    storage.onPiece = () => gate.promise
    const controller = new AbortController()
    const impatient = read(0, 64, 0, controller.signal)
    const patient = read(64, 64)
    await settle()
    const late = read(128, 64)
    controller.abort(new Error('enough'))
    await expect(impatient).rejects.toThrow('enough')
    gate.resolve()
    await Promise.all([patient, late])
    expect(storage.gets).toHaveLength(1)
  })

  it('ends a GET when all who wait have given up; who asks then, gets another one', async () => {
    const { read, storage } = trial()
    storage.onPiece = () => new Promise(() => undefined)
    const controller = new AbortController()
    const first = read(0, 2 * PAGE_BYTES, 0, controller.signal)
    const second = read(PAGE_BYTES, 64, 0, controller.signal)
    await settle()
    storage.onPiece = undefined
    // At once: the GET that is being ended has not failed yet.
    const another = second.catch(() => read(0, 64))
    controller.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    await expect(second).rejects.toThrow('enough')
    await another
    await settle()
    expect(storage.inFlight).toBe(0)
    expect(storage.gets).toHaveLength(2)
  })

  it('fetches ahead what will be read in order, a few pages in one GET, and not beyond', async () => {
    const { read, storage } = trial()
    const until = 40 * PAGE_BYTES
    for (let at = 0; at < until; at += 4032) await read(at, Math.min(4032, until - at), until)
    await settle()
    expect(storage.bytes).toBe(until)
    expect(storage.gets.length).toBeLessThanOrEqual(14)
  })

  it('keeps no more than it may: what was used longest ago goes first', async () => {
    const room = 4 * (PAGE_BYTES + PAGE_COST_BYTES)
    const { cache, read, storage } = trial(room)
    for (let page = 0; page < 4; page++) await read(page * PAGE_BYTES, 64)
    await read(0, 64)
    await read(10 * PAGE_BYTES, 64)
    expect(cache.keptBytes).toBe(room)
    expect(storage.gets).toHaveLength(5)
    await read(0, 64)
    expect(storage.gets).toHaveLength(5)
    await read(PAGE_BYTES, 64)
    expect(storage.gets).toHaveLength(6)
    await read(20 * PAGE_BYTES, 8 * PAGE_BYTES)
    expect(cache.keptBytes).toBe(room)
  })

  it('counts what it costs to keep many small outboards', async () => {
    const { cache, storage } = trial(100 * KIB)
    const target = new Uint8Array(64)
    for (let i = 0; i < 500; i++) {
      storage.makeUp(`small${i}`, placeBytes)
      await cache.read(`small${i}`, 64, 0, target)
    }
    expect(cache.keptBytes).toBeLessThanOrEqual(100 * KIB)
    expect(cache.keptBytes).toBeGreaterThan(90 * KIB)
  })

  it('forgets an outboard, also what is under way', async () => {
    const { cache, read, storage } = trial()
    await read(0, 64)
    const gate = Promise.withResolvers<void>()
    storage.onPiece = () => gate.promise
    const underWay = read(PAGE_BYTES, 64)
    await settle()
    cache.forget(KEY)
    cache.forget('what is not there')
    expect(cache.keptBytes).toBe(0)
    gate.resolve()
    await underWay
    expect(cache.keptBytes).toBe(0)
    await Promise.all([read(0, 64), read(PAGE_BYTES, 64)])
    expect(storage.gets).toHaveLength(3)
  })

  it('fails those who wait for what cannot be fetched, keeps what had come, and tries again', async () => {
    const { read, storage } = trial()
    const error = new StorageUnavailableError('gone fishing')
    storage.onPiece = (_, offset) => {
      if (offset >= 2 * PAGE_BYTES) throw error
    }
    const reads = await Promise.allSettled([
      read(0, 64),
      read(2 * PAGE_BYTES, 64),
      read(PAGE_BYTES, 2 * PAGE_BYTES)
    ])
    expect(reads.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(reads[1]).toMatchObject({ reason: error })
    storage.onPiece = undefined
    await read(0, 4 * PAGE_BYTES)
    expect(storage.gets.map(({ offset }) => offset / PAGE_BYTES)).toEqual([0, 2])
  })

  it('says when an outboard is shorter than it should be', async () => {
    const { read, storage } = trial()
    storage.makeUp(KEY, (offset, length) => placeBytes(offset, Math.min(length, 100)))
    await expect(read(0, 64)).rejects.toThrow(`object ${KEY} in memory ended at byte 100`)
  })

  it('a failure ahead of everybody is nobody’s', async () => {
    const { read, storage } = trial()
    storage.onPiece = (_, offset) => {
      if (offset >= PAGE_BYTES) throw new StorageUnavailableError('a hiccup')
    }
    await read(0, 64, SIZE)
    await settle()
    storage.onPiece = undefined
    await read(PAGE_BYTES, 64)
  })

  it('closing ends all GETs and fails all reads', async () => {
    const { cache, read, storage } = trial()
    storage.onPiece = () => new Promise(() => undefined)
    const reads = Array.from({ length: 40 }, (_, i) => read(i * 12 * PAGE_BYTES, 64))
    for (const reading of reads) reading.catch(() => undefined)
    await settle()
    expect(storage.inFlight).toBe(16)
    const unflushed = read(5 * PAGE_BYTES, 64)
    const closing = cache.close()
    for (const reading of [...reads, unflushed]) await expect(reading).rejects.toThrow(StoreClosedError)
    await closing
    await settle()
    expect(storage.inFlight).toBe(0)
    await expect(read(0, 64)).rejects.toThrow(StoreClosedError)
  })

  it('is right whatever is read, however little it keeps', async () => {
    const reads = fc.array(
      fc.record({
        at: fc.oneof(fc.nat(SIZE - 1), fc.nat(20 * PAGE_BYTES)),
        length: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 2 * MIB })),
        until: fc.constantFrom(0, SIZE, 10 * PAGE_BYTES),
        isAwaited: fc.boolean()
      }),
      { maxLength: 20 }
    )
    const property = fc.asyncProperty(
      fc.constantFrom(0, 5 * PAGE_BYTES, 32 * MIB),
      reads,
      async (room, script) => {
        const { cache, read } = trial(room)
        const running: Promise<void>[] = []
        for (const { at, length, until, isAwaited } of script) {
          running.push(read(at, Math.min(length, SIZE - at), until))
          if (isAwaited) await Promise.all(running)
        }
        await Promise.all(running)
        expect(cache.keptBytes).toBeLessThanOrEqual(room)
        await cache.close()
      }
    )
    await fc.assert(property, { numRuns: 40 })
  })
})
