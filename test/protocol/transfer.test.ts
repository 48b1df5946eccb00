/** respond() and receive() against each other, over nothing but bytes. */
import fc from 'fast-check'
import { pipe } from 'it-pipe'
import { describe, expect, it } from 'vitest'
import {
  ChunkRanges,
  CorruptSourceError,
  GROUP_BYTES,
  HashMismatchError,
  hashBytes,
  TruncatedEncodingError
} from '../../src/bao/index.ts'
import { Hash } from '../../src/hash.ts'
import {
  BlobTooLargeError,
  NotAvailableError,
  PermissionDeniedError,
  RefusedError
} from '../../src/protocol/errors.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import { receiveObserved } from '../../src/protocol/observe.ts'
import type { ObserveItem } from '../../src/protocol/observe-item.ts'
import { RangesSeq } from '../../src/protocol/ranges-seq.ts'
import { type ReceiveProgress, receive } from '../../src/protocol/receive.ts'
import {
  encodeRequest,
  type GetManyRequest,
  type GetRequest,
  type Request
} from '../../src/protocol/request.ts'
import { type RespondOptions, respond } from '../../src/protocol/respond.ts'
import { storeSink } from '../../src/protocol/store-sink.ts'
import type { BlobReader, BlobStore } from '../../src/store/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { INTERESTING_SIZES, randomData } from '../helpers/data.ts'

const get = (hash: Hash, ranges: RangesSeq = RangesSeq.blob(ChunkRanges.all)): GetRequest => ({
  type: 'get',
  hash,
  ranges
})

async function contentOf(store: BlobStore, hash: Hash): Promise<Uint8Array> {
  const request = get(hash)
  const pieces: Uint8Array[] = []
  const sink = {
    open: async () => ({
      write: async ({ leaves }: { leaves: readonly { bytes: Uint8Array }[] }) => {
        for (const { bytes } of leaves) pieces.push(Uint8Array.from(bytes))
      },
      close: async () => undefined
    }),
    links: () => Promise.reject(new Error('no children here'))
  }
  await Array.fromAsync(receive(request, respond([encodeRequest(request)], store), sink))
  return Buffer.concat(pieces)
}

