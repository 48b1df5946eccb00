/** Blobs of many parts, arriving in every way, over storage that may be slow, stuck or broken. */
import { setImmediate, setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { GROUP_BYTES, RUN_BYTES } from '../../../src/bao/constants.ts'
import { encodeVerified } from '../../../src/bao/encoder.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { BlobDeletedError } from '../../../src/store/errors.ts'
import type { BlobWriter } from '../../../src/store/index.ts'
import { Lifetime } from '../../../src/store/lifetime.ts'
import { KeyedMutex } from '../../../src/store/mutex.ts'
import { MOST_UNSAVED_BYTES, SAVE_MS } from '../../../src/store/object/arrival.ts'
import { Arrivals } from '../../../src/store/object/arrivals.ts'
import { composeMany } from '../../../src/store/object/compose-many.ts'
import type { ObjectContext } from '../../../src/store/object/context.ts'
import { formatFragment, parseFragment } from '../../../src/store/object/fragment-name.ts'
import { Fragments } from '../../../src/store/object/fragments.ts'
import { blobPrefix, dataKey, partialPrefix } from '../../../src/store/object/layout.ts'
import { Lookup } from '../../../src/store/object/lookup.ts'
import { IN_MEMORY, Metadata } from '../../../src/store/object/metadata/index.ts'
import { PartMemory } from '../../../src/store/object/part-memory.ts'
import { PART_BYTES } from '../../../src/store/object/parts.ts'
import { readInto } from '../../../src/store/object/read-into.ts'
import { OutboardCache, ReadBudget } from '../../../src/store/object/reading/index.ts'
import { StorageUnavailableError } from '../../../src/store/object/storage/errors.ts'
import type { ObjectStorage, Slice } from '../../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import { ObjectWriter } from '../../../src/store/object/writer.ts'
import {
  type Blob,
  blobOf,
  bytes,
  claimed,
  expectComplete,
  Gate,
  groups,
  leftOvers,
  proven,
  receive,
  testDatabase,
  testStore,
  WatchedStorage
} from './arriving.ts'

const MIB = 1024 * 1024

/** Three parts, the last of 1 MiB and a bit. */
const blob = blobOf(17 * MIB + 12_345)

/** Five parts, all full. */
const wide = blobOf(40 * MIB, 2)

function isFragmentPut({ method, key }: { method: string; key: string }): boolean {
  return method === 'put' && key.includes('/partial/')
}

/** 1 MiB pieces of a blob, aligned, as `[start, end]` in bytes. */
function pieces(size: number): [number, number][] {
  return Array.from({ length: Math.ceil(size / MIB) }, (_, i) => [i * MIB, Math.min((i + 1) * MIB, size)])
}

async function writeBytes(writer: BlobWriter, from: Blob, start: number, end: number): Promise<void> {
  for await (const verified of proven(from, bytes(from, start, end))) await writer.write(verified)
}

/** From now on nothing is saved because a second has gone by, however long that takes. */
function stopTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  onTestFinished(() => void vi.useRealTimers())
}

