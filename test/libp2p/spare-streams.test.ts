/** The stream that is open for the next request, where requests follow one another. */
import type { Connection, Libp2p, Startable, Stream } from '@libp2p/interface'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import { REQUESTS_BEFORE_SPARE } from '../../src/libp2p/constants.ts'
import { type Blobs, type BlobsInit, blobs, type ServedRequest } from '../../src/libp2p/index.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { writeAll } from '../../src/libp2p/stream-writer.ts'
import { BLOBS_PROTOCOL } from '../../src/protocol/constants.ts'
import { RangesSeq } from '../../src/protocol/ranges-seq.ts'
import { encodeRequest } from '../../src/protocol/request.ts'
import { respond } from '../../src/protocol/respond.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { createTestNode } from '../helpers/libp2p.ts'

type Side = Awaited<ReturnType<typeof start>>

const ended: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ended.splice(0)) await end()
})

async function start(init: Partial<BlobsInit> = {}) {
  const store = new MemoryStore()
  const node = await createTestNode<{ blobs: Blobs }>({ services: { blobs: blobs({ store, ...init }) } })
  ended.push(() => node.stop())
  const served: ServedRequest[] = []
  node.services.blobs.addEventListener('request', ({ detail }) => served.push(detail))
  return { node, store, served, blobs: node.services.blobs, asked: 0 }
}

let seed = 0

/** Has the getter fetch so many blobs, one after the other. */
async function fetchFrom(provider: Side, getter: Side, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const { hash } = await provider.store.addBytes(randomData(4096, ++seed))
    await getter.blobs.fetch(hash, { from: provider.node.getMultiaddrs() })
    provider.asked++
    expect(await getter.store.status(hash)).toMatchObject({ state: 'complete' })
  }
}

function streamsOf(node: Libp2p): Stream[] {
  return node.getConnections().flatMap(({ streams }) => streams.filter(s => s.protocol === BLOBS_PROTOCOL))
}

/** Enough requests for a stream to be open ahead. */
const ENOUGH = REQUESTS_BEFORE_SPARE + 3

/**
 * Has the getter ask until a stream is open ahead: where the machine stands still for a second, it begins anew.
 *
 * @returns the provider's side of it
 */
async function openAhead(provider: Side, getter: Side): Promise<Stream> {
  for (;;) {
    await fetchFrom(provider, getter, ENOUGH)
    await expect.poll(() => provider.served.length).toBe(provider.asked)
    const open = streamsOf(provider.node)
    if (open.length === 1 && open[0]!.status === 'open') return open[0]!
  }
}

describe('a getter', () => {
  let provider: Side
  let getter: Side
  beforeEach(async () => {
    provider = await start()
    getter = await start()
  })

  it('that asks for a few blobs leaves no stream open', async () => {
    await fetchFrom(provider, getter, REQUESTS_BEFORE_SPARE - 1)
    await expect.poll(() => streamsOf(provider.node).length).toBe(0)
    expect(streamsOf(getter.node)).toEqual([])
  })

  it('that goes on has one stream open for the next request, and uses it', async () => {
    let spare: Stream
    do {
      spare = await openAhead(provider, getter)
      await fetchFrom(provider, getter, 1)
      await expect.poll(() => spare.status).not.toBe('open')
    } while (spare.status === 'reset')
    expect(spare.status).toBe('closed')
    await expect.poll(() => provider.served.length).toBe(provider.asked)
    expect(provider.served.filter(({ error }) => error !== undefined)).toEqual([])
  })

  it('that asks for nothing more closes it, and the provider takes it for no request', async () => {
    await openAhead(provider, getter)
    for (const { node } of [getter, provider]) {
      await expect.poll(() => streamsOf(node).length).toBe(0)
    }
    expect(provider.served.length).toBe(provider.asked)
  })

  it('that asks for something else closes it', async () => {
    const { id } = await openAhead(provider, getter)
    const spare = streamsOf(getter.node).find(stream => stream.id === id)
    const { hash } = await provider.store.addBytes(randomData(100))
    await getter.blobs.observeOnce(hash, { from: provider.node.getMultiaddrs() })
    expect(spare?.status).toBe('aborted')
  })

  it('whose service is stopped closes it', async () => {
    await openAhead(provider, getter)
    expect(streamsOf(getter.node).length).toBeGreaterThan(0)
    await (getter.blobs as Blobs & Startable).stop()
    expect(streamsOf(getter.node)).toEqual([])
  })

  it('asks again when the provider has given it up', async () => {
    for (let i = 0; i < 3; i++) {
      const spare = await openAhead(provider, getter)
      // The getter learns of it when its request is on the way.
      spare.abort(new Error('enough'))
      await fetchFrom(provider, getter, 1)
    }
  })

  it('asks again when their connection was lost', async () => {
    await openAhead(provider, getter)
    for (const connection of provider.node.getConnections()) connection.abort(new Error('gone'))
    await fetchFrom(provider, getter, 1)
  })

  it('leaves it to what the application has put before the protocol', async () => {
    await openAhead(provider, getter)
    const seen: string[] = []
    getter.node.use(BLOBS_PROTOCOL, (stream, connection, next) => {
      seen.push(stream.id)
      next(stream, connection)
    })
    await fetchFrom(provider, getter, 3)
    expect(new Set(seen).size).toBe(3)
    await expect.poll(() => streamsOf(provider.node).length).toBe(0)
  })
})