/** One request over nothing but generators. */
async function transfer(
  from: BlobStore,
  to: BlobStore,
  request: GetRequest | GetManyRequest,
  options: RespondOptions = {},
  change: (response: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array> = response => response
): Promise<ReceiveProgress[]> {
  const { hasStatus } = options
  return pipe(
    [encodeRequest(request)],
    source => respond(source, from, options),
    change,
    source => receive(request, source, storeSink(to), { hasStatus }),
    source => Array.fromAsync(source)
  )
}

/** A response cut into pieces of the sizes given, in turn. */
function cut(sizes: readonly number[]): (response: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array> {
  return async function* (response) {
    let i = 0
    for await (const bytes of response) {
      for (let at = 0; at < bytes.length; ) {
        const size = sizes[i++ % sizes.length]!
        yield bytes.slice(at, at + size)
        at += size
      }
    }
  }
}

/** Whose blobs come from far away, and all but the first group of them only once `rest` is resolved. */
class FarStore extends MemoryStore {
  readonly rest = Promise.withResolvers<void>()
  /** What was done with the blobs, in order. */
  readonly done: string[] = []

  override async open(hash: Hash): Promise<BlobReader | undefined> {
    const reader = await super.open(hash)
    if (reader === undefined) return undefined
    return {
      hash,
      size: reader.size,
      isFar: true,
      askAhead: async () => {
        this.done.push('asked ahead')
      },
      readData: async (offset, target, signal) => {
        this.done.push('read')
        if (offset + target.length > GROUP_BYTES) await this.rest.promise
        await reader.readData(offset, target, signal)
      },
      readOutboard: (offset, target, signal) => reader.readOutboard(offset, target, signal),
      close: () => reader.close(),
      [Symbol.asyncDispose]: () => reader.close()
    }
  }
}

describe.each([false, true])('a Get (status: %s)', hasStatus => {
  it.each(INTERESTING_SIZES)('moves a blob of %i bytes', async size => {
    const data = randomData(size, 5)
    const from = new MemoryStore()
    const to = new MemoryStore()
    const { hash } = await from.addBytes(data)
    const progress = await transfer(from, to, get(hash), { hasStatus })
    expect(progress.at(-1)).toMatchObject({ index: 0, size, received: size, isDone: true })
    expect(await to.status(hash)).toEqual({ state: 'complete', size })
    expect(Buffer.compare(await contentOf(to, hash), data)).toBe(0)
  })

  it('moves a hash sequence with all its children, duplicates and empty ones too, however the bytes are cut', async () => {
    const from = new MemoryStore()
    const hashes: Hash[] = []
    for (const size of [5000, 0, 17_000, 5000, 1, 300_000])
      hashes.push((await from.addBytes(randomData(size, 2))).hash)
    const { hash } = await from.addBytes(HashSequence.fromHashes(hashes).bytes)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 5 }),
        async sizes => {
          const to = new MemoryStore()
          const progress = await transfer(from, to, get(hash, RangesSeq.all), { hasStatus }, cut(sizes))
          expect(progress.filter(({ isDone }) => isDone).map(({ index }) => index)).toEqual([
            0, 1, 2, 3, 4, 5, 6
          ])
          for (const child of hashes) {
            expect(await to.status(child)).toMatchObject({ state: 'complete' })
            expect(Buffer.compare(await contentOf(to, child), await contentOf(from, child))).toBe(0)
          }
        }
      ),
      { numRuns: 10 }
    )
  })

  it('takes what is here already without waiting for it, and tells of all that arrives', async () => {
    const data = randomData(300_000, 5)
    const from = new MemoryStore()
    const to = new MemoryStore()
    const { hash } = await from.addBytes(data)
    const request = get(hash)
    const response = respond([encodeRequest(request)], from, { hasStatus })
    const pieces = await Array.fromAsync(cut([1, 10_000, 16_384])(response))
    const length = pieces.reduce((sum, { length }) => sum + length, 0)
    let waits = 0
    let isHere = false
    const source = {
      async *[Symbol.asyncIterator]() {
        for (;;) {
          const piece = pieces.shift()
          if (piece === undefined) return
          waits++
          isHere = true
          yield piece
        }
      },
      takeNow: () => {
        // Every third piece has to be waited for.
        isHere &&= pieces.length % 3 > 0
        return isHere ? pieces.shift() : undefined
      }
    }
    const count = pieces.length
    let bytes = 0
    const onBytes = (more: number) => {
      bytes += more
    }
    await Array.fromAsync(receive(request, source, storeSink(to), { hasStatus, onBytes }))
    expect(Buffer.compare(await contentOf(to, hash), data)).toBe(0)
    expect(bytes).toBe(length)
    expect(waits).toBeLessThan(count / 2)
  })

  it('hands on what comes first of a source far away while the rest is still on its way', async () => {
    const data = randomData(5 * GROUP_BYTES, 6)
    const store = new FarStore()
    const { hash } = await store.addBytes(data)
    const pieces: Uint8Array[] = []
    const sink = {
      open: async () => ({
        write: async ({ leaves }: { leaves: readonly { bytes: Uint8Array }[] }) => {
          for (const { bytes } of leaves) pieces.push(Uint8Array.from(bytes))
          if (leaves.length > 0) store.rest.resolve()
        },
        close: async () => undefined
      }),
      links: () => Promise.reject(new Error('no children here'))
    }
    // It would wait for ever if the first group waited for any other.
    const response = respond([encodeRequest(get(hash))], store, { hasStatus })
    await Array.fromAsync(receive(get(hash), response, sink, { hasStatus, isAwaited: true }))
    expect(Buffer.compare(Buffer.concat(pieces), data)).toBe(0)
    expect(store.done.filter((what, i) => i === 0 || what !== store.done[i - 1])).toEqual([
      'asked ahead',
      'read'
    ])
  })

  it('fetches some children of a sequence that is held already', async () => {
    const from = new MemoryStore()
    const to = new MemoryStore()
    const hashes: Hash[] = []
    for (let i = 0; i < 1200; i++) hashes.push((await from.addBytes(randomData(100 + i, i))).hash)
    const { hash } = await from.addBytes(HashSequence.fromHashes(hashes).bytes)
    await transfer(from, to, get(hash), { hasStatus })
    const ranges = RangesSeq.fromEntries([
      { from: 3, ranges: ChunkRanges.all },
      { from: 5, ranges: ChunkRanges.empty },
      { from: 1190, ranges: ChunkRanges.all }
    ])
    await transfer(from, to, get(hash, ranges), { hasStatus })
    const held = await Promise.all(hashes.map(async child => (await to.status(child)).state === 'complete'))
    expect(held.flatMap((isHeld, i) => (isHeld ? [i + 1] : []))).toEqual([
      3,
      4,
      ...Array.from({ length: 11 }, (_, i) => 1190 + i)
    ])
  })

  it('goes on where a partial blob ends', async () => {
    const data = randomData(40 * GROUP_BYTES + 5, 4)
    const from = new MemoryStore()
    const to = new MemoryStore()
    const { hash } = await from.addBytes(data)
    await transfer(from, to, get(hash, RangesSeq.blob(ChunkRanges.range(0, 160))), { hasStatus })
    expect(await to.status(hash)).toMatchObject({ state: 'partial', size: data.length, isSizeProven: false })
    await transfer(from, to, get(hash, RangesSeq.blob(ChunkRanges.range(160))), { hasStatus })
    expect(await to.status(hash)).toMatchObject({ state: 'complete' })
    expect(Buffer.compare(await contentOf(to, hash), data)).toBe(0)
  })

  it('keeps what was proven when the response stops, is reset or turns wrong, and says which', async () => {
    const data = randomData(50 * GROUP_BYTES, 6)
    const from = new MemoryStore()
    const { hash } = await from.addBytes(data)
    const stopAt = 600_000
    const spoil = {
      stops: (bytes: Uint8Array) => bytes.subarray(0, stopAt),
      turnsWrong: (bytes: Uint8Array) => bytes.with(stopAt, bytes[stopAt]! ^ 1)
    }
    for (const [name, change] of Object.entries(spoil)) {
      const to = new MemoryStore()
      const failure = await transfer(from, to, get(hash), { hasStatus }, async function* (response) {
        yield change(Buffer.concat(await Array.fromAsync(response)))
      }).catch(error => error)
      expect(failure).toBeInstanceOf(name === 'stops' ? TruncatedEncodingError : HashMismatchError)
      const status = await to.status(hash)
      if (status.state !== 'partial') throw new Error(`expected a partial blob, it is ${status.state}`)
      expect(Number(status.ranges.boundaries[1])).toBeGreaterThanOrEqual(35 * 16)
    }
    const to = new MemoryStore()
    const reset = new Error('connection lost')
    const small = { hasStatus, encode: { batchBytes: 65_536 } }
    const failure = await transfer(from, to, get(hash), small, async function* (response) {
      let sent = 0
      for await (const bytes of response) {
        yield bytes
        sent += bytes.length
        if (sent >= stopAt) throw reset
      }
    }).catch(error => error)
    expect(failure).toBe(reset)
    expect((await to.status(hash)).state).toBe('partial')
  })

  it('serves what is held of a partial blob, up to the first gap', async () => {
    const data = randomData(20 * GROUP_BYTES, 8)
    const from = new MemoryStore()
    const middle = new MemoryStore()
    const to = new MemoryStore()
    const { hash } = await from.addBytes(data)
    await transfer(from, middle, get(hash, RangesSeq.blob(ChunkRanges.range(0, 96))), { hasStatus })
    await expect(transfer(middle, to, get(hash), { hasStatus })).rejects.toThrow(TruncatedEncodingError)
    expect(await to.status(hash)).toMatchObject({ state: 'partial', ranges: ChunkRanges.range(0, 96) })
  })

  it('says that a blob is not there', async () => {
    const { hash } = hashBytes(randomData(10))
    await expect(transfer(new MemoryStore(), new MemoryStore(), get(hash), { hasStatus })).rejects.toThrow(
      NotAvailableError
    )
  })

  it('refuses a size above the limit before anything is allocated', async () => {
    const from = new MemoryStore()
    const { hash } = await from.addBytes(randomData(5000))
    const request = get(hash)
    const received = receive(request, respond([encodeRequest(request)], from), storeSink(new MemoryStore()), {
      maxBlobBytes: 4999
    })
    await expect(Array.fromAsync(received)).rejects.toThrow(BlobTooLargeError)
    const lie = async function* () {
      yield new Uint8Array(8).fill(255)
    }
    await expect(Array.fromAsync(receive(request, lie(), storeSink(new MemoryStore())))).rejects.toThrow(
      BlobTooLargeError
    )
  })
})

