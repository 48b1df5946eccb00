/** Our noise and that of @chainsafe/libp2p-noise, with each other. */

import { multiaddrConnectionPair } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, it } from 'vitest'
import { MAX_CONTENT_BYTES } from '../../src/noise/constants.ts'
import { randomData } from '../helpers/data.ts'
import { openSockets, startNode, until } from '../tcp/support.ts'
import { encrypted, NOISES, type NoiseKind, newComponents, Received } from './support.ts'

const PAIRS: [initiator: NoiseKind, responder: NoiseKind][] = [
  ['ours', 'ours'],
  ['ours', 'theirs'],
  ['theirs', 'ours']
]

const SIZES = [
  1,
  12, // a header of yamux
  1_200, // where @chainsafe/libp2p-noise takes other ciphers
  MAX_CONTENT_BYTES - 1,
  MAX_CONTENT_BYTES, // one full message
  MAX_CONTENT_BYTES + 1,
  3 * MAX_CONTENT_BYTES,
  1_000_003
]

describe.each(PAIRS)('%s to %s', (initiatorKind, responderKind) => {
  it('carries messages of all sizes both ways, in order', async () => {
    const { initiator, responder } = await encrypted(initiatorKind, responderKind)
    const [there, back] = [new Received(responder), new Received(initiator)]
    for (const [i, size] of SIZES.entries()) {
      initiator.send(randomData(size, i))
      responder.send(randomData(size, i + 100))
    }
    const total = SIZES.reduce((sum, size) => sum + size, 0)
    await until(() => there.bytes.length === total && back.bytes.length === total)
    const sent = (seed: number) => Buffer.concat(SIZES.map((size, i) => randomData(size, i + seed)))
    expect(Buffer.compare(there.bytes, sent(0))).toBe(0)
    expect(Buffer.compare(back.bytes, sent(100))).toBe(0)
  })

  it('carries what is handed over in pieces, and nothing for nothing', async () => {
    const { initiator, responder } = await encrypted(initiatorKind, responderKind)
    const there = new Received(responder)
    const data = randomData(200_000)
    const cuts = [0, 12, 12, 61_452, 61_453, 130_000, 200_000]
    initiator.send(new Uint8Array(0))
    initiator.send(new Uint8ArrayList(...cuts.slice(1).map((end, i) => data.subarray(cuts[i]!, end))))
    initiator.send(new Uint8ArrayList())
    await until(() => there.bytes.length === data.length)
    expect(Buffer.compare(there.bytes, data)).toBe(0)
  })

  it('carries what the initiator sends together with the end of the handshake', async () => {
    const [outbound, inbound] = multiaddrConnectionPair()
    const securing = NOISES[initiatorKind]()(await newComponents()).secureOutbound(outbound)
    const responding = NOISES[responderKind]()(await newComponents()).secureInbound(inbound)
    const { connection } = await securing
    connection.send(randomData(100_000))
    const there = new Received((await responding).connection)
    await until(() => there.bytes.length === 100_000)
    expect(Buffer.compare(there.bytes, randomData(100_000))).toBe(0)
  })

  it('tells who the peer is', async () => {
    const [outbound, inbound] = multiaddrConnectionPair()
    const [initiator, responder] = [await newComponents(), await newComponents()]
    const [out, back] = await Promise.all([
      NOISES[initiatorKind]()(initiator).secureOutbound(outbound, { remotePeer: responder.peerId }),
      NOISES[responderKind]()(responder).secureInbound(inbound)
    ])
    expect(out.remotePeer.equals(responder.peerId)).toBe(true)
    expect(back.remotePeer.equals(initiator.peerId)).toBe(true)
    expect(out.remoteExtensions).toMatchObject({ webtransportCerthashes: [] })
  })

  it('refuses another peer than the one that was meant', async () => {
    const [outbound, inbound] = multiaddrConnectionPair()
    const [initiator, responder, meant] = await Promise.all([
      newComponents(),
      newComponents(),
      newComponents()
    ])
    const accepting = NOISES[responderKind]()(responder)
      .secureInbound(inbound)
      .catch(() => undefined)
    await expect(
      NOISES[initiatorKind]()(initiator).secureOutbound(outbound, { remotePeer: meant.peerId })
    ).rejects.toMatchObject({ name: 'UnexpectedPeerError' })
    outbound.abort(new Error('refused'))
    await accepting
  })

  it('ends on both sides when one closes, after all that was sent', async () => {
    const { initiator, responder } = await encrypted(initiatorKind, responderKind)
    const [there, back] = [new Received(responder), new Received(initiator)]
    initiator.send(randomData(100_000))
    await initiator.close()
    await until(() => there.isClosed && back.isClosed)
    expect([there.error, back.error]).toEqual([undefined, undefined])
    expect(Buffer.compare(there.bytes, randomData(100_000))).toBe(0)
    expect(() => initiator.send(randomData(1))).toThrow('closed')
  })

  it('is reset on the other side when one aborts', async () => {
    const { initiator, responder } = await encrypted(initiatorKind, responderKind)
    const there = new Received(responder)
    initiator.abort(new Error('enough'))
    await until(() => there.isClosed)
    expect(there.error).toMatchObject({ name: 'StreamResetError' })
  })
})

describe('a node of ours without TLS', () => {
  it.each([
    ['our noise', 'noise only'],
    ['noise only', 'our noise']
  ] as const)('holds many connections at once: %s to %s', async (dialler, listener) => {
    await using provider = await startNode(listener)
    await provider.handle('/test/echo', async stream => {
      for await (const bytes of stream) stream.send(bytes)
      await stream.close()
    })
    const diallers = await Promise.all(Array.from({ length: 20 }, async () => await startNode(dialler)))
    const answers = await Promise.all(
      diallers.map(async (node, i) => {
        const stream = await node.dialProtocol(provider.getMultiaddrs(), '/test/echo')
        const received = new Received(stream)
        stream.send(randomData(70_000, i))
        await until(() => received.bytes.length === 70_000)
        return received.bytes
      })
    )
    for (const [i, bytes] of answers.entries()) expect(Buffer.compare(bytes, randomData(70_000, i))).toBe(0)
    await Promise.all(diallers.map(async node => await node.stop()))
    await until(() => provider.getConnections().length === 0)
    await provider.stop()
    await until(() => openSockets() === 0)
  })
})