describe('a blob of several parts', () => {
  for (const some of [blob, wide, blobOf(PART_BYTES + 1, 3), blobOf(PART_BYTES, 4)]) {
    it(`becomes complete when ${some.size} bytes come in order, each part put once`, async () => {
      stopTime()
      const storage = new WatchedStorage()
      const store = await testStore(storage)
      await receive(store, some)
      await expectComplete(store, storage, some)
      const parts = Math.ceil(some.size / PART_BYTES)
      expect(storage.calls.filter(isFragmentPut).length).toBe(parts > 1 ? parts : 0)
    })
  }

  it('becomes complete when its parts come in reverse', async () => {
    stopTime()
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const writer = await store.writer(wide.hash, wide.size)
    for (let at = wide.size - PART_BYTES; at >= 0; at -= PART_BYTES) {
      await writeBytes(writer, wide, at, at + PART_BYTES)
    }
    await writer.close()
    await expectComplete(store, storage, wide)
    expect(storage.calls.filter(isFragmentPut).length).toBe(5)
  })

  it('becomes complete when pieces come from several at once, in any order', async () => {
    const storage = new WatchedStorage()
    storage.before = async ({ method }) => {
      if (method === 'put') await setTimeout(5)
    }
    const store = await testStore(storage)
    const rest = pieces(wide.size)
    // The same "random" order each time.
    rest.sort(([a], [b]) => (((a / MIB) * 7919) % 101) - (((b / MIB) * 7919) % 101))
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        await using writer = await store.writer(wide.hash, wide.size)
        for (let piece = rest.pop(); piece !== undefined; piece = rest.pop()) {
          await writeBytes(writer, wide, ...piece)
        }
      })
    )
    await expectComplete(store, storage, wide)
    // Each part goes up whole once, and what was in memory only for too long once before.
    const put = storage.calls.filter(isFragmentPut).length
    expect(put).toBeLessThanOrEqual(5 + 40)
  })

  it('becomes complete when single groups come from everywhere', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await using writer = await store.writer(blob.hash, blob.size)
    for (let offset = 0; offset < 4; offset++) {
      const every = ChunkRanges.fromBoundaries(
        Array.from({ length: 1089 }, (_, i) => i)
          .filter(group => group % 4 === offset)
          .flatMap(group => [group * 16, Math.min(group * 16 + 16, Math.ceil(blob.size / 1024))])
      )
      for await (const verified of proven(blob, every)) await writer.write(verified)
      expect(await claimed(store, blob)).toBeGreaterThanOrEqual((offset + 1) * 4 * MIB)
    }
    await writer.close()
    await expectComplete(store, storage, blob)
  })

  for (const at of [1, 5, 8, 9, 16, 17]) {
    it(`goes on after its writer was closed at ${at} MiB`, async () => {
      const storage = new WatchedStorage()
      const dbPath = await testDatabase()
      const first = await testStore(storage, dbPath)
      await receive(first, blob, bytes(blob, 0, at * MIB))
      expect(await claimed(first, blob)).toBe(at * MIB)
      await first.close()
      const second = await testStore(storage, dbPath)
      expect(await claimed(second, blob)).toBe(at * MIB)
      await receive(second, blob, bytes(blob, at * MIB, blob.size))
      await expectComplete(second, storage, blob)
    })
  }

  for (const at of [1, 9, 17, 18, 25, 39]) {
    it(`goes on at most two parts before where it was left at ${at} MiB`, async () => {
      const inner = new MemoryStorage()
      const dbPath = await testDatabase()
      const left = new WatchedStorage(inner)
      const first = await testStore(left, dbPath)
      const writer = await first.writer(wide.hash, wide.size)
      await writeBytes(writer, wide, 0, at * MIB)
      // As if the process was gone: nothing gets to the storage any more.
      left.before = () => new Promise(() => undefined)
      for (const path of [dbPath, await testDatabase()]) {
        const second = await testStore(new WatchedStorage(inner), path)
        if (path !== dbPath) await second.recoverFromStorage()
        const held = await claimed(second, wide)
        expect(held).toBeGreaterThanOrEqual(at * MIB - MOST_UNSAVED_BYTES)
        expect(held).toBeLessThanOrEqual(at * MIB)
        await second.close()
      }
      const last = await testStore(new WatchedStorage(inner), dbPath)
      await receive(last, wide)
      await expectComplete(last, inner, wide)
      // Or the first store would be closed after the test, for ever.
      left.before = () => {
        throw new StorageUnavailableError('the process is gone')
      }
    })
  }

  it('is completed by the next who looks when all of it was saved', async () => {
    const storage = new WatchedStorage()
    const dbPath = await testDatabase()
    const first = await testStore(storage, dbPath)
    storage.before = ({ method }) => {
      if (method === 'compose') throw new StorageUnavailableError('not now')
    }
    await expect(receive(first, blob)).rejects.toThrow('not now')
    expect((await leftOvers(storage, blob.hash)).length).toBe(3)
    await first.close()
    storage.before = () => undefined
    const second = await testStore(storage, dbPath)
    await expectComplete(second, storage, blob)
  })
})

