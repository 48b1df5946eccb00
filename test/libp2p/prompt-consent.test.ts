/** Offers of protocols, and how a node answers them that agrees at once. What it says must be what libp2p says. */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openEarly } from '../../src/libp2p/early-stream.ts'
import { promptConsent, YAMUX_OPTIONS } from '../../src/libp2p/index.ts'
import { MULTISTREAM, multistreamLine } from '../../src/libp2p/multistream.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { writeAll } from '../../src/libp2p/stream-writer.ts'
import { MOST_IN_A_TURN } from '../../src/libp2p/turns.ts'
import { openSilently } from '../../src/libp2p/yamux-options.ts'
import { concat } from '../../src/protocol/concat.ts'
import { tcp as tcpWithTls } from '../../src/tcp/index.ts'
import { createTestNode } from '../helpers/libp2p.ts'

const ECHO = '/test/echo/1'
/** Not as many characters as bytes, and the first one is a mark that decoders of text may leave out. */
const NAMED = '\ufeff/test/größer/1'
const HELLO = new TextEncoder().encode('hello')
const linesOf = (...names: string[]): Uint8Array => concat(names.map(multistreamLine))

async function startPrompt(transport: ReturnType<typeof tcpWithTls> = tcp()): Promise<Libp2p> {
  return await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [transport],
    connectionEncrypters: [noise()],
    streamMuxers: [promptConsent(yamux(YAMUX_OPTIONS))]
  })
}

