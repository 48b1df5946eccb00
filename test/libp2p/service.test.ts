/** Two libp2p nodes in one process, over TCP. */
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Libp2p, Stream } from '@libp2p/interface'
import { afterEach, describe, expect, it } from 'vitest'
import {
  ChunkRanges,
  GROUP_BYTES,
  HashMismatchError,
  hashBytes,
  TruncatedEncodingError
} from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import {
  AllProvidersFailedError,
  type Blobs,
  type BlobsInit,
  blobs,
  type FetchProgress,
  type ServedRequest,
  SlowPeerError
} from '../../src/libp2p/index.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { streamWriter, writeAll } from '../../src/libp2p/stream-writer.ts'
import { MOST_IN_A_TURN } from '../../src/libp2p/turns.ts'
import { BLOBS_PROTOCOL, IROH_PROTOCOL } from '../../src/protocol/constants.ts'
import { BusyError, NotAvailableError, RefusedError } from '../../src/protocol/errors.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import type { ObserveItem } from '../../src/protocol/observe-item.ts'
import { RangesSeq } from '../../src/protocol/ranges-seq.ts'
import { encodeRequest } from '../../src/protocol/request.ts'
import { respond } from '../../src/protocol/respond.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { INTERESTING_SIZES, randomData } from '../helpers/data.ts'
import { createTestNode, MUXER_OPTIONS, type MuxerOptions } from '../helpers/libp2p.ts'

type Node = Libp2p<{ blobs: Blobs }> & { store: MemoryStore }

const running: Libp2p[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(node => node.stop()))
})

async function start(init: Partial<BlobsInit> = {}, muxer: MuxerOptions = 'ours'): Promise<Node> {
  const store = new MemoryStore()
  const node = await createTestNode({ muxer, services: { blobs: blobs({ store, ...init }) } })
  running.push(node)
  return Object.assign(node, { store }) as unknown as Node
}

async function bytesOf(store: MemoryStore, hash: Hash): Promise<Uint8Array> {
  await using reader = await store.open(hash)
  const bytes = new Uint8Array(reader!.size)
  await reader!.readData(0, bytes)
  return bytes
}