describe('what is in memory only', () => {
  it('is two parts and a write at most: who writes on waits, and goes on', async () => {
    const storage = new WatchedStorage()
    const gate = new Gate()
    storage.before = async call => {
      if (isFragmentPut(call)) await gate.pass()
    }
    const store = await testStore(storage)
    const writer = await store.writer(wide.hash, wide.size)
    let taken = 0
    const writing = (async () => {
      for await (const verified of proven(wide, ChunkRanges.all)) {
        await writer.write(verified)
        for (const leaf of verified.leaves) taken += leaf.bytes.length
      }
    })()
    await gate.reached
    while (taken < MOST_UNSAVED_BYTES - RUN_BYTES) await setTimeout(5)
    // Time for more, which is not to be taken.
    await setTimeout(100)
    expect(taken).toBeLessThanOrEqual(MOST_UNSAVED_BYTES + RUN_BYTES)
    // All that was taken is held already.
    expect(await claimed(store, wide)).toBeGreaterThanOrEqual(taken)
    gate.open()
    await writing
    await writer.close()
    await expectComplete(store, storage, wide)
  })

  it('does not keep a writer that is aborted while it waits, nor one that waits behind it', async () => {
    const storage = new WatchedStorage()
    const gate = new Gate()
    storage.before = async call => {
      if (isFragmentPut(call)) await gate.pass()
    }
    const store = await testStore(storage)
    const writer = await store.writer(wide.hash, wide.size)
    const other = await store.writer(wide.hash, wide.size)
    const reason = new Error('no longer wanted')
    const stop = new AbortController()
    let taken = 0
    const writing = (async () => {
      for await (const verified of proven(wide, ChunkRanges.all)) {
        await writer.write(verified, { signal: stop.signal })
        for (const leaf of verified.leaves) taken += leaf.bytes.length
      }
    })()
    await gate.reached
    while (taken < MOST_UNSAVED_BYTES - RUN_BYTES) await setTimeout(5)
    // The next one is not taken.
    await setTimeout(100)
    const behind = (async () => {
      for await (const verified of proven(wide, bytes(wide, 30 * MIB, 31 * MIB))) {
        await other.write(verified, { signal: stop.signal })
      }
    })()
    await setImmediate()
    stop.abort(reason)
    await expect(writing).rejects.toBe(reason)
    await expect(behind).rejects.toBe(reason)
    gate.open()
    await Promise.all([writer.close(), other.close()])
    const held = await claimed(store, wide)
    expect(held).toBeGreaterThanOrEqual(MOST_UNSAVED_BYTES - RUN_BYTES)
    await receive(store, wide)
    await expectComplete(store, storage, wide)
  })

  it('is saved after a second, in few objects, which become one when the part is full', async () => {
    stopTime()
    const storage = new WatchedStorage()
    const dbPath = await testDatabase()
    const store = await testStore(storage, dbPath)
    const saved = async () => (await leftOvers(storage, blob.hash)).length
    const writer = await store.writer(blob.hash, blob.size)
    await writeBytes(writer, blob, 0, 3 * MIB)
    vi.advanceTimersByTime(SAVE_MS - 1)
    await setTimeout(20)
    expect(storage.calls.filter(isFragmentPut)).toEqual([])
    vi.advanceTimersByTime(1)
    await expect.poll(saved).toBe(1)
    // What another process sees is what is saved.
    const other = await testStore(new WatchedStorage(storage.inner), dbPath)
    expect(await claimed(other, blob)).toBe(3 * MIB)
    await writeBytes(writer, blob, 3 * MIB, 4 * MIB)
    await writeBytes(writer, blob, 6 * MIB, 7 * MIB)
    vi.advanceTimersByTime(2 * SAVE_MS)
    await expect.poll(saved).toBe(2)
    vi.advanceTimersByTime(2 * SAVE_MS)
    await setTimeout(20)
    expect(storage.calls.filter(isFragmentPut).length).toBe(2)
    await writeBytes(writer, blob, 4 * MIB, 6 * MIB)
    await writeBytes(writer, blob, 7 * MIB, 8 * MIB)
    await writer.close()
    const keys = await leftOvers(storage, blob.hash)
    expect(keys).toEqual([`${partialPrefix(blob.hash)}${blob.size}.0-512`])
    expect(await claimed(store, blob)).toBe(PART_BYTES)
    await receive(store, blob)
    await expectComplete(store, storage, blob)
  })

  it('of a small blob is saved after a second too, and nothing of that is left at the end', async () => {
    const storage = new WatchedStorage()
    const gate = new Gate()
    const store = await testStore(storage)
    const small = blobOf(3 * MIB + 1, 5)
    storage.before = async call => {
      if (isFragmentPut(call)) await gate.pass()
    }
    const writer = await store.writer(small.hash, small.size)
    await writeBytes(writer, small, 0, MIB)
    // It is on its way when the last bytes come.
    await gate.reached
    await writeBytes(writer, small, MIB, small.size)
    const closing = writer.close()
    gate.open()
    expect(await closing).toEqual({ state: 'complete', size: small.size })
    await setTimeout(SAVE_MS + 300)
    await expectComplete(store, storage, small)
  })
})

