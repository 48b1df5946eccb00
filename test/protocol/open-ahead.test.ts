/** Blobs of a response that are opened before their turn. */
import { describe, expect, it } from 'vitest'
import { ChunkRanges, GROUP_BYTES } from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import { NotAvailableError } from '../../src/protocol/errors.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import {
  MOST_AHEAD,
  MOST_SMALL_AHEAD,
  type OpenedBlob,
  openAhead,
  type WantedBlob
} from '../../src/protocol/open-ahead.ts'
import { RangesSeq } from '../../src/protocol/ranges-seq.ts'
import { type ReceiveProgress, receive } from '../../src/protocol/receive.ts'
import { encodeRequest, type GetRequest } from '../../src/protocol/request.ts'
import { respond } from '../../src/protocol/respond.ts'
import { storeSink } from '../../src/protocol/store-sink.ts'
import type { BlobReader, OpenOptions } from '../../src/store/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'

const COUNT = 2 * MOST_SMALL_AHEAD
const LARGE = GROUP_BYTES + 1

/** Knows which of its readers are open. */
class CountingStore extends MemoryStore {
  readonly opened = new Set<BlobReader>()
  /** Hashes in the order in which they were opened. */
  readonly asked: string[] = []
  most = 0

  override async open(hash: Hash, options?: OpenOptions): Promise<BlobReader | undefined> {
    this.asked.push(hash.toString())
    const reader = await super.open(hash, options)
    if (reader === undefined) return undefined
    this.opened.add(reader)
    this.most = Math.max(this.most, this.opened.size)
    const close = reader.close.bind(reader)
    reader.close = async () => {
      this.opened.delete(reader)
      await close()
    }
    return reader
  }
}

async function storeOf(count: number, size = 100): Promise<{ store: CountingStore; hashes: Hash[] }> {
  const store = new CountingStore()
  const hashes: Hash[] = []
  for (let i = 0; i < count; i++) hashes.push((await store.addBytes(randomData(size, i))).hash)
  return { store, hashes }
}

async function* wantedOf(hashes: readonly Hash[]): AsyncGenerator<WantedBlob> {
  for (const [index, hash] of hashes.entries()) yield { index, hash, ranges: ChunkRanges.all }
}

const indexOf = ({ index, reader }: OpenedBlob) => (reader === undefined ? `no ${index}` : index)

