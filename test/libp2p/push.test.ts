/** Pushing between two nodes in one process, over TCP. */
import type { Libp2p, PeerId } from '@libp2p/interface'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { readVerified } from '../../src/bao/encoder.ts'
import { ChunkRanges, GROUP_BYTES, hashBytes } from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import {
  type Blobs,
  type BlobsInit,
  blobs,
  InvalidPeerIdError,
  type PushedBlobs,
  PushNotKeptError,
  type PushProgress,
  type ServedRequest
} from '../../src/libp2p/index.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { streamWriter, writeAll } from '../../src/libp2p/stream-writer.ts'
import { BLOBS_PROTOCOL, IROH_PROTOCOL } from '../../src/protocol/constants.ts'
import { RefusedError } from '../../src/protocol/errors.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import { encodeObserveItem } from '../../src/protocol/observe-item.ts'
import { RangesSeq } from '../../src/protocol/ranges-seq.ts'
import { encodeRequest } from '../../src/protocol/request.ts'
import { encodeResponse, respond } from '../../src/protocol/respond.ts'
import { encodeStatus } from '../../src/protocol/status.ts'
import { BlobNotFoundError } from '../../src/store/errors.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { createTestNode } from '../helpers/libp2p.ts'
import { Stores } from '../helpers/stores.ts'

type Node = Libp2p<{ blobs: Blobs }> & { store: BlobStore }

const MIB = 1024 * 1024

const stores = new Stores()
const running: Libp2p[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map(node => node.stop()))
})

afterAll(async () => {
  await stores.close()
})

async function start(init: Partial<BlobsInit> = {}): Promise<Node> {
  const store = init.store ?? new MemoryStore()
  const node = await createTestNode({ services: { blobs: blobs({ ...init, store }) } })
  running.push(node)
  return Object.assign(node, { store }) as unknown as Node
}

async function bytesOf(store: BlobStore, hash: Hash): Promise<Uint8Array> {
  await using reader = await store.open(hash)
  const pieces = readVerified(hash, reader!, ChunkRanges.all)
  return Buffer.concat(await Array.fromAsync(pieces, ({ bytes }) => bytes.slice()))
}

async function addSequence(store: BlobStore, contents: readonly Uint8Array[]): Promise<Hash> {
  const children: Hash[] = []
  for (const content of contents) children.push((await store.addBytes(content)).hash)
  return (await store.addBytes(HashSequence.fromHashes(children).bytes)).hash
}

function failureOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => expect.fail('it should have failed'),
    (error: Error) => error
  )
}

/** Resolves when `condition` holds; the test's own timeout ends it otherwise. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 10))
}

/** The node that pushes, and the one that takes it, with what it was told. */
async function pair(
  init: Partial<BlobsInit> = {}
): Promise<{ pusher: Node; taker: Node; pushed: PushedBlobs[]; served: ServedRequest[] }> {
  const [pusher, taker] = [await start(), await start({ acceptPush: true, ...init })]
  const pushed: PushedBlobs[] = []
  const served: ServedRequest[] = []
  taker.services.blobs.addEventListener('pushed', ({ detail }) => pushed.push(detail))
  taker.services.blobs.addEventListener('request', ({ detail }) => served.push(detail))
  return { pusher, taker, pushed, served }
}