describe('when the storage fails', () => {
  it('the writer fails with its error, what is saved stays held, and another writer goes on', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const failure = new StorageUnavailableError('the storage is away')
    let put = 0
    storage.before = call => {
      if (isFragmentPut(call) && ++put > 2) throw failure
    }
    const writer = await store.writer(wide.hash, wide.size)
    const writing = writeBytes(writer, wide, 0, wide.size)
    await expect(writing).rejects.toBe(failure)
    await expect(writeBytes(writer, wide, 0, MIB)).rejects.toBe(failure)
    expect(await claimed(store, wide)).toBe(2 * PART_BYTES)
    expect(await writer.close()).toMatchObject({ state: 'partial' })
    expect(await claimed(store, wide)).toBe(2 * PART_BYTES)
    storage.before = () => undefined
    await receive(store, wide)
    await expectComplete(store, storage, wide)
  })

  it('closing the writer tells of what could not be saved', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const failure = new StorageUnavailableError('the storage is away')
    let failures = 0
    storage.before = call => {
      if (!isFragmentPut(call)) return
      failures++
      throw failure
    }
    const writer = await store.writer(blob.hash, blob.size)
    await writeBytes(writer, blob, 0, MIB)
    await expect.poll(() => failures).toBeGreaterThan(0)
    await expect(writer.close()).rejects.toBe(failure)
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
  })

  it('at whatever call, what is claimed is there, and the next writer completes it', async () => {
    const count = new WatchedStorage()
    const counting = await testStore(count)
    count.calls.length = 0
    await receive(counting, blob)
    // Three fragments, the outboard, the data, and what belongs to them.
    expect(count.calls.length).toBeGreaterThan(5)
    for (let failing = 0; failing < count.calls.length; failing++) {
      const storage = new WatchedStorage()
      const dbPath = await testDatabase()
      const store = await testStore(storage, dbPath)
      storage.calls.length = 0
      storage.before = () => {
        if (storage.calls.length === failing + 1) throw new StorageUnavailableError(`call ${failing} fails`)
      }
      await receive(store, blob).catch(error => expect(error).toBeInstanceOf(StorageUnavailableError))
      storage.before = () => undefined
      expect(await claimed(store, blob)).toBeGreaterThanOrEqual(0)
      await receive(store, blob)
      expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
      expect(await claimed(store, blob)).toBe(blob.size)
      await store.close()
    }
  })

  it('a fragment that somebody has deleted is not held any more when that turns out', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, blob, bytes(blob, 0, 4 * MIB))
    await storage.inner.delete(await leftOvers(storage, blob.hash))
    await expect(receive(store, blob, bytes(blob, 4 * MIB, blob.size))).rejects.toThrow('there is no object')
    expect(await claimed(store, blob)).toBeLessThanOrEqual(blob.size - 4 * MIB)
    await receive(store, blob)
    await expectComplete(store, storage, blob)
  })

  it('a whole part that somebody has deleted is fetched again', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, blob, bytes(blob, 0, PART_BYTES))
    await storage.inner.delete(await leftOvers(storage, blob.hash))
    await expect(receive(store, blob)).rejects.toThrow('there is no object')
    await receive(store, blob)
    await expectComplete(store, storage, blob)
  })
})