/** Resolves when `condition` holds; the test's own timeout ends it otherwise. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 10))
}

describe.each(MUXER_OPTIONS)('two nodes (yamux: %s)', muxer => {
  it('move blobs of every interesting size', async () => {
    const [provider, getter] = [await start({}, muxer), await start({}, muxer)]
    for (const size of [...INTERESTING_SIZES, 20 * 1024 * 1024 + 3]) {
      const data = randomData(size, 11)
      const { hash } = await provider.store.addBytes(data)
      const result = await getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs() })
      expect(result).toMatchObject({ format: 'raw', size, received: size === 0 ? 0 : size, had: 0, blobs: 1 })
      expect(Buffer.compare(await bytesOf(getter.store, hash), data)).toBe(0)
    }
  })

  it('move a hash sequence, each blob once, and only what is missing', async () => {
    const [provider, getter] = [await start({}, muxer), await start({}, muxer)]
    const children: Hash[] = []
    for (const size of [100, 70_000, 100, 0, 5])
      children.push((await provider.store.addBytes(randomData(size))).hash)
    await getter.store.addBytes(randomData(5))
    const { hash } = await provider.store.addBytes(HashSequence.fromHashes(children).bytes)
    const progress: FetchProgress[] = []
    const result = await getter.services.blobs.fetch(hash, {
      from: provider.peerId.equals(getter.peerId) ? provider.peerId : provider.getMultiaddrs(),
      format: 'hash_seq',
      askSizes: true,
      onProgress: p => progress.push(p)
    })
    expect(result).toMatchObject({
      size: 160 + 100 + 70_000 + 5,
      received: 160 + 100 + 70_000,
      had: 5,
      blobs: 5
    })
    expect(progress.at(-1)).toMatchObject({
      total: result.size,
      received: result.received,
      had: 5,
      blobs: 5,
      blobsDone: 5
    })
    for (const child of children) expect((await getter.store.status(child)).state).toBe('complete')
    const again = await getter.services.blobs.fetch(hash, { from: provider.peerId, format: 'hash_seq' })
    expect(again).toMatchObject({ received: 0, had: result.size })
  })
})

describe('the service', () => {
  it('speaks the plain protocol with a provider that knows no other', async () => {
    const [provider, getter] = [await start(), await start()]
    await provider.unhandle(BLOBS_PROTOCOL)
    const data = randomData(300_000)
    const { hash } = await provider.store.addBytes(data)
    const served: ServedRequest[] = []
    provider.services.blobs.addEventListener('request', event => served.push(event.detail))
    await getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs() })
    expect(Buffer.compare(await bytesOf(getter.store, hash), data)).toBe(0)
    await until(() => served.length > 0)
    expect(served[0]).toMatchObject({ protocol: IROH_PROTOCOL, error: undefined })
    expect(served[0]!.peer.equals(getter.peerId)).toBe(true)
    expect(served[0]!.bytes).toBe(8 + 300_000 + 18 * 64)
    await expect(
      getter.services.blobs.fetch(hashBytes(randomData(9)).hash, { from: provider.peerId })
    ).rejects.toThrow(NotAvailableError)
  })

  it('fetches ranges in whole groups, goes on from them, and streams any bytes', async () => {
    const [provider, getter] = [await start(), await start()]
    const data = randomData(3 * 1024 * 1024 + 100)
    const { hash } = await provider.store.addBytes(data)
    const from = provider.getMultiaddrs()
    await getter.services.blobs.fetch(hash, { from, ranges: ChunkRanges.ofBytes(20_000, 20_001) })
    expect(await getter.store.status(hash)).toMatchObject({
      state: 'partial',
      ranges: ChunkRanges.range(16, 32)
    })
    const result = await getter.services.blobs.fetch(hash, { from })
    expect(result).toMatchObject({ had: GROUP_BYTES, received: data.length - GROUP_BYTES })
    for (const [offset, length] of [
      [0, 1],
      [1023, 2],
      [1_000_000, 70_000],
      [data.length - 5, 100],
      [data.length + 10_000, 5]
    ] as const) {
      const pieces = await Array.fromAsync(getter.services.blobs.stream(hash, { from, offset, length }))
      expect(Buffer.compare(Buffer.concat(pieces), data.subarray(offset, offset + length))).toBe(0)
    }
    const tail = await Array.fromAsync(getter.services.blobs.stream(hash, { from, offset: 2_000_001 }))
    expect(Buffer.compare(Buffer.concat(tail), data.subarray(2_000_001))).toBe(0)
    for await (const _ of getter.services.blobs.stream(hash, { from })) break
    await until(() => getter.getConnections().every(({ streams }) => streams.length === 0))
  })

  it('tells size and state of a blob at a peer, and observes it', async () => {
    const [provider, getter] = [await start(), await start()]
    const data = randomData(100_000)
    const { hash } = hashBytes(data)
    const from = provider.getMultiaddrs()
    expect(await getter.services.blobs.status(hash, { from })).toEqual({ state: 'absent' })
    const items: ObserveItem[] = []
    for await (const item of getter.services.blobs.observe(hash, { from })) {
      items.push(item)
      if (items.length === 1) await provider.store.addBytes(data)
      if (item.ranges.isAll) break
    }
    expect(items[0]!.ranges.isEmpty).toBe(true)
    expect(items.at(-1)).toEqual({ size: 100_000, ranges: ChunkRanges.all })
    expect(await getter.services.blobs.status(hash, { from })).toEqual({
      state: 'available',
      size: 100_000,
      isSizeProven: true
    })
    await until(() => provider.getConnections().every(({ streams }) => streams.length === 0))
  })

  it.each([true, false])(
    'fetches many blobs, some of which are not there (GetMany known: %s)',
    async isKnown => {
      const [provider, getter] = [await start(), await start()]
      const hashes: Hash[] = []
      for (let i = 0; i < 40; i++) {
        hashes.push(
          (await (i % 10 === 3 ? new MemoryStore() : provider.store).addBytes(randomData(1000 * i, i))).hash
        )
      }
      if (!isKnown) {
        // As a provider from before GetMany: it ends the stream without a byte.
        await provider.unhandle([BLOBS_PROTOCOL, IROH_PROTOCOL])
        await provider.handle(IROH_PROTOCOL, async stream => {
          const request = Buffer.concat(await Array.fromAsync(streamReader(stream)))
          await writeAll(stream, request[0] === 0 ? respond([request], provider.store) : [])
        })
      }
      const result = await getter.services.blobs.fetchMany(hashes, { from: provider.getMultiaddrs() })
      expect(result.notAvailable.map(String).sort()).toEqual(
        [3, 13, 23, 33].map(i => String(hashes[i])).sort()
      )
      expect(result.fetched.length).toBe(36)
      for (const hash of result.fetched) expect((await getter.store.status(hash)).state).toBe('complete')
    }
  )

  it('gives up soon who sends nothing more of one of many blobs, when there are others', async () => {
    const [provider, getter] = [
      await start(),
      await start({ limits: { stallTimeoutMs: 300, idleTimeoutMs: 600_000 } })
    ]
    const { hash } = await provider.store.addBytes(randomData(100_000))
    await provider.unhandle([BLOBS_PROTOCOL, IROH_PROTOCOL])
    await provider.handle(IROH_PROTOCOL, async stream => {
      const request = Buffer.concat(await Array.fromAsync(streamReader(stream)))
      const writer = streamWriter(stream)
      // It does not know GetMany.
      if (request[0] !== 0) await writer.end()
      else
        await writer.write(
          Buffer.concat(await Array.fromAsync(respond([request], provider.store))).subarray(0, 50_000)
        )
    })
    const fetching = getter.services.blobs.fetchMany([hash], {
      from: provider.getMultiaddrs(),
      hasOthers: true
    })
    await expect(fetching).rejects.toMatchObject({ code: 'ERR_STREAM_IDLE_TIMEOUT' })
  })

  it('fetches so many blobs that the request is sent in several pieces', async () => {
    const [provider, getter] = [await start(), await start()]
    const hashes: Hash[] = []
    for (let i = 0; i < 2200; i++) hashes.push((await provider.store.addBytes(randomData(10, i))).hash)
    const result = await getter.services.blobs.fetchMany(hashes, { from: provider.getMultiaddrs() })
    expect(result.fetched.length).toBe(2200)
  })

  it('serves many fetches of one blob at once, and tells those above its limit to come again', async () => {
    const provider = await start({ limits: { maxStreamsPerPeer: 4, maxStreams: 6, retryAfterMs: 20 } })
    const getters = await Promise.all(Array.from({ length: 4 }, () => start()))
    const data = randomData(1024 * 1024)
    const { hash } = await provider.store.addBytes(data)
    const received = await Promise.all(
      getters.flatMap(getter =>
        Array.from({ length: 6 }, async () =>
          Buffer.concat(
            await Array.fromAsync(getter.services.blobs.stream(hash, { from: provider.getMultiaddrs() }))
          )
        )
      )
    )
    expect(received.length).toBe(24)
    for (const bytes of received) expect(Buffer.compare(bytes, data)).toBe(0)
  })

  it('begins with a few of those who ask at the same time in each turn of the event loop', async () => {
    const many = 8 * MOST_IN_A_TURN
    const [provider, getter] = [await start(), await start()]
    const { hash } = await provider.store.addBytes(randomData(100))
    const connection = await getter.dial(provider.getMultiaddrs())
    const open = async () => await connection.newStream(BLOBS_PROTOCOL, { maxOutboundStreams: many })
    // libp2p takes no more than ten before it is done with the connection.
    const streams = [await open()]
    while (streams.length < many) streams.push(...(await Promise.all(Array.from({ length: 7 }, open))))
    const turns = [0]
    let isOver = false
    const nextTurn = (): void => {
      turns.push(0)
      if (!isOver) setImmediate(nextTurn)
    }
    const openBlob = provider.store.open.bind(provider.store)
    provider.store.open = async (...args) => {
      turns[turns.length - 1]!++
      return await openBlob(...args)
    }
    nextTurn()
    const request = encodeRequest({ type: 'get', hash, ranges: RangesSeq.blob(ChunkRanges.all) })
    await Promise.all(
      streams.map(async stream => {
        const reader = streamReader(stream)
        await writeAll(stream, [request])
        expect((await Array.fromAsync(reader)).reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(
          100
        )
      })
    )
    isOver = true
    expect(turns.reduce((sum, each) => sum + each)).toBe(streams.length)
    expect(Math.max(...turns)).toBeLessThanOrEqual(2 * MOST_IN_A_TURN)
  })

  it('asks the next provider for the rest when one is killed or lies, and names each failure', async () => {
    const data = randomData(8 * 1024 * 1024)
    const [dies, lies, has, getter] = [await start(), await start(), await start(), await start()]
    const { hash } = hashBytes(data)
    for (const { store } of [dies, lies, has]) await store.addBytes(data)
    await lies.unhandle([BLOBS_PROTOCOL, IROH_PROTOCOL])
    await lies.handle(IROH_PROTOCOL, async stream => {
      const reader = streamReader(stream)
      const writer = streamWriter(stream)
      let sent = 0
      for await (const piece of respond(reader, lies.store)) {
        const end = sent + piece.length
        if (sent <= 2_000_000 && end > 2_000_000) piece[2_000_000 - sent]! ^= 1
        sent = end
        await writer.write(piece).catch(() => undefined)
      }
    })
    let isStopped = false
    const failure = await getter.services.blobs
      .fetch(hash, {
        from: dies.getMultiaddrs(),
        onProgress: ({ received }) => {
          if (received > 0 && !isStopped) {
            isStopped = true
            for (const connection of dies.getConnections()) connection.abort(new Error('killed'))
          }
        }
      })
      .catch(error => error)
    expect(failure.code).toBe('ERR_STREAM_RESET')
    await dies.stop()
    expect((await getter.store.status(hash)).state).toBe('partial')

    const all = await getter.services.blobs
      .fetch(hash, { from: [...dies.getMultiaddrs(), ...addrs(dies), ...lies.getMultiaddrs()] })
      .catch(error => error)
    expect(all).toBeInstanceOf(HashMismatchError)

    const result = await getter.services.blobs.fetch(hash, {
      from: [...lies.getMultiaddrs(), ...has.getMultiaddrs()]
    })
    expect(result.had).toBeGreaterThan(0)
    expect(result.had + result.received).toBe(data.length)
    expect(Buffer.compare(await bytesOf(getter.store, hash), data)).toBe(0)

    const empty = await start()
    const none = await getter.services.blobs
      .fetch(hashBytes(randomData(3)).hash, { from: [...has.getMultiaddrs(), ...empty.getMultiaddrs()] })
      .catch(error => error)
    expect(none).toBeInstanceOf(AllProvidersFailedError)
    expect(none.errors.length).toBe(2)
  })

  it('fetches dozens of blobs at once over a connection that is not there yet', async () => {
    const [provider, getter] = [await start(), await start()]
    const hashes: Hash[] = []
    for (let i = 0; i < 60; i++) hashes.push((await provider.store.addBytes(randomData(1000, i))).hash)
    const from = provider.getMultiaddrs()
    await Promise.all(hashes.map(hash => getter.services.blobs.fetch(hash, { from })))
    for (const hash of hashes) expect((await getter.store.status(hash)).state).toBe('complete')
  })

  it('decides who is answered before anything is read', async () => {
    const allowed = await start()
    const asked: string[] = []
    const provider = await start({
      authorize: ({ peer, request }) => {
        asked.push(request.type)
        return peer.equals(allowed.peerId)
      }
    })
    const other = await start()
    const { hash } = await provider.store.addBytes(randomData(50_000))
    const from = provider.getMultiaddrs()
    await allowed.services.blobs.fetch(hash, { from })
    const error = await other.services.blobs.fetch(hash, { from }).catch(error => error)
    expect(error).toBeInstanceOf(RefusedError)
    expect(error.status.type).toBe('permission_denied')
    expect(asked).toEqual(['get', 'get'])
  })

  it('stops at an abort, keeps what came, and leaves no stream behind', async () => {
    const [provider, getter] = [await start(), await start()]
    const { hash } = await provider.store.addBytes(randomData(30 * 1024 * 1024))
    const abort = new AbortController()
    const reason = new Error('enough')
    const fetching = getter.services.blobs.fetch(hash, {
      from: provider.getMultiaddrs(),
      signal: abort.signal,
      onProgress: ({ received }) => received > 1_000_000 && abort.abort(reason)
    })
    await expect(fetching).rejects.toBe(reason)
    expect((await getter.store.status(hash)).state).toBe('partial')
    await until(() =>
      [provider, getter].every(node => node.getConnections().every(({ streams }) => streams.length === 0))
    )
  })

  it('sends the right bytes to a slow reader, though it uses its buffers again', async () => {
    const [provider, getter] = [await start(), await start({}, 'default')]
    const data = randomData(24 * 1024 * 1024)
    const { hash } = await provider.store.addBytes(data)
    let read = 0
    for await (const bytes of getter.services.blobs.stream(hash, { from: provider.getMultiaddrs() })) {
      expect(Buffer.compare(bytes, data.subarray(read, read + bytes.length))).toBe(0)
      read += bytes.length
      if (read % (2 * 1024 * 1024) < bytes.length) await new Promise(resolve => setTimeout(resolve, 50))
    }
    expect(read).toBe(data.length)
  })

  it('asks for many blobs that are not there in a number of requests that grows with theirs, not with its square', async () => {
    const [provider, getter] = [await start(), await start()]
    const hashes = Array.from({ length: 400 }, (_, i) => hashBytes(randomData(10 + i)).hash)
    let numbers = 0
    provider.services.blobs.addEventListener('request', ({ detail }) => {
      if (detail.request?.type === 'get_many') numbers += detail.request.hashes.length
    })
    const result = await getter.services.blobs.fetchMany(hashes, { from: provider.getMultiaddrs() })
    expect(result.notAvailable.length).toBe(400)
    expect(numbers).toBeLessThan(400 * 17 + 400)
  })

  it('tells of fetches that failed', async () => {
    const [provider, getter] = [await start(), await start()]
    const failed: { hash: Hash; errors: readonly unknown[] }[] = []
    getter.services.blobs.addEventListener('failed', ({ detail }) => failed.push(detail))
    const { hash } = hashBytes(randomData(5))
    await expect(getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs() })).rejects.toThrow()
    expect(failed).toMatchObject([{ hash }])
    expect(failed[0]!.errors[0]).toBeInstanceOf(NotAvailableError)
    const format = 'hashseq' as 'raw'
    await expect(getter.services.blobs.fetch(hash, { from: provider.peerId, format })).rejects.toThrow(
      'must be "raw"'
    )
  })

  it('refuses limits that are none', async () => {
    await expect(start({ limits: { maxStreams: 0 } })).rejects.toThrow('maxStreams is 0')
    await expect(start({ limits: { maxStream: 5 } as object })).rejects.toThrow(
      'there is no limit "maxStream"'
    )
  })
})

describe('damage at the provider', () => {
  it('is told to the store, which mends what it can: the next request is answered', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'blobs-damage-'))
    const store = await LegacyFsStore.open(folder)
    try {
      const data = randomData(3_000_000)
      const { hash } = await store.addBytes(data)
      const provider = await createTestNode({ services: { blobs: blobs({ store }) } })
      running.push(provider)
      const getter = await start()
      const outboard = await open(join(folder, 'data', `${hash}.obao4`), 'r+')
      await outboard.write(Uint8Array.of(1, 2, 3, 4), 0, 4, 5000)
      await outboard.close()
      const from = provider.getMultiaddrs()
      await expect(getter.services.blobs.fetch(hash, { from })).rejects.toThrow()
      await until(() => store.notices.some(notice => notice.includes('computed anew')))
      await getter.services.blobs.fetch(hash, { from })
      expect(Buffer.compare(await bytesOf(getter.store, hash), data)).toBe(0)

      const other = await start()
      const file = await open(join(folder, 'data', `${hash}.data`), 'r+')
      await file.write(Uint8Array.of(1, 2, 3, 4), 0, 4, 2_000_000)
      await file.close()
      await expect(other.services.blobs.fetch(hash, { from })).rejects.toThrow()
      await until(() => store.notices.some(notice => notice.includes('no longer counted as held')))
      await expect(other.services.blobs.fetch(hash, { from })).rejects.toThrow(TruncatedEncodingError)
    } finally {
      await store.close()
      await rm(folder, { recursive: true })
    }
  })
})

describe('a hostile peer', () => {
  it('that observes as often as it can leaves room for those who want data', async () => {
    const provider = await start({ limits: { maxObserversPerPeer: 3, maxObservers: 4, maxStreams: 6 } })
    const { hash } = await provider.store.addBytes(randomData(1000))
    const getters = [await start(), await start()]
    const from = provider.getMultiaddrs()
    const stop = new AbortController()
    const first: Promise<unknown>[] = []
    let answered = 0
    for (const getter of getters) {
      for (let i = 0; i < 3; i++) {
        const observing = getter.services.blobs.observe(hash, { from, signal: stop.signal })
        const outcome = observing.next().then(
          () => answered++,
          () => 'stopped'
        )
        first.push(outcome)
      }
    }
    await until(() => answered === 4)
    await getters[0]!.services.blobs.fetch(hash, { from })
    stop.abort(new Error('enough'))
    const outcomes = await Promise.all(first)
    expect(outcomes.filter(outcome => outcome === 'stopped').length).toBe(2)
  })

  it('that observes as often as it can has so many, and when it goes all its places are free', async () => {
    const limits = { maxObserversPerPeer: 2, maxObservers: 4 }
    const [provider, hostile, honest] = [await start({ limits }), await start(), await start()]
    const { hash } = await provider.store.addBytes(randomData(1000))
    const from = provider.getMultiaddrs()
    let [turnedAway, ended] = [0, 0]
    provider.services.blobs.addEventListener('request', ({ detail }) => {
      if (detail.error instanceof BusyError) turnedAway++
      else ended++
    })
    for (let round = 0; round < 3; round++) {
      const stop = new AbortController()
      let answered = 0
      const observing = Array.from({ length: 3 }, async () => {
        const items = hostile.services.blobs.observe(hash, { from, signal: stop.signal })
        await items.next()
        answered++
        await items.next()
      })
      const before = turnedAway
      await until(() => turnedAway > before)
      await until(() => answered === 2)
      // Who has none gets one beside them.
      expect(await honest.services.blobs.observeOnce(hash, { from })).toBeDefined()
      stop.abort(new Error('enough'))
      await Promise.allSettled(observing)
      expect(answered).toBe(2)
      await until(() => ended === 3 * (round + 1))
    }
  })

  const request = (hash: Hash): Uint8Array =>
    encodeRequest({ type: 'get', hash, ranges: RangesSeq.blob(ChunkRanges.all) })

  /** A provider that other peers are still served by, whatever the hostile one does. */
  async function attacked(
    limits: BlobsInit['limits'] = {},
    acceptPush?: BlobsInit['acceptPush']
  ): Promise<{
    provider: Node
    attacker: Libp2p
    hash: Hash
    open(protocol?: string): Promise<Stream>
    check(): Promise<void>
  }> {
    const provider = await start({ limits, ...(acceptPush && { acceptPush }) })
    const attacker = await createTestNode({})
    running.push(attacker)
    const honest = await start()
    const { hash } = await provider.store.addBytes(randomData(20 * 1024 * 1024))
    const connection = await attacker.dial(provider.getMultiaddrs())
    return {
      provider,
      attacker,
      hash,
      open: (protocol = BLOBS_PROTOCOL) => connection.newStream(protocol, { maxOutboundStreams: 20_000 }),
      check: async () => {
        const pieces = honest.services.blobs.stream(hash, {
          from: provider.getMultiaddrs(),
          offset: 5,
          length: 10
        })
        expect(Buffer.concat(await Array.fromAsync(pieces)).length).toBe(10)
      }
    }
  }

  it('that sends no request in time, or half of one, is given up', async () => {
    const { provider, hash, open, check } = await attacked({ requestTimeoutMs: 1000 })
    const served: ServedRequest[] = []
    provider.services.blobs.addEventListener('request', event => served.push(event.detail))
    const silent = [await open(), await open(IROH_PROTOCOL)]
    const half = await open()
    half.send(request(hash).subarray(0, 20))
    const whole = await open(IROH_PROTOCOL)
    whole.send(request(hash))
    await until(() => [...silent, half, whole].every(({ status }) => status === 'reset'))
    await until(() => served.length === 2)
    for (const { error } of served) expect(error).toMatchObject({ code: 'ERR_REQUEST_TIMEOUT' })
    await check()
  })

  /** Asks as an honest peer does. @returns the first byte of the answer, which is the status */
  async function statusFor(provider: Node, hash: Hash): Promise<number | undefined> {
    const node = await createTestNode({})
    running.push(node)
    const stream = await node.dialProtocol(provider.getMultiaddrs(), BLOBS_PROTOCOL)
    const reader = streamReader(stream)
    const writer = streamWriter(stream)
    await writer.write(request(hash))
    await writer.end()
    const { value } = await reader.next()
    stream.abort(new Error('enough'))
    return value?.[0]
  }

  it('that says nothing on as many streams as it can, or never ends a request, takes no place of others', async () => {
    const limits = { maxStreams: 4, maxStreamsPerPeer: 4, requestTimeoutMs: 600_000 }
    const { provider, hash, open } = await attacked(limits)
    const streams: Stream[] = []
    for (let i = 0; i < 12; i++) {
      const stream = await open()
      if (i % 3 > 0) stream.send(request(hash).subarray(0, 20))
      streams.push(stream)
    }
    const answers = streams.map(stream => streamReader(stream).next())
    // It has all the places there are for those who have not asked yet.
    const isTurnedAway = await Promise.any(answers)
    expect(isTurnedAway.value?.[0]).toBe(3)
    for (let i = 0; i < 3; i++) expect(await statusFor(provider, hash)).toBe(0)
    await Promise.allSettled(streams.map(stream => stream.abort(new Error('enough'))))
    await Promise.allSettled(answers)
  })

  it('that does not take its responses loses a place to who has none', async () => {
    const limits = { maxStreams: 2, maxStreamsPerPeer: 2, stallTimeoutMs: 50, idleTimeoutMs: 600_000 }
    const { provider, hash, open } = await attacked(limits)
    const served: ServedRequest[] = []
    provider.services.blobs.addEventListener('request', event => served.push(event.detail))
    for (let i = 0; i < 2; i++) {
      const stream = await open()
      stream.pause()
      const writer = streamWriter(stream)
      await writer.write(request(hash))
      await writer.end()
    }
    await expect.poll(() => statusFor(provider, hash), { timeout: 60_000 }).toBe(0)
    await until(() => served.some(({ error }) => error instanceof SlowPeerError))
  })

  it('that does not go on with what it pushes loses a place to who has none', async () => {
    const limits = { maxStreams: 2, maxStreamsPerPeer: 2, stallTimeoutMs: 50, idleTimeoutMs: 600_000 }
    const { provider, hash, open } = await attacked(limits, () => true)
    const served: ServedRequest[] = []
    provider.services.blobs.addEventListener('request', event => served.push(event.detail))
    const other = hashBytes(randomData(1000)).hash
    const push = encodeRequest({ type: 'push', hash: other, ranges: RangesSeq.blob(ChunkRanges.all) })
    for (let i = 0; i < 2; i++) (await open()).send(push)
    await expect.poll(() => statusFor(provider, hash), { timeout: 60_000 }).toBe(0)
    await until(() => served.some(({ error }) => error instanceof SlowPeerError))
  })

  it('that never reads holds little, and is given up', async () => {
    const { provider, hash, open, check } = await attacked({ idleTimeoutMs: 500 })
    const served: ServedRequest[] = []
    provider.services.blobs.addEventListener('request', event => served.push(event.detail))
    const stream = await open()
    const writer = streamWriter(stream)
    stream.pause()
    await writer.write(request(hash))
    await writer.end()
    await until(() => served.length === 1)
    expect(served[0]!.error).toMatchObject({ code: 'ERR_STREAM_IDLE_TIMEOUT' })
    expect(served[0]!.bytes).toBeLessThan(8 * 1024 * 1024)
    await check()
  })

  it('that sends garbage, or a request without end, gets a status', async () => {
    const { open, check } = await attacked()
    for (const bytes of [Uint8Array.of(7), new Uint8Array(200).fill(255)]) {
      const stream = await open()
      const reader = streamReader(stream)
      const writer = streamWriter(stream)
      await writer.write(bytes)
      await writer.end()
      expect(Buffer.concat(await Array.fromAsync(reader))[0]).toBe(4)
    }
    const stream = await open()
    const reader = streamReader(stream)
    const writer = streamWriter(stream, { idleTimeoutMs: 5000 })
    const endless = (async () => {
      for (let sent = 0; sent < 64 * 1024 * 1024; sent += 65_536) await writer.write(new Uint8Array(65_536))
      return 'took it all'
    })().catch(() => 'stopped')
    const status = (await reader.next()).value
    expect(status?.[0]).toBe(4)
    expect(await endless).toBe('stopped')
    await check()
  })

  it('that opens ten thousand streams is bounded, and everyone else is served', async () => {
    const { provider, open, check } = await attacked({ maxStreamsPerPeer: 16, requestTimeoutMs: 2000 })
    await open()
    let opened = 0
    let most = 0
    let busy = 0
    for (let batch = 0; batch < 100; batch++) {
      await Promise.all(
        Array.from({ length: 100 }, async () => {
          const stream = await open().catch(() => undefined)
          if (stream === undefined) return
          opened++
          streamReader(stream)
            .next()
            .then(
              ({ value }) => {
                if (value?.[0] === 3) busy++
              },
              () => undefined
            )
        })
      )
      const [connection] = provider.getConnections()
      most = Math.max(most, connection?.streams.length ?? 0)
    }
    expect(opened).toBeGreaterThan(1000)
    expect(most).toBeLessThanOrEqual(300)
    await check()
    expect(busy).toBeGreaterThan(0)
  })
})

/** The addresses of a node that has been stopped, as somebody may still have them. */
function addrs(node: Libp2p): ReturnType<Libp2p['getMultiaddrs']> {
  return node.getMultiaddrs()
}

/** A fetch that is cut off says where. */
it('a provider that stops in the middle leaves a partial blob and a clear error', async () => {
  const [provider, getter] = [await start(), await start()]
  const data = randomData(500_000)
  const { hash } = await provider.store.addBytes(data)
  await provider.unhandle([BLOBS_PROTOCOL, IROH_PROTOCOL])
  await provider.handle(IROH_PROTOCOL, async stream => {
    const response = Buffer.concat(await Array.fromAsync(respond(streamReader(stream), provider.store)))
    await writeAll(stream, [response.subarray(0, 250_000)])
  })
  const failure = await getter.services.blobs
    .fetch(hash, { from: provider.getMultiaddrs() })
    .catch(error => error)
  expect(failure).toBeInstanceOf(TruncatedEncodingError)
  expect((await getter.store.status(hash)).state).toBe('partial')
})
