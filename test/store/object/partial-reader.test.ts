/** Reading what has come of a blob, while it goes on arriving, becomes complete, or is deleted. */
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES, RUN_BYTES } from '../../../src/bao/constants.ts'
import { encode } from '../../../src/bao/encoder.ts'
import { MissingChunksError } from '../../../src/bao/errors.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import type { BlobReader, BlobStore } from '../../../src/store/index.ts'
import { SAVE_MS } from '../../../src/store/object/arrival.ts'
import { dataKey } from '../../../src/store/object/layout.ts'
import { PART_BYTES } from '../../../src/store/object/parts.ts'
import { StorageUnavailableError } from '../../../src/store/object/storage/errors.ts'
import { encodeAll } from '../../helpers/bao.ts'
import {
  type Blob,
  blobOf,
  bytes,
  expectComplete,
  Gate,
  groups,
  proven,
  receive,
  testStore,
  WatchedStorage
} from './arriving.ts'

const MIB = 1024 * 1024
const blob = blobOf(17 * MIB + 12_345)
const small = blobOf(3 * MIB + 1, 5)

async function opened(store: BlobStore, { hash }: Blob): Promise<BlobReader> {
  const reader = await store.open(hash)
  if (reader === undefined) throw new Error('it is not there')
  return reader
}

/** What the reader holds is encoded just as from the blob itself. */
async function expectRight(
  reader: BlobReader,
  from: Blob,
  ranges = reader.held ?? ChunkRanges.all
): Promise<void> {
  const right = await encodeAll(from.source, ranges)
  const pieces = await Array.fromAsync(encode(from.hash, reader, ranges))
  expect(Buffer.compare(Buffer.concat(pieces), right)).toBe(0)
}

/** How much has come when the reader is opened: nothing saved, some saved, whole parts saved. */
const moments: Record<string, [from: Blob, end: number, isSaved: boolean]> = {
  'in memory': [blob, 3 * MIB, false],
  'in a fragment': [blob, 3 * MIB, true],
  'in a whole part and in memory': [blob, 10 * MIB, false],
  'in a whole part and a fragment': [blob, 10 * MIB, true],
  'in memory, of a small blob': [small, MIB, false],
  'in a fragment, of a small blob': [small, MIB, true]
}

for (const [name, [from, end, isSaved]] of Object.entries(moments)) {
  describe(`a reader of what lies ${name}`, () => {
    async function start() {
      const storage = new WatchedStorage()
      const store = await testStore(storage)
      if (isSaved) await receive(store, from, bytes(from, 0, end))
      const writer = await store.writer(from.hash, from.size)
      const write = async (a: number, b: number) => {
        for await (const verified of proven(from, bytes(from, a, b))) await writer.write(verified)
      }
      await write(0, end)
      const reader = await opened(store, from)
      expect(reader.held?.equals(bytes(from, 0, end))).toBe(true)
      return { storage, store, writer, write, reader }
    }

    it('goes on while more arrives and becomes complete', async () => {
      const { storage, store, writer, write, reader } = await start()
      await expectRight(reader, from)
      await write(end, end + MIB)
      await expectRight(reader, from)
      await write(end + MIB, from.size)
      await expectRight(reader, from)
      await writer.close()
      await expectRight(reader, from)
      await expectRight(reader, from)
      await reader.close()
      await expectComplete(store, storage, from)
    })

    it('goes on when it was not read before the blob was complete', async () => {
      const { writer, write, reader } = await start()
      await write(end, from.size)
      await writer.close()
      await expectRight(reader, from)
      await reader.close()
    })

    it('goes on when the blob is deleted, until it is closed', async () => {
      const { storage, store, reader } = await start()
      expect(await store.delete(from.hash)).toBe(true)
      expect(await store.status(from.hash)).toEqual({ state: 'absent' })
      await expectRight(reader, from)
      await reader.close()
      await expect.poll(() => Array.fromAsync(storage.list({ prefix: 'blobs/' }))).toEqual([])
    })

    it('goes on when the writer closes before the end', async () => {
      const { writer, reader } = await start()
      await writer.close()
      await expectRight(reader, from)
      await reader.close()
    })

    it('serves many who read at the same time, and who leave', async () => {
      const { writer, write, reader } = await start()
      const reason = new Error('no longer wanted')
      const stop = new AbortController()
      const reading = Array.from({ length: 8 }, (_, i) =>
        i % 4 === 3
          ? Array.fromAsync(encode(from.hash, reader, reader.held!, { signal: stop.signal }))
          : expectRight(reader, from)
      )
      const leaving = Promise.allSettled(reading.filter((_, i) => i % 4 === 3))
      await write(end, from.size)
      stop.abort(reason)
      await writer.close()
      await Promise.all(reading.filter((_, i) => i % 4 !== 3))
      for (const left of await leaving) if (left.status === 'rejected') expect(left.reason).toBe(reason)
      await reader.close()
    })

    it('does not hold what came later', async () => {
      const { write, reader } = await start()
      await write(end, end + MIB)
      await expect(expectRight(reader, from, ChunkRanges.all)).rejects.toThrow(MissingChunksError)
      await reader.close()
    })
  })
}