describe('a blob that is deleted while it arrives', () => {
  for (const moment of ['before', 'while']) {
    it(`leaves nothing, ${moment} its first part goes up`, async () => {
      const storage = new WatchedStorage()
      const gate = new Gate()
      storage.before = async call => {
        if (isFragmentPut(call)) await gate.pass()
      }
      const store = await testStore(storage)
      const writer = await store.writer(blob.hash, blob.size)
      await writeBytes(writer, blob, 0, moment === 'before' ? MIB : PART_BYTES)
      if (moment === 'while') await gate.reached
      const deleting = store.delete(blob.hash)
      await setImmediate()
      gate.open()
      expect(await deleting).toBe(true)
      await expect(writeBytes(writer, blob, 9 * MIB, 10 * MIB)).rejects.toThrow(BlobDeletedError)
      expect(await writer.close()).toEqual({ state: 'absent' })
      expect(await Array.fromAsync(storage.list({ prefix: blobPrefix(blob.hash) }))).toEqual([])
      await receive(store, blob)
      await expectComplete(store, storage, blob)
    })
  }
})

describe('many blobs at once', () => {
  /** Writers with so much memory together. */
  async function home(storage: ObjectStorage, memoryBytes: number) {
    const memory = new PartMemory(memoryBytes)
    const metadata = Metadata.open(IN_MEMORY)
    const context: ObjectContext = {
      storage,
      metadata,
      memory,
      cache: new OutboardCache(storage),
      budget: new ReadBudget(),
      mutex: new KeyedMutex(),
      notice: () => undefined,
      changed: () => undefined
    }
    const arrivals = new Arrivals(context, new Lookup(context))
    const lifetime = new Lifetime()
    const writer = ({ hash, size }: Blob) =>
      new ObjectWriter(hash, size, {
        lifetime,
        arrivals,
        place: () => Promise.reject(new Error('not a small blob')),
        status: () => Promise.resolve({ state: 'absent' }),
        onClose: () => undefined
      })
    return { memory, metadata, writer }
  }

  async function isRight(storage: ObjectStorage, { hash, data, size }: Blob): Promise<boolean> {
    const stored = new Uint8Array(size)
    await readInto(storage, dataKey(hash), 0, stored)
    return Buffer.compare(stored, data) === 0
  }

  it('all become complete in the memory of three, and are not mixed up', async () => {
    const storage = new WatchedStorage()
    storage.before = async ({ method }) => {
      if (method === 'put' || method === 'stat') await setTimeout(1)
    }
    const { memory, metadata, writer } = await home(storage, 3 * MIB)
    const blobs = Array.from({ length: 30 }, (_, i) => blobOf(MIB - i * GROUP_BYTES - i, i + 10))
    let most = 0
    await Promise.all(
      blobs.map(async (some, i) => {
        await using receiving = writer(some)
        for await (const verified of proven(some, ChunkRanges.all, (1 + (i % 5)) * 4 * GROUP_BYTES)) {
          await receiving.write(verified)
          most = Math.max(most, memory.usedBytes)
        }
      })
    )
    expect(most).toBeGreaterThan(2 * MIB)
    expect(most).toBeLessThanOrEqual(3 * MIB)
    expect(memory.usedBytes).toBe(0)
    for (const some of blobs) {
      expect(metadata.find(some.hash)?.state).toBe('complete')
      expect(await isRight(storage, some)).toBe(true)
      expect(await leftOvers(storage, some.hash)).toEqual([])
    }
  })

  it('with several parts each become complete in the memory of two parts', async () => {
    const storage = new WatchedStorage()
    const { memory, metadata, writer } = await home(storage, 2 * PART_BYTES)
    const blobs = Array.from({ length: 4 }, (_, i) => blobOf(PART_BYTES + (i + 1) * MIB, i + 50))
    let most = 0
    await Promise.all(
      blobs.map(async some => {
        await using receiving = writer(some)
        // In two strides, so that every part is taken out of memory before it is full.
        for (const stride of [0, 1]) {
          for (const [i, [start, end]] of pieces(some.size).entries()) {
            if (i % 2 !== stride) continue
            await writeBytes(receiving, some, start, end)
            most = Math.max(most, memory.usedBytes)
          }
        }
      })
    )
    expect(most).toBeLessThanOrEqual(2 * PART_BYTES)
    expect(memory.usedBytes).toBe(0)
    for (const some of blobs) {
      expect(metadata.find(some.hash)?.state).toBe('complete')
      expect(await isRight(storage, some)).toBe(true)
      expect(await leftOvers(storage, some.hash)).toEqual([])
    }
  })

  it('are not stopped by those that have stalled', async () => {
    const storage = new WatchedStorage()
    const { memory, metadata, writer } = await home(storage, 3 * MIB)
    const stalled = await Promise.all(
      Array.from({ length: 6 }, async (_, i) => {
        const some = blobOf(MIB, i + 60)
        const receiving = writer(some)
        await writeBytes(receiving, some, 0, 100 * 1024 - ((100 * 1024) % GROUP_BYTES))
        return { some, receiving }
      })
    )
    for (const some of [blobOf(MIB, 70), blobOf(3 * MIB, 71)]) {
      await using receiving = writer(some)
      await writeBytes(receiving, some, 0, some.size)
    }
    expect(metadata.countBlobs().complete).toBe(2)
    for (const { some, receiving } of stalled) {
      await writeBytes(receiving, some, 0, some.size)
      await receiving.close()
      expect(await isRight(storage, some)).toBe(true)
    }
    expect(memory.usedBytes).toBe(0)
    expect(metadata.countBlobs()).toEqual({ complete: 8, partial: 0 })
  })

  it('keep their data while it is on its way, however much others want the memory', async () => {
    const storage = new WatchedStorage()
    const gate = new Gate()
    const { memory, writer } = await home(storage, PART_BYTES)
    const some = blobOf(PART_BYTES, 80)
    storage.before = async ({ method, key }) => {
      if (method === 'put' && key === dataKey(some.hash)) await gate.pass()
    }
    const receiving = writer(some)
    await writeBytes(receiving, some, 0, some.size)
    const closing = receiving.close()
    await gate.reached
    const other = blobOf(PART_BYTES, 81)
    const second = writer(other)
    const writing = writeBytes(second, other, 0, other.size)
    await setTimeout(50)
    gate.open()
    await closing
    await writing
    await second.close()
    expect(await isRight(storage, some)).toBe(true)
    expect(await isRight(storage, other)).toBe(true)
    expect(memory.usedBytes).toBe(0)
  })

  it('may be given up while they wait for memory', async () => {
    const storage = new WatchedStorage()
    const gate = new Gate()
    storage.before = async call => {
      if (isFragmentPut(call)) await gate.pass()
    }
    const { memory, writer } = await home(storage, MIB)
    const [first, second, third] = [blobOf(MIB, 90), blobOf(MIB, 91), blobOf(MIB, 92)]
    const writers = [first!, second!, third!].map(writer)
    await writeBytes(writers[0]!, first!, 0, MIB / 2)
    const reason = new Error('no longer wanted')
    const stop = new AbortController()
    const waiting = (async () => {
      for await (const verified of encodeVerified(second!.hash, second!.source, ChunkRanges.all)) {
        await writers[1]!.write(verified, { signal: stop.signal })
      }
    })()
    await gate.reached
    const writing = writeBytes(writers[2]!, third!, 0, MIB)
    stop.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    gate.open()
    await writing
    for (const open of writers) await open.close()
    expect(await isRight(storage, third!)).toBe(true)
    expect(memory.usedBytes).toBe(0)
  })
})