it.each([1, 3, 16])(
  'all that came before a failure is kept, also when it came in pieces of %i KiB',
  async kib => {
    const from = new MemoryStore()
    const to = new MemoryStore()
    const { hash } = await from.addBytes(randomData(100_000))
    const sent = Buffer.concat(await Array.fromAsync(respond([encodeRequest(get(hash))], from)))
    const failing = async function* () {
      for (let at = 0; at < 52_000; at += kib * 1024)
        yield sent.subarray(at, Math.min(at + kib * 1024, 52_000))
      throw new Error('the connection was lost')
    }
    const receiving = Array.fromAsync(receive(get(hash), failing(), storeSink(to)))
    await expect(receiving).rejects.toThrow('the connection was lost')
    expect(await to.status(hash)).toMatchObject({ state: 'partial', ranges: ChunkRanges.range(0, 48) })
  }
)

describe('a GetMany', () => {
  it('lets others have their turn while it takes what is all here already', async () => {
    const from = new MemoryStore()
    const added = await Promise.all(Array.from({ length: 4000 }, (_, i) => from.addBytes(randomData(64, i))))
    const hashes = added.map(({ hash }) => hash)
    const request: GetManyRequest = { type: 'get_many', hashes, ranges: RangesSeq.all }
    const response = await Array.fromAsync(respond([encodeRequest(request)], from))
    const source = async function* () {
      yield* response
    }
    let turns = 0
    const count = (): void => {
      turns++
      turn = setImmediate(count)
    }
    let turn = setImmediate(count)
    await Array.fromAsync(receive(request, source(), storeSink(new MemoryStore())))
    clearImmediate(turn)
    expect(turns).toBeGreaterThan(0)
  })

  it('moves the blobs named, and stops at the first that is not there', async () => {
    const from = new MemoryStore()
    const to = new MemoryStore()
    const hashes = [
      (await from.addBytes(randomData(50_000))).hash,
      (await from.addBytes(randomData(10))).hash,
      hashBytes(randomData(11)).hash,
      (await from.addBytes(randomData(12))).hash
    ]
    const request: GetManyRequest = { type: 'get_many', hashes, ranges: RangesSeq.all }
    const failure = await transfer(from, to, request).catch(error => error)
    expect(failure).toBeInstanceOf(NotAvailableError)
    expect(failure.index).toBe(2)
    expect(failure.hash).toBe(hashes[2])
    const states = await Promise.all(hashes.map(async hash => (await to.status(hash)).state))
    expect(states).toEqual(['complete', 'complete', 'absent', 'absent'])
  })
})