describe('a reader of a partial blob', () => {
  it('reads the nodes of a fragment once, whoever asks, and again after that has failed', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, blob, bytes(blob, 0, 4 * MIB))
    await using reader = await opened(store, blob)
    const gate = new Gate()
    let isFailing = true
    storage.before = async ({ method }) => {
      if (method !== 'read') return
      await gate.pass()
      if (isFailing) throw new StorageUnavailableError('not now')
    }
    const reason = new Error('no longer wanted')
    const stop = new AbortController()
    const nodes = new Uint8Array(640)
    const leaving = reader.readOutboard(0, nodes, stop.signal)
    const others = [reader.readOutboard(0, new Uint8Array(640)), reader.readOutboard(0, new Uint8Array(640))]
    const failed = Promise.allSettled(others)
    await gate.reached
    stop.abort(reason)
    await expect(leaving).rejects.toBe(reason)
    gate.open()
    for (const result of await failed) expect(result.status).toBe('rejected')
    isFailing = false
    storage.calls.length = 0
    await Promise.all([reader.readOutboard(0, nodes), reader.readOutboard(0, new Uint8Array(640))])
    expect(storage.count('read')).toBe(1)
    const right = new Uint8Array(640)
    await blob.source.readOutboard(0, right)
    expect(Buffer.compare(nodes, right)).toBe(0)
  })

  it('reads what is spread over many fragments of a part', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    for (let group = 0; group < 120; group += 3) await receive(store, blob, groups(group, group + 2))
    await receive(store, blob, groups(600, 601))
    await using reader = await opened(store, blob)
    await expectRight(reader, blob)
    // What is held further on, too, with all that is above the parts.
    await expectRight(reader, blob, groups(600, 601))
  })

  it('fails when a fragment is gone, and does not take nothing for something', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, blob, bytes(blob, 0, 4 * MIB))
    await using reader = await opened(store, blob)
    for await (const { key } of storage.list({ prefix: 'blobs/' })) await storage.inner.delete([key])
    await expect(reader.readData(0, new Uint8Array(10))).rejects.toThrow('there is no object')
    await expect(reader.readOutboard(0, new Uint8Array(64))).rejects.toThrow('there is no object')
  })

  it('reads nothing after it was closed, and nothing beyond the end', async () => {
    const store = await testStore(new WatchedStorage())
    await receive(store, blob, bytes(blob, 0, 4 * MIB))
    const reader = await opened(store, blob)
    await expect(reader.readData(blob.size - 1, new Uint8Array(2))).rejects.toThrow(RangeError)
    await reader.close()
    await reader.close()
    await expect(reader.readData(0, new Uint8Array(10))).rejects.toMatchObject({ code: 'ERR_HANDLE_CLOSED' })
  })

  it('goes on when parts are taken out of memory and put together', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const writer = await store.writer(blob.hash, blob.size)
    const stop = new AbortController()
    let rounds = 0
    const reading = (async () => {
      while (!stop.signal.aborted) {
        const reader = await store.open(blob.hash)
        if (reader !== undefined) {
          await expectRight(reader, blob)
          await reader.close()
          rounds++
        }
        await setTimeout(1)
      }
    })()
    for (const stride of [0, 1, 2]) {
      for (let at = stride * RUN_BYTES; at < blob.size; at += 3 * RUN_BYTES) {
        for await (const verified of proven(blob, bytes(blob, at, at + RUN_BYTES)))
          await writer.write(verified)
        await setTimeout(5)
      }
      // Somebody else looks after another store meanwhile: what is in memory only is saved.
      await setTimeout(SAVE_MS + 300)
    }
    await writer.close()
    await expect.poll(() => rounds).toBeGreaterThan(3)
    stop.abort()
    await reading
    await expectComplete(store, storage, blob)
  })

  it('of a part that was completed reads the data, not the fragments', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, blob, bytes(blob, 0, PART_BYTES))
    await using reader = await opened(store, blob)
    await receive(store, blob)
    storage.calls.length = 0
    await expectRight(reader, blob)
    expect(storage.count('read', dataKey(blob.hash))).toBeGreaterThan(0)
    expect(storage.count('list')).toBeLessThanOrEqual(4)
    await reader.readData(GROUP_BYTES, new Uint8Array(10))
  })
})