describe.each(['memory', 'legacy-fs', 'object: memory', 'object: folder'] as const)('to %s', name => {
  it('goes a blob, and a hash sequence of which only what is missing is sent', async () => {
    const { pusher, taker, pushed } = await pair({ store: await stores.make(name) })
    const data = randomData(3 * MIB + 5, 1)
    const { hash } = await pusher.store.addBytes(data)
    const to = taker.getMultiaddrs()
    expect(await pusher.services.blobs.push(hash, { to })).toEqual({
      hash,
      format: 'raw',
      size: data.length,
      sent: data.length,
      had: 0,
      blobs: 1,
      isConfirmed: true
    })
    expect(await taker.store.status(hash)).toEqual({ state: 'complete', size: data.length })
    expect(Buffer.compare(await bytesOf(taker.store, hash), data)).toBe(0)
    expect(pushed).toEqual([{ peer: expect.anything(), hash, format: 'raw', bytes: data.length, blobs: 1 }])
    expect(pushed[0]!.peer.equals(pusher.peerId)).toBe(true)

    const small = randomData(100, 2)
    const large = randomData(900_000, 3)
    const sequence = await addSequence(pusher.store, [data, small, large, small, new Uint8Array(0)])
    // The first 20 groups of a child are there.
    await taker.services.blobs.fetch(hashBytes(large).hash, {
      from: pusher.getMultiaddrs(),
      ranges: ChunkRanges.ofBytes(0, 20 * GROUP_BYTES)
    })
    const progress: PushProgress[] = []
    const result = await pusher.services.blobs.push(sequence, {
      to,
      format: 'hash_seq',
      onProgress: told => progress.push(told)
    })
    const size = 160 + data.length + 100 + 900_000
    const had = data.length + 20 * GROUP_BYTES
    expect(result).toMatchObject({ format: 'hash_seq', size, had, sent: size - had, blobs: 5 })
    expect(progress[0]).toEqual({ hash: sequence, sent: 0, had: 0, total: size, blobs: 5 })
    expect(progress.at(-1)).toEqual({ hash: sequence, sent: size - had, had, total: size, blobs: 5 })
    for (const content of [data, small, large]) {
      const child = hashBytes(content).hash
      expect(Buffer.compare(await bytesOf(taker.store, child), content)).toBe(0)
    }
    expect(pushed.at(-1)).toMatchObject({ hash: sequence, format: 'hash_seq' })
    expect(pushed.at(-1)!.bytes).toBeLessThan(size - had + 2 * GROUP_BYTES)
  })

  it('that is cut off stays what came, and the next push sends the rest', async () => {
    const { pusher, taker, pushed } = await pair({ store: await stores.make(name) })
    const data = randomData(24 * MIB, 4)
    const { hash } = await pusher.store.addBytes(data)
    const to = taker.getMultiaddrs()
    const stop = new AbortController()
    const reason = new Error('enough')
    const failure = await failureOf(
      pusher.services.blobs.push(hash, {
        to,
        signal: stop.signal,
        onProgress: ({ sent }) => sent > 20 * MIB && stop.abort(reason)
      })
    )
    expect(failure).toBe(reason)
    await until(() => taker.getConnections().every(({ streams }) => streams.length === 0))
    expect(pushed).toEqual([])
    expect((await taker.store.status(hash)).state).toBe('partial')
    const result = await pusher.services.blobs.push(hash, { to })
    expect(result.had).toBeGreaterThan(4 * MIB)
    expect(result.sent).toBe(data.length - result.had)
    expect(pushed.map(({ bytes }) => bytes)).toEqual([result.sent])
    expect(Buffer.compare(await bytesOf(taker.store, hash), data)).toBe(0)
  })
})