describe('an Observe', () => {
  it('tells what is there, then what has come', async () => {
    const data = randomData(4 * GROUP_BYTES)
    const from = new MemoryStore()
    const to = new MemoryStore()
    const { hash } = await from.addBytes(data)
    const request: Request = { type: 'observe', hash, ranges: ChunkRanges.all }
    const items: ObserveItem[] = []
    const stop = new AbortController()
    const response = respond([encodeRequest(request)], to, { signal: stop.signal, hasStatus: true })
    for await (const item of receiveObserved(hash, response, { hasStatus: true })) {
      items.push(item)
      if (items.length === 1) await transfer(from, to, get(hash, RangesSeq.blob(ChunkRanges.range(16, 32))))
      if (items.length === 2) await transfer(from, to, get(hash))
      if (item.ranges.isAll) stop.abort()
    }
    expect(items[0]).toEqual({ size: 0, ranges: ChunkRanges.empty })
    expect(items[1]).toEqual({ size: data.length, ranges: ChunkRanges.range(16, 32) })
    expect(items.at(-1)).toEqual({ size: data.length, ranges: ChunkRanges.all })
  })
})

describe('a Push', () => {
  const push = async (from: BlobStore, hash: Hash, ranges: RangesSeq): Promise<Uint8Array[]> => [
    encodeRequest({ type: 'push', hash, ranges }),
    ...(await Array.fromAsync(respond([encodeRequest(get(hash, ranges))], from)))
  ]

  it('is taken when it is allowed, a hash sequence with its children too', async () => {
    const from = new MemoryStore()
    const children = [
      (await from.addBytes(randomData(70_000))).hash,
      (await from.addBytes(randomData(3))).hash
    ]
    const { hash } = await from.addBytes(HashSequence.fromHashes(children).bytes)
    const to = new MemoryStore()
    const answer = Buffer.concat(
      await Array.fromAsync(
        respond(await push(from, hash, RangesSeq.all), to, { acceptPush: true, hasStatus: true })
      )
    )
    expect([...answer]).toEqual([0])
    for (const each of [hash, ...children]) expect((await to.status(each)).state).toBe('complete')
  })

  it('is refused by default, and nothing of it is kept', async () => {
    const from = new MemoryStore()
    const { hash } = await from.addBytes(randomData(100_000))
    const to = new MemoryStore()
    const bytes = await push(from, hash, RangesSeq.blob(ChunkRanges.all))
    await expect(Array.fromAsync(respond(bytes, to))).rejects.toThrow(PermissionDeniedError)
    const [status] = await Array.fromAsync(respond(bytes, to, { hasStatus: true }))
    expect(status![0]).toBe(2)
    expect((await to.status(hash)).state).toBe('absent')
  })

  it('of wrong bytes is not acknowledged', async () => {
    const from = new MemoryStore()
    const { hash } = await from.addBytes(randomData(100_000))
    const to = new MemoryStore()
    const [request, ...data] = await push(from, hash, RangesSeq.blob(ChunkRanges.all))
    const wrong = Buffer.concat(data).fill(7, 90_000, 90_001)
    const answer = Buffer.concat(
      await Array.fromAsync(respond([request!, wrong], to, { acceptPush: true, hasStatus: true }))
    )
    expect(answer[0]).toBe(4)
    expect((await to.status(hash)).state).toBe('partial')
  })
})