describe('opening ahead', () => {
  it.each([
    ['large', LARGE, MOST_AHEAD],
    ['small', 100, MOST_SMALL_AHEAD]
  ])('keeps the order, and has no more %s blobs open than it may', async (_, size, most) => {
    const { store, hashes } = await storeOf(2 * most, size)
    const order: unknown[] = []
    for await (const blob of openAhead(store, wantedOf(hashes), {})) {
      order.push(indexOf(blob))
      const content = new Uint8Array(size)
      await blob.reader!.readData(0, content)
      expect(content).toEqual(randomData(size, blob.index))
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(order).toEqual(hashes.map((_, i) => i))
    expect(store.most).toBe(most + 1)
    expect(store.opened.size).toBe(0)
  })

  it('takes no more from its source than it opens', async () => {
    const { store, hashes } = await storeOf(COUNT, LARGE)
    let taken = 0
    const counted = async function* () {
      for await (const wanted of wantedOf(hashes)) {
        taken++
        yield wanted
      }
    }
    for await (const { index } of openAhead(store, counted(), {})) {
      expect(taken).toBeLessThanOrEqual(index + 1 + MOST_AHEAD)
    }
  })

  it('closes all when the consumer leaves', async () => {
    const { store, hashes } = await storeOf(COUNT)
    for await (const { index } of openAhead(store, wantedOf(hashes), {})) {
      if (index === 3) break
    }
    expect(store.asked.length).toBeGreaterThan(4)
    expect(store.opened.size).toBe(0)
  })

  it('goes on with a blob that was deleted after it was opened', async () => {
    const { store, hashes } = await storeOf(COUNT)
    const order: unknown[] = []
    for await (const blob of openAhead(store, wantedOf(hashes), {})) {
      if (blob.index === 0) {
        await store.delete(hashes[1]!)
        await store.delete(hashes[COUNT - 1]!)
      }
      order.push(indexOf(blob))
    }
    expect(order).toEqual([...hashes.keys()].map(i => (i === COUNT - 1 ? `no ${i}` : i)))
  })

  it('looks again, in its turn, for a blob that was not there', async () => {
    const { store, hashes } = await storeOf(COUNT)
    await store.delete(hashes[5]!)
    const order: unknown[] = []
    for await (const blob of openAhead(store, wantedOf(hashes), {})) {
      if (blob.index === 4) await store.addBytes(randomData(100, 5))
      order.push(indexOf(blob))
    }
    expect(order).toEqual([...hashes.keys()])
  })

  it('looks again, in its turn, for more of a blob of which not all was there', async () => {
    const from = new MemoryStore()
    const { hash } = await from.addBytes(randomData(2 * GROUP_BYTES, 1))
    const { store, hashes } = await storeOf(3)
    const get = (ranges: ChunkRanges): GetRequest => ({ type: 'get', hash, ranges: RangesSeq.blob(ranges) })
    await fetchAll(from, store, get(ChunkRanges.ofBytes(0, GROUP_BYTES)))
    for await (const { index, reader } of openAhead(store, wantedOf([...hashes, hash]), {})) {
      if (index === 2) await fetchAll(from, store, get(ChunkRanges.all))
      if (index === 3) expect(reader!.held).toBeUndefined()
    }
    expect(store.opened.size).toBe(0)
  })

  it('throws what one cannot be opened for in its turn, and closes the others', async () => {
    const { store, hashes } = await storeOf(COUNT)
    const open = store.open.bind(store)
    store.open = async (hash, options) => {
      if (hash.equals(hashes[5]!)) throw new Error('the disk failed')
      return await open(hash, options)
    }
    const order: unknown[] = []
    const run = async () => {
      for await (const blob of openAhead(store, wantedOf(hashes), {})) order.push(indexOf(blob))
    }
    await expect(run()).rejects.toThrow('the disk failed')
    expect(order).toEqual([0, 1, 2, 3, 4])
    expect(store.opened.size).toBe(0)
  })

  it('throws what its source throws after what came before', async () => {
    const { store, hashes } = await storeOf(3)
    const failing = async function* () {
      yield* wantedOf(hashes)
      throw new Error('no more links')
    }
    const order: unknown[] = []
    const run = async () => {
      for await (const blob of openAhead(store, failing(), {})) order.push(indexOf(blob))
    }
    await expect(run()).rejects.toThrow('no more links')
    expect(order).toEqual([0, 1, 2])
    expect(store.opened.size).toBe(0)
  })
})

describe('a response of many small blobs', () => {
  async function collection(): Promise<{ store: CountingStore; hashes: Hash[]; request: GetRequest }> {
    const { store, hashes } = await storeOf(COUNT)
    const { hash } = await store.addBytes(HashSequence.fromHashes(hashes).bytes)
    return { store, hashes, request: { type: 'get', hash, ranges: RangesSeq.all } }
  }

  it('ends at the first child that is not there, and all before it arrive', async () => {
    const { store, hashes, request } = await collection()
    await store.delete(hashes[20]!)
    const to = new MemoryStore()
    const failure = await fetchAll(store, to, request).catch(error => error)
    expect(failure).toBeInstanceOf(NotAvailableError)
    expect(failure).toMatchObject({ index: 21 })
    for (const [i, hash] of hashes.entries()) {
      expect((await to.status(hash)).state).toBe(i < 20 ? 'complete' : 'absent')
    }
    expect(store.opened.size).toBe(0)
  })

  it('leaves nothing open when the getter goes away in the middle', async () => {
    const { store, request } = await collection()
    const stopping = new AbortController()
    const response = respond([encodeRequest(request)], store, {
      signal: stopping.signal,
      onBlob: ({ index }) => {
        if (index === 10) stopping.abort(new Error('the stream was closed'))
      }
    })
    await expect(Array.fromAsync(response)).rejects.toThrow('the stream was closed')
    expect(store.most).toBeGreaterThan(2)
    expect(store.opened.size).toBe(0)
  })
})

async function fetchAll(from: MemoryStore, to: MemoryStore, request: GetRequest): Promise<ReceiveProgress[]> {
  return await Array.fromAsync(receive(request, respond([encodeRequest(request)], from), storeSink(to)))
}