describe('a push', () => {
  it('of what is there already sends next to nothing, and still tells what is to be kept', async () => {
    const { pusher, taker, pushed } = await pair()
    const contents = [randomData(300_000, 1), randomData(200_000, 2)]
    const hash = await addSequence(pusher.store, contents)
    await addSequence(taker.store, contents)
    const to = taker.getMultiaddrs()
    const result = await pusher.services.blobs.push(hash, { to, format: 'hash_seq' })
    expect(result).toMatchObject({ sent: 0, had: result.size, blobs: 3, isConfirmed: true })
    await pusher.services.blobs.push(hash, { to })
    expect(pushed.map(({ format }) => format)).toEqual(['hash_seq', 'raw'])
    expect(Math.max(...pushed.map(({ bytes }) => bytes))).toBeLessThanOrEqual(1024)
  })

  it('of thousands of children goes in a few requests', async () => {
    const { pusher, taker, served } = await pair()
    const contents = Array.from({ length: 9000 }, (_, i) => Buffer.from(`child ${i % 8900}`))
    const hash = await addSequence(pusher.store, contents)
    const result = await pusher.services.blobs.push(hash, { to: taker.getMultiaddrs(), format: 'hash_seq' })
    expect(result.blobs).toBe(1 + 9000)
    for await (const { status } of taker.store.list()) expect(status.state).toBe('complete')
    expect((await Array.fromAsync(taker.store.list())).length).toBe(1 + 8900)
    await until(() => served.filter(({ request }) => request?.type === 'push').length === 2)
    expect(served.filter(({ request }) => request?.type === 'observe').length).toBe(1)
  })

  it('of ranges sends just these', async () => {
    const { pusher, taker } = await pair()
    const { hash } = await pusher.store.addBytes(randomData(MIB, 6))
    const to = taker.getMultiaddrs()
    const ranges = ChunkRanges.ofBytes(100_000, 100_001)
    const result = await pusher.services.blobs.push(hash, { to, ranges })
    expect(result).toMatchObject({ size: GROUP_BYTES, sent: GROUP_BYTES })
    expect(await taker.store.status(hash)).toMatchObject({
      state: 'partial',
      ranges: ChunkRanges.range(96, 112)
    })
    expect(await pusher.services.blobs.push(hash, { to, ranges })).toMatchObject({
      sent: 0,
      had: GROUP_BYTES
    })
  })

  it('of what is not here, or not all of it, fails before anything is sent', async () => {
    const { pusher, taker, served } = await pair()
    const to = taker.getMultiaddrs()
    const absent = hashBytes(randomData(5)).hash
    const failure = await failureOf(pusher.services.blobs.push(absent, { to }))
    expect(failure).toBeInstanceOf(BlobNotFoundError)
    expect(failure.message).toBe(
      `blob ${absent} is not in the store, so it cannot be pushed: add or get it first`
    )
    const { hash: sequence } = await pusher.store.addBytes(HashSequence.fromHashes([absent]).bytes)
    await expect(pusher.services.blobs.push(sequence, { to, format: 'hash_seq' })).rejects.toThrow(
      `blob ${absent} is not in the store`
    )
    const { hash } = await taker.store.addBytes(randomData(MIB))
    await pusher.services.blobs.fetch(hash, { from: to, ranges: ChunkRanges.range(0, 16) })
    const before = served.length
    await expect(pusher.services.blobs.push(hash, { to })).rejects.toThrow('is not complete in the store')
    expect(served.length).toBe(before)
  })

  it('that aborts before it begins does nothing', async () => {
    const { pusher, taker } = await pair()
    const { hash } = await pusher.store.addBytes(randomData(100))
    const signal = AbortSignal.abort(new Error('never mind'))
    await expect(pusher.services.blobs.push(hash, { to: taker.getMultiaddrs(), signal })).rejects.toThrow(
      'never mind'
    )
    expect((await taker.store.status(hash)).state).toBe('absent')
  })

  it('is not confirmed before the taker has done with it, and fails when that fails', async () => {
    let isKept = false
    const { pusher, taker, pushed } = await pair({
      onPushed: async () => {
        await new Promise(resolve => setTimeout(resolve, 50))
        if (isKept) throw new Error('no more of this')
        isKept = true
      }
    })
    const { hash } = await pusher.store.addBytes(randomData(100))
    await pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })
    expect(isKept).toBe(true)
    expect(pushed.length).toBe(1)
    const failure = await failureOf(pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() }))
    expect(failure).toMatchObject({ code: 'ERR_REFUSED', status: { type: 'internal' } })
    expect(pushed.length).toBe(1)
  })
})

it.each(['memory', 'legacy-fs', 'object: memory'] as const)(
  'what is pushed is no garbage before it could be tagged (%s)',
  async name => {
    const store = await stores.make(name)
    const roots: string[] = []
    const { pusher, taker } = await pair({
      store,
      onPushed: async () => {
        await using sweep = await store.sweep()
        for await (const root of sweep.roots()) roots.push(`${root.hash} ${root.format}`)
      }
    })
    const hash = await addSequence(pusher.store, [randomData(100_000), randomData(5)])
    await pusher.services.blobs.push(hash, { to: taker.getMultiaddrs(), format: 'hash_seq' })
    expect(roots).toContain(`${hash} hash_seq`)
    roots.length = 0
    await using after = await store.sweep()
    for await (const root of after.roots()) roots.push(`${root.hash}`)
    expect(roots).toEqual([])
  }
)