describe('statuses', () => {
  const statusOf = async (
    request: Uint8Array,
    options: RespondOptions = {},
    store: BlobStore = new MemoryStore()
  ) => {
    const to = new MemoryStore()
    const response = respond([request], store, { ...options, hasStatus: true })
    return Array.fromAsync(
      receive(get(Hash.fromBytes(new Uint8Array(32))), response, storeSink(to), { hasStatus: true })
    ).catch(error => error)
  }

  it('a request that is none is told so', async () => {
    const error = await statusOf(Uint8Array.of(5, 1, 2, 3))
    expect(error).toBeInstanceOf(RefusedError)
    expect(error.status.type).toBe('bad_request')
  })

  it('a request that is not authorised is refused before the store is looked at', async () => {
    const { hash } = hashBytes(randomData(10))
    const untouchable = new Proxy(new MemoryStore(), {
      get: (_target, name) => {
        throw new Error(`the store was asked for ${String(name)}`)
      }
    })
    const error = await statusOf(encodeRequest(get(hash)), { authorize: () => false }, untouchable)
    expect(error.status.type).toBe('permission_denied')
    await expect(
      Array.fromAsync(respond([encodeRequest(get(hash))], untouchable, { authorize: async () => false }))
    ).rejects.toThrow(PermissionDeniedError)
  })

  it('a sequence that is none is a bad request', async () => {
    const store = new MemoryStore()
    const { hash } = await store.addBytes(randomData(33))
    const error = await statusOf(encodeRequest(get(hash, RangesSeq.all)), {}, store)
    expect(error.status.type).toBe('bad_request')
    expect(error.message).toContain('33 bytes')
  })

  it('a damaged blob is to be asked for again if nothing is good, else it fails the stream behind what is', async () => {
    const data = randomData(2 * 1024 * 1024)
    const { hash, outboard } = hashBytes(data)
    const store = (damaged: 'data' | 'outboard'): BlobStore => {
      const bad = Uint8Array.from(data)
      const badOutboard = Uint8Array.from(outboard)
      if (damaged === 'data') bad[1_500_000]! ^= 1
      else badOutboard[0]! ^= 1
      const from = (bytes: Uint8Array) => async (offset: number, target: Uint8Array) => {
        target.set(bytes.subarray(offset, offset + target.length))
      }
      return new Proxy(new MemoryStore(), {
        get: (target, name) =>
          name === 'open'
            ? async () => ({
                hash,
                size: data.length,
                readData: from(bad),
                readOutboard: from(badOutboard),
                close: async () => undefined,
                [Symbol.asyncDispose]: async () => undefined
              })
            : name === 'reportDamage'
              ? async (damaged: Hash) => reported.push(damaged)
              : Reflect.get(target, name)
      })
    }
    const reported: Hash[] = []
    const failures: unknown[] = []
    const response = respond([encodeRequest(get(hash))], store('data'), {
      hasStatus: true,
      onFailure: error => failures.push(error)
    })
    const to = new MemoryStore()
    await expect(
      Array.fromAsync(receive(get(hash), response, storeSink(to), { hasStatus: true }))
    ).rejects.toThrow(CorruptSourceError)
    expect(failures[0]).toBeInstanceOf(CorruptSourceError)
    expect((await to.status(hash)).state).toBe('partial')

    const error = await statusOf(encodeRequest(get(hash)), {}, store('outboard'))
    expect(error.status).toEqual({ type: 'busy', retryAfterMs: 1000 })
    expect(reported).toEqual([hash, hash])
  })

  it('names the wait when busy, and makes a message fit for a terminal', () => {
    const error = new RefusedError({ type: 'busy', retryAfterMs: 250, message: 'full\u001b[2J' })
    expect(error.message).toBe('the provider refused: busy, ask again in 250 ms: full?[2J')
  })
})