describe('writes that are over', () => {
  it('leave nothing behind, however many there are', async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage: () => void = runInNewContext('gc')
    const outcomes: WeakRef<object>[] = []
    const { allSettled } = Promise
    // Not a mock, which keeps what it has returned.
    Promise.allSettled = async (promises: Iterable<unknown>) => {
      const settled = await allSettled.call(Promise, promises)
      outcomes.push(new WeakRef(settled))
      return settled
    }
    try {
      const store = await testStore(new WatchedStorage())
      await using writer = await store.writer(blob.hash, blob.size)
      for await (const verified of proven(blob, groups(0, 100), GROUP_BYTES)) await writer.write(verified)
      await setImmediate()
      expect(outcomes.length).toBeGreaterThan(90)
      collectGarbage()
      expect(outcomes.filter(outcome => outcome.deref() !== undefined).length).toBeLessThan(10)
    } finally {
      Promise.allSettled = allSettled
    }
  })
})

describe('the fragments of a blob', () => {
  it('are gathered in whatever order they are listed', () => {
    const size = 300 * PART_BYTES
    const names = Array.from({ length: 300 }, (_, i) => `${size}.${i * 512 + (i % 2)}-${(i + 1) * 512}`)
    const twice = `${size}.1024-1100`
    const fragments = new Fragments(blob.hash, size, [
      twice,
      ...names.toSorted(),
      twice,
      `${size - 1}.512-513`
    ])
    const one = new Fragments(blob.hash, size, [])
    for (const name of names) one.add(parseFragment(name)!)
    expect(one.held.boundaries.length).toBe(302)
    expect(fragments.held.equals(one.held)).toBe(true)
    expect(fragments.of(2).map(formatFragment).sort()).toEqual([twice, names[2]])
    fragments.replace(parseFragment(names[2]!)!)
    expect(fragments.of(2).map(formatFragment)).toEqual([names[2]])
    fragments.drop([parseFragment(names[2]!)!])
    expect(fragments.wholePart(2)).toBe(undefined)
    expect(fragments.held.equals(one.held.subtract(groups(1024, 1536)))).toBe(true)
  })
})