describe('a peer that takes no pushes', () => {
  const someoneElse = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'

  it.each<[string, BlobsInit['acceptPush']]>([
    ['unless it is told to', undefined],
    ['from anybody', false],
    ['from others than those in its list', [someoneElse]],
    ['from this one', async (peer: PeerId) => peer.toString() === someoneElse]
  ])('%s says so at once, and nothing lands', async (_, acceptPush) => {
    const { pusher, taker, pushed } = await pair({ acceptPush })
    const { hash } = await pusher.store.addBytes(randomData(64 * MIB, 7))
    let most = 0
    const failure = await failureOf(
      pusher.services.blobs.push(hash, {
        to: taker.getMultiaddrs(),
        onProgress: ({ sent }) => {
          most = Math.max(most, sent)
        }
      })
    )
    expect(failure).toBeInstanceOf(RefusedError)
    expect(failure.message).toContain(taker.peerId.toString())
    expect(failure.message).toContain('permission denied: this node takes no pushes from this peer')
    expect(most).toBeLessThan(16 * MIB)
    expect(await taker.store.status(hash)).toEqual({ state: 'absent' })
    expect(pushed).toEqual([])
    await until(() => pusher.getConnections().every(({ streams }) => streams.length === 0))
  })

  it('and just stops reading, without closing anything, is heard all the same', async () => {
    const { pusher, taker } = await pair({ authorize: ({ request }) => request.type !== 'observe' })
    const { hash } = await pusher.store.addBytes(randomData(64 * MIB, 7))
    await taker.unhandle(BLOBS_PROTOCOL)
    await taker.handle(BLOBS_PROTOCOL, async stream => {
      await streamReader(stream).next()
      stream.pause()
      await streamWriter(stream).write(encodeStatus({ type: 'permission_denied', message: 'not now' }))
    })
    await expect(pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })).rejects.toThrow(
      'permission denied: not now'
    )
  })

  it('takes them from those in its list, however their ids are spelt', async () => {
    const pusher = await start()
    const { hash } = await pusher.store.addBytes(randomData(1000))
    for (const id of [pusher.peerId, pusher.peerId.toString(), pusher.peerId.toCID().toString()]) {
      const taker = await start({ acceptPush: [someoneElse, id] })
      await pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })
      expect((await taker.store.status(hash)).state).toBe('complete')
    }
    await expect(start({ acceptPush: ['12D3KooW'] })).rejects.toThrow(InvalidPeerIdError)
    await expect(start({ acceptPush: [`/ip4/192.0.2.1/tcp/1/p2p/${someoneElse}`] })).rejects.toThrow(
      `it is the last part of this address: "${someoneElse}"`
    )
  })

  it('has the last word in `authorize` too', async () => {
    const { pusher, taker } = await pair({ authorize: ({ request }) => request.type !== 'push' })
    const { hash } = await pusher.store.addBytes(randomData(1000))
    await expect(pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })).rejects.toThrow(
      RefusedError
    )
  })
})

describe('a peer without room', () => {
  it('says that it is full while more is being sent, and keeps what has come', async () => {
    const { pusher, taker } = await pair({ store: new MemoryStore({ maxBytes: 4 * MIB }) })
    const { hash } = await pusher.store.addBytes(randomData(64 * MIB, 8))
    let most = 0
    const failure = await failureOf(
      pusher.services.blobs.push(hash, {
        to: taker.getMultiaddrs(),
        onProgress: ({ sent }) => {
          most = Math.max(most, sent)
        }
      })
    )
    expect(failure).toBeInstanceOf(RefusedError)
    expect(failure.message).toMatch(/bad request: the push cannot be stored: the store of this node is full$/)
    expect(most).toBeLessThan(32 * MIB)
    expect((await taker.store.status(hash)).state).toBe('partial')
  })

  it.each(['limit of the service', 'limit of the store'])(
    'for a blob of this size says so (%s)',
    async by => {
      const { ObjectStore } = await import('../../src/store/object/index.ts')
      const store = await ObjectStore.ephemeral(by === 'limit of the store' ? { maxBlobSize: 1000 } : {})
      try {
        const limits = by === 'limit of the store' ? {} : { maxBlobBytes: 1000 }
        const { pusher, taker } = await pair({ store, limits })
        const { hash } = await pusher.store.addBytes(randomData(1001))
        await expect(pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })).rejects.toThrow(
          /refused: bad request: the push is no good: .*1001 bytes.*1000/
        )
        expect((await store.status(hash)).state).toBe('absent')
      } finally {
        await store.close()
      }
    }
  )
})