it('a getter that may have one stream at a time can do all that it could', async () => {
  const provider = await start()
  const getter = await start({ limits: { maxStreams: 1 } })
  const from = provider.node.getMultiaddrs()
  const { hash } = await provider.store.addBytes(randomData(100))
  for (let i = 0; i < 3; i++) {
    await fetchFrom(provider, getter, ENOUGH)
    expect(await getter.blobs.observeOnce(hash, { from })).toBeDefined()
  }
})

it('a provider that answers one request at a time does not count the stream', async () => {
  const provider = await start({ limits: { maxStreamsPerPeer: 1, retryAfterMs: 60_000 } })
  const getter = await start()
  const { hash } = await provider.store.addBytes(randomData(100))
  const request = encodeRequest({ type: 'get', hash, ranges: RangesSeq.blob(ChunkRanges.all) })
  let spare: Stream
  do {
    spare = await openAhead(provider, getter)
    const [connection] = getter.node.getConnections() as [Connection]
    const stream = await connection.newStream(BLOBS_PROTOCOL)
    await writeAll(stream, [request])
    const [status] = Buffer.concat(await Array.fromAsync(streamReader(stream)))
    expect(status).toBe(0)
    await expect.poll(() => provider.served.length).toBe(++provider.asked)
  } while (spare.status !== 'open')
})

/** A provider of another make, which has its own mind about streams. */
async function startOther(
  handle: (stream: Stream, answer: () => Promise<void>) => Promise<void>
): Promise<Side> {
  const provider = await start()
  await provider.node.unhandle(BLOBS_PROTOCOL)
  await provider.node.handle(
    BLOBS_PROTOCOL,
    stream =>
      handle(stream, async () => {
        await writeAll(stream, respond(streamReader(stream), provider.store, { hasStatus: true }))
      }),
    { maxInboundStreams: 2 }
  )
  return provider
}

it('a provider that gives up silent streams at once is asked on others', async () => {
  let asked = 0
  let silent = 0
  const provider = await startOther(async (stream, answer) => {
    if (stream.readBufferLength === 0 && asked > 0) {
      silent++
      stream.abort(new Error('say something'))
      return
    }
    asked++
    await answer()
  })
  const getter = await start()
  while (silent < 3) await fetchFrom(provider, getter, ENOUGH)
  expect(asked).toBe(provider.asked)
})

it.each(['resets', 'closes'])(
  'a request that a provider %s before anything has come back is asked once more',
  async how => {
    let streams = 0
    let given = 0
    const provider = await startOther(async (stream, answer) => {
      // The first one is silent until both sides have agreed.
      const isAhead = streams++ > 0 && stream.readBufferLength === 0
      if (!isAhead || given === 3) {
        await answer()
        return
      }
      const { done } = await streamReader(stream).next()
      if (!done) given++
      if (how === 'closes') await stream.close()
      else stream.abort(new Error('too late'))
    })
    const getter = await start()
    while (given < 3) await fetchFrom(provider, getter, ENOUGH)
  }
)