describe.each([
  ['that agrees at once', () => startPrompt()],
  ['as libp2p has it', createTestNode]
])('a node %s', (_, start) => {
  let node: Libp2p
  let peer: Libp2p
  /** Streams that reached the protocol's handler. */
  let handled: Stream[]

  beforeAll(async () => {
    node = await start()
    peer = await createTestNode()
    handled = []
    await node.handle(
      ECHO,
      async stream => {
        handled.push(stream)
        await writeAll(stream, streamReader(stream))
      },
      { maxInboundStreams: 3 }
    )
    await node.handle(NAMED, async stream => {
      await writeAll(stream, streamReader(stream))
    })
  })
  afterAll(async () => {
    await Promise.all([node.stop(), peer.stop()])
  })

  /** A stream on which nothing has been said, and what comes back on it. */
  async function open() {
    const connection = await peer.dial(node.getMultiaddrs())
    const before = connection.streams.length
    // What libp2p itself would say on it is never sent: it is told that all has been agreed.
    const opened = connection.newStream(ECHO)
    const stream = connection.streams[before]!
    stream.protocol = ECHO
    const came: Uint8Array[] = []
    stream.addEventListener('message', ({ data }) => came.push(data.subarray()))
    await opened
    return { stream, came: () => concat(came) }
  }

  it('answers an offer, and then what follows it', async () => {
    const { stream, came } = await open()
    const offer = linesOf(MULTISTREAM, ECHO)
    stream.send(offer)
    await expect.poll(came).toEqual(offer)
    stream.send(HELLO)
    await expect.poll(came).toEqual(concat([offer, HELLO]))
    await stream.close()
    await expect.poll(() => stream.status).toBe('closed')
    expect(handled.at(-1)?.protocol).toBe(ECHO)
  })

  it('answers an offer that comes with all that follows it', async () => {
    const { stream, came } = await open()
    const offer = linesOf(MULTISTREAM, ECHO)
    stream.send(concat([offer, HELLO]))
    await stream.close()
    await expect.poll(() => stream.status).toBe('closed')
    expect(came()).toEqual(concat([offer, HELLO]))
  })

  it('answers the offer of a name that is not all ASCII', async () => {
    const { stream, came } = await open()
    const offer = linesOf(MULTISTREAM, NAMED)
    stream.send(concat([offer, HELLO]))
    await stream.close()
    await expect.poll(() => stream.status).toBe('closed')
    expect(came()).toEqual(concat([offer, HELLO]))
  })

  it('says that it does not speak a name that begins with a mark', async () => {
    const { stream, came } = await open()
    stream.send(linesOf(MULTISTREAM, `\ufeff${ECHO}`))
    await expect.poll(came).toEqual(linesOf(MULTISTREAM, 'na'))
    stream.abort(new Error('seen enough'))
  })

  it('answers an offer that nothing follows', async () => {
    const { stream, came } = await open()
    const offer = linesOf(MULTISTREAM, ECHO)
    stream.send(offer)
    await stream.close()
    await expect.poll(() => stream.status).toBe('closed')
    expect(came()).toEqual(offer)
  })

  it('answers an offer that comes byte by byte', async () => {
    const { stream, came } = await open()
    const offer = linesOf(MULTISTREAM, ECHO)
    for (const byte of concat([offer, HELLO])) {
      stream.send(Uint8Array.of(byte))
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    await expect.poll(came).toEqual(concat([offer, HELLO]))
    stream.abort(new Error('seen enough'))
  })

  it('says that it does not speak what it does not know', async () => {
    const { stream, came } = await open()
    stream.send(linesOf('x'.repeat(60)))
    await expect.poll(came).toEqual(linesOf('na'))
    stream.abort(new Error('seen enough'))
  })

  it('says what it does not speak, and agrees to what is offered then', async () => {
    const { stream, came } = await open()
    const long = `/test/${'x'.repeat(100)}/1`
    stream.send(linesOf(MULTISTREAM, '/test/other/1', long, ECHO))
    const expected = linesOf(MULTISTREAM, 'na', 'na', ECHO)
    await expect.poll(came).toEqual(expected)
    stream.abort(new Error('seen enough'))
  })

  it('answers an offer that it takes longer to find, with all that follows it and the end', async () => {
    const { stream, came } = await open()
    stream.send(concat([linesOf(MULTISTREAM, '/test/other/1', ECHO), HELLO]))
    await stream.close()
    await expect.poll(() => stream.status).toBe('closed')
    expect(came()).toEqual(concat([linesOf(MULTISTREAM, 'na', ECHO), HELLO]))
  })

  it('keeps the limit of streams', async () => {
    await expect.poll(() => node.getConnections().flatMap(({ streams }) => streams).length).toBe(0)
    const streams: Stream[] = []
    for (let i = 0; i < 4; i++) {
      const { stream } = await open()
      stream.send(linesOf(MULTISTREAM, ECHO))
      streams.push(stream)
    }
    await expect.poll(() => streams.map(({ status }) => status)).toEqual(['open', 'open', 'open', 'reset'])
    for (const stream of streams) stream.abort(new Error('seen enough'))
  })

  it('resets a stream on which something else comes', async () => {
    for (const bytes of [new Uint8Array(300), Uint8Array.of(200, 200, 1, ...new Uint8Array(60))]) {
      const { stream } = await open()
      stream.send(bytes)
      await expect.poll(() => stream.status).toBe('reset')
    }
  })
})

describe('an offer that comes in the same breath as a request', () => {
  const HELD = '/test/held/1'
  let node: Libp2p
  let peer: Libp2p

  beforeAll(async () => {
    // What is sent at a time, this transport sends as one.
    node = await startPrompt(tcpWithTls())
    peer = await startPrompt(tcpWithTls())
    // Is never answered, and not even read: so nothing is sent to the peer.
    await node.handle(HELD, () => undefined)
    await node.handle(ECHO, async stream => {
      await writeAll(stream, streamReader(stream))
    })
  })
  afterAll(async () => {
    await Promise.all([node.stop(), peer.stop()])
  })

  /** A stream that the other side does not know of yet, and what comes back on it. */
  function openOn(connection: Connection, protocol: string) {
    const before = connection.streams.length
    connection.newStream(protocol).catch(() => undefined)
    const stream = connection.streams[before]!
    stream.protocol = protocol
    openSilently(stream)
    const came: Uint8Array[] = []
    stream.addEventListener('message', ({ data }) => came.push(data.subarray()))
    return { stream, came: () => concat(came) }
  }

  it.each([
    ['nothing follows', new Uint8Array(0)],
    ['something follows as a message of its own', HELLO]
  ])('is answered while the request is not, where %s', async (_, rest) => {
    const connection = await peer.dial(node.getMultiaddrs())
    const request = openOn(connection, HELD)
    const offered = openOn(connection, ECHO)
    const offer = linesOf(MULTISTREAM, ECHO)
    request.stream.send(concat([linesOf(MULTISTREAM, HELD), HELLO]))
    const closing = request.stream.close()
    offered.stream.send(offer)
    if (rest.length > 0) offered.stream.send(rest)
    await expect.poll(offered.came, { timeout: 60_000 }).toEqual(concat([offer, rest]))
    await closing
    expect(request.came()).toEqual(linesOf(MULTISTREAM, HELD))
    for (const { stream } of [request, offered]) stream.abort(new Error('seen enough'))
  })
})

describe.each([
  ['with a request', HELLO],
  ['without one', new Uint8Array(0)]
])('many streams that are offered at once %s', (_, request) => {
  it('begin a few in each turn of the event loop', async () => {
    const many = 8 * MOST_IN_A_TURN
    const [node, peer] = [await startPrompt(), await createTestNode()]
    try {
      /** How many began in each turn. */
      let turns = [0]
      let isOver = false
      const nextTurn = (): void => {
        turns.push(0)
        if (!isOver) setImmediate(nextTurn)
      }
      await node.handle(
        ECHO,
        async stream => {
          turns[turns.length - 1]!++
          await writeAll(stream, streamReader(stream))
        },
        { maxInboundStreams: many }
      )
      const connection = await peer.dial(node.getMultiaddrs())
      const ask = async (): Promise<Uint8Array> => {
        const { stream, offer } = openEarly(connection, ECHO, { maxOutboundStreams: many })
        const reader = streamReader(stream!)
        stream!.send(concat([offer, request]))
        await stream!.close()
        return concat(await Array.fromAsync(reader))
      }
      // libp2p takes no more than ten before it is done with the connection.
      await ask()
      turns = [0]
      nextTurn()
      const came = await Promise.all(Array.from({ length: many }, ask))
      isOver = true
      for (const bytes of came) expect(bytes).toEqual(concat([linesOf(MULTISTREAM, ECHO), request]))
      expect(turns.reduce((sum, each) => sum + each)).toBe(many)
      expect(Math.max(...turns)).toBeLessThanOrEqual(2 * MOST_IN_A_TURN)
    } finally {
      await Promise.all([node.stop(), peer.stop()])
    }
  })
})