describe('a peer of another kind', () => {
  it('that does not tell what it has gets everything', async () => {
    const { pusher, taker } = await pair({ authorize: ({ request }) => request.type !== 'observe' })
    const data = randomData(500_000)
    const { hash } = await pusher.store.addBytes(data)
    await taker.store.addBytes(data)
    const result = await pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })
    expect(result).toMatchObject({ sent: data.length, had: 0, isConfirmed: true })
  })

  it('that believes in another size gets everything, whatever it says it has', async () => {
    const { pusher, taker } = await pair()
    const { hash } = await pusher.store.addBytes(randomData(500_000))
    await taker.unhandle(BLOBS_PROTOCOL)
    await taker.handle(BLOBS_PROTOCOL, async stream => {
      const pieces = await Array.fromAsync(streamReader(stream))
      const item = encodeObserveItem({ size: 600_000, ranges: ChunkRanges.all })
      const isObserve = pieces[0]![0] === 1
      const response = isObserve
        ? [encodeStatus({ type: 'ok' }), item]
        : respond(pieces, taker.store, { hasStatus: true, acceptPush: true })
      await writeAll(stream, response)
    })
    const result = await pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })
    expect(result).toMatchObject({ sent: 500_000, had: 0 })
    expect((await taker.store.status(hash)).state).toBe('complete')
  })

  it('that is stopped, and so closes its side as if all were well, has not confirmed anything', async () => {
    const { pusher, taker } = await pair()
    const { hash } = await pusher.store.addBytes(randomData(500_000))
    await taker.unhandle(BLOBS_PROTOCOL)
    await taker.handle(BLOBS_PROTOCOL, async stream => {
      const [first] = await Array.fromAsync(streamReader(stream))
      const isObserve = first![0] === 1
      await writeAll(stream, isObserve ? [encodeStatus({ type: 'permission_denied' })] : [])
    })
    await expect(pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })).rejects.toMatchObject({
      code: 'ERR_STREAM_RESET',
      reason: 'connection-lost'
    })
  })

  it('that speaks the plain protocol cannot answer, so it is looked at', async () => {
    const { pusher, taker } = await pair()
    await taker.unhandle(BLOBS_PROTOCOL)
    const hash = await addSequence(pusher.store, [randomData(500_000, 1), randomData(10, 2)])
    const to = taker.getMultiaddrs()
    const result = await pusher.services.blobs.push(hash, { to, format: 'hash_seq' })
    expect(result).toMatchObject({ sent: 500_010 + 64, isConfirmed: true })
    for await (const { status } of taker.store.list()) expect(status.state).toBe('complete')
  })

  it.each([true, false])(
    'that keeps nothing is found out, if it answers (Observe known: %s)',
    async isKnown => {
      const { pusher, taker } = await pair()
      await taker.unhandle([BLOBS_PROTOCOL, IROH_PROTOCOL])
      await taker.handle(IROH_PROTOCOL, async stream => {
        const request = Buffer.concat(await Array.fromAsync(streamReader(stream)))
        const isObserve = request[0] === 1
        await writeAll(stream, isObserve && isKnown ? respond([request], taker.store) : []).catch(
          () => undefined
        )
      })
      const { hash } = await pusher.store.addBytes(randomData(100_000))
      const push = pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })
      if (isKnown) await expect(push).rejects.toThrow(PushNotKeptError)
      else expect(await push).toMatchObject({ sent: 100_000, isConfirmed: false })
    }
  )

  it('that refuses with a reset, which is all it can do, ends the push', async () => {
    const { pusher, taker } = await pair({ acceptPush: false })
    await taker.unhandle(BLOBS_PROTOCOL)
    const { hash } = await pusher.store.addBytes(randomData(64 * MIB, 7))
    await expect(pusher.services.blobs.push(hash, { to: taker.getMultiaddrs() })).rejects.toMatchObject({
      code: 'ERR_STREAM_RESET'
    })
    expect((await taker.store.status(hash)).state).toBe('absent')
  })
})

it('a pusher that sends a wrong byte is told, and only what came before it is kept', async () => {
  const { taker, pusher, pushed } = await pair()
  const { hash } = await pusher.store.addBytes(randomData(2 * MIB, 9))
  const request = { type: 'push', hash, ranges: RangesSeq.blob(ChunkRanges.all) } as const
  const pieces = encodeResponse(request, pusher.store)
  const bytes = Buffer.concat(await Array.fromAsync(pieces, piece => piece.slice()))
  bytes[MIB]! ^= 1
  const connection = await pusher.dial(taker.getMultiaddrs())
  const stream = await connection.newStream(BLOBS_PROTOCOL)
  const reader = streamReader(stream)
  const writer = streamWriter(stream)
  await writer.write(encodeRequest(request))
  await writer.write(bytes)
  await writer.end()
  const answer = Buffer.concat(await Array.fromAsync(reader))
  expect(answer[0]).toBe(4)
  expect(answer.subarray(1).toString()).toContain('the push is no good')
  expect(pushed).toEqual([])
  const status = await taker.store.status(hash)
  expect(status).toMatchObject({ state: 'partial' })
  expect('ranges' in status && status.ranges.containsAll(ChunkRanges.ofBytes(MIB - 20_000, MIB))).toBe(false)
})