describe('a blob of many parts', () => {
  const parts = 9
  const long = blobOf((parts - 1) * PART_BYTES + 12_345, 9)
  const ofData = (storage: WatchedStorage, wanted: string): number =>
    storage.calls.filter(({ method, key }) => key === dataKey(long.hash) && method === wanted).length

  it('is put together while it is arriving: at the end there is nothing left to compose', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const writer = await store.writer(long.hash, long.size)
    await writeBytes(writer, long, 0, 8 * PART_BYTES)
    while (storage.count('copy') < 7) await setTimeout(5)
    await writeBytes(writer, long, 8 * PART_BYTES, long.size)
    await writer.close()
    await expectComplete(store, storage, long)
    expect(storage.count('copy')).toBe(parts)
    expect(storage.count('compose')).toBe(0)
    expect(ofData(storage, 'complete')).toBe(1)
  })

  it('is not begun to be put together by who wants less than half of it', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, long, bytes(long, 0, 4 * PART_BYTES))
    expect(ofData(storage, 'upload')).toBe(0)
    expect(await claimed(store, long)).toBe(4 * PART_BYTES)
  })

  for (const method of ['upload', 'copy', 'complete'] as const) {
    it(`is composed at the end when ${method} fails before`, async () => {
      const storage = new WatchedStorage()
      storage.before = call => {
        if (call.method !== method || call.key.endsWith('/outboard')) return
        if (method === 'copy' && storage.count('copy') < 3) return
        throw new StorageUnavailableError('not now')
      }
      const store = await testStore(storage)
      await receive(store, long)
      await expectComplete(store, storage, long)
      expect(storage.count('compose')).toBe(1)
      expect(ofData(storage, 'upload')).toBe(1)
      if (method !== 'upload') expect(ofData(storage, 'abort')).toBeGreaterThan(0)
    })
  }

  it('leaves no upload when it stops arriving, and is put together when it goes on', async () => {
    const storage = new WatchedStorage()
    const dbPath = await testDatabase()
    const first = await testStore(storage, dbPath)
    await receive(first, long, bytes(long, 0, 6 * PART_BYTES))
    await first.close()
    expect(ofData(storage, 'upload')).toBe(1)
    expect(ofData(storage, 'abort')).toBeGreaterThan(0)
    const second = await testStore(storage, dbPath)
    expect(await claimed(second, long)).toBe(6 * PART_BYTES)
    await receive(second, long, bytes(long, 6 * PART_BYTES, long.size))
    await expectComplete(second, storage, long)
    expect(storage.count('compose')).toBe(0)
  })

  it('is given up in the middle of it when it is deleted', async () => {
    const storage = new WatchedStorage()
    const gate = new Gate()
    storage.before = async ({ method }) => {
      if (method === 'copy') await gate.pass()
    }
    const store = await testStore(storage)
    const writer = await store.writer(long.hash, long.size)
    await writeBytes(writer, long, 0, 6 * PART_BYTES)
    await gate.reached
    const deleting = store.delete(long.hash)
    await setTimeout(20)
    gate.open()
    expect(await deleting).toBe(true)
    await writer.close()
    expect(await store.status(long.hash)).toEqual({ state: 'absent' })
    expect(await leftOvers(storage, long.hash)).toEqual([])
    expect(ofData(storage, 'abort')).toBeGreaterThan(0)
    expect(ofData(storage, 'complete')).toBe(0)
  })
})

describe('composeMany', () => {
  it('puts together any number of slices, and leaves nothing but the object', async () => {
    const storage = new MemoryStorage()
    const content = blobOf(37 * MIB, 6).data
    const slices: Slice[] = []
    for (let i = 0; i * 5 * MIB < content.length; i++) {
      const piece = content.subarray(i * 5 * MIB, (i + 1) * 5 * MIB)
      await storage.put(`piece-${i}`, [new Uint8Array(7), piece])
      slices.push({ key: `piece-${i}`, offset: 7, length: piece.length })
    }
    for (const most of [2, 3, 4, 7, 8, 9]) {
      await composeMany(storage, 'whole', slices.slice(0, most === 2 ? 4 : 8), { most })
      const stored = new Uint8Array(most === 2 ? 20 * MIB : content.length)
      await readInto(storage, 'whole', 0, stored)
      expect(Buffer.compare(stored, content.subarray(0, stored.length))).toBe(0)
      expect(await Array.fromAsync(storage.list({ prefix: 'temp/' }))).toEqual([])
    }
  })

  it('leaves nothing when it fails', async () => {
    const storage = new WatchedStorage()
    const content = blobOf(20 * MIB, 7).data
    await storage.put('piece', [content.subarray(0, 16 * MIB)])
    const slices = Array.from({ length: 4 }, () => ({ key: 'piece', offset: 0, length: 5 * MIB }))
    storage.before = ({ method, key }) => {
      if (method === 'compose' && key === 'whole') throw new StorageUnavailableError('not now')
    }
    await expect(composeMany(storage, 'whole', slices, { most: 2 })).rejects.toThrow('not now')
    expect(await Array.fromAsync(storage.inner.list({ prefix: 'temp/' }))).toEqual([])
  })
})

it('a group of a blob can be asked for while its part is on its way', async () => {
  const storage = new WatchedStorage()
  const gate = new Gate()
  storage.before = async call => {
    if (isFragmentPut(call)) await gate.pass()
  }
  const store = await testStore(storage)
  const writer = await store.writer(blob.hash, blob.size)
  await writeBytes(writer, blob, 0, PART_BYTES)
  await gate.reached
  await using reader = await store.open(blob.hash)
  const group = new Uint8Array(GROUP_BYTES)
  await reader!.readData(100 * GROUP_BYTES, group)
  expect(Buffer.compare(group, blob.data.subarray(100 * GROUP_BYTES, 101 * GROUP_BYTES))).toBe(0)
  expect(reader!.held?.equals(groups(0, 512))).toBe(true)
  gate.open()
  await writer.close()
})
