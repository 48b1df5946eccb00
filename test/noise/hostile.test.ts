/** Peers that have shaken hands and then send what no noise sends; and such that never do. */
import { noise as theirNoise } from '@chainsafe/libp2p-noise'
import { pureJsCrypto } from '@chainsafe/libp2p-noise/crypto'
import type { MessageStream } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, it } from 'vitest'
import { CipherState } from '../../src/noise/cipher-state.ts'
import { MAX_CONTENT_BYTES, MOST_PIECES } from '../../src/noise/constants.ts'
import { handshake } from '../../src/noise/handshake.ts'
import { NoiseKeyError, NoiseMessageError } from '../../src/noise/index.ts'
import { NoiseStream } from '../../src/noise/noise-stream.ts'
import { Opener } from '../../src/noise/opener.ts'
import { seal } from '../../src/noise/sealer.ts'
import { randomData } from '../helpers/data.ts'
import { until } from '../tcp/support.ts'
import { newComponents, Received } from './support.ts'

const KEY = randomData(32)

/** A message as the specifications have it, by another implementation of the cipher. */
function messageOf(content: Uint8Array, index: number, key = KEY): Uint8Array {
  const nonce = new Uint8Array(12)
  new DataView(nonce.buffer).setUint32(4, index, true)
  const sealed = pureJsCrypto.chaCha20Poly1305Encrypt(content, nonce, new Uint8Array(0), key).subarray()
  return Buffer.concat([Buffer.from([sealed.length >> 8, sealed.length]), sealed])
}

/** Our end of a connection whose peer has the key, and what came out of it. */
function attacked(): { peer: MessageStream; ours: NoiseStream; received: Received } {
  const [peer, connection] = multiaddrConnectionPair()
  const session = {
    sending: new CipherState(randomData(32, 2)),
    receiving: new CipherState(KEY),
    arrived: new Uint8ArrayList()
  }
  const ours = new NoiseStream(connection, session)
  return { peer, ours, received: new Received(ours) }
}

describe('messages', () => {
  it('are what another implementation makes of the same bytes', () => {
    const state = new CipherState(KEY)
    for (const [index, size] of [1, 12, 1_200, MAX_CONTENT_BYTES].entries()) {
      const content = new Uint8ArrayList(randomData(size))
      expect(Buffer.compare(seal(state, content).subarray(), messageOf(randomData(size), index))).toBe(0)
    }
  })

  it('come out the same wherever they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 10 }),
        (contents, steps) => {
          const bytes = Buffer.concat(contents.map((content, index) => messageOf(content, index)))
          const opener = new Opener(new CipherState(KEY))
          const opened: Uint8Array[] = []
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const end = at + steps[i % steps.length]!
            opener.open(bytes.subarray(at, end), opened)
            at = end
          }
          expect(Buffer.compare(Buffer.concat(opened), Buffer.concat(contents))).toBe(0)
        }
      )
    )
  })

  it('may be empty, as often as the peer likes', async () => {
    const { peer, received } = attacked()
    for (let index = 0; index < 3; index++) peer.send(messageOf(new Uint8Array(0), index))
    peer.send(messageOf(randomData(10), 3))
    await until(() => received.bytes.length === 10)
    expect(received.isClosed).toBe(false)
  })

  it('are not believed before their last byte', async () => {
    const { peer, ours, received } = attacked()
    peer.send(messageOf(randomData(10), 0))
    peer.send(messageOf(randomData(50_000, 2), 1).subarray(0, -1))
    await until(() => received.bytes.length === 10)
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(received.bytes.length + ours.readBufferLength).toBe(10)
  })
})

describe('a peer that sends byte by byte', () => {
  const content = randomData(20_000)

  it('has few pieces kept of a message', async () => {
    const { peer, received } = attacked()
    for (const byte of messageOf(content, 0)) peer.send(Uint8Array.of(byte))
    await until(() => received.bytes.length === content.length)
    expect(received.bytes).toEqual(Buffer.from(content))
    expect(received.mostPieces).toBeLessThanOrEqual(MOST_PIECES + 1)
  })

  it('has few pieces handed on of its messages', async () => {
    const { peer, received } = attacked()
    const state = new CipherState(KEY)
    const sealed = [...content].map(byte => seal(state, new Uint8ArrayList(Uint8Array.of(byte))).subarray())
    peer.send(Buffer.concat(sealed))
    await until(() => received.bytes.length === content.length)
    expect(received.bytes).toEqual(Buffer.from(content))
    expect(received.mostPieces).toBeLessThanOrEqual(MOST_PIECES)
  })
})

const good = messageOf(randomData(1_000, 2), 1)

const WRONG = /^message 1 from the peer is not what the peer has encrypted$/
const SHORT = /^message 1 from the peer has \d+ bytes, too few for one$/

const LIES: [name: string, bytes: Uint8Array, problem: RegExp][] = [
  ['a message with a changed bit', good.map((byte, i) => (i === 500 ? byte ^ 1 : byte)), WRONG],
  ['a message with a changed tag', good.map((byte, i) => (i === good.length - 1 ? byte ^ 128 : byte)), WRONG],
  ['a message with a changed length', good.map((byte, i) => (i === 1 ? byte - 1 : byte)), WRONG],
  ['the same message again', messageOf(randomData(10), 0), WRONG],
  ['a message that leaves one out', messageOf(randomData(1_000, 2), 2), WRONG],
  ['a message by another key', messageOf(randomData(1_000, 2), 1, randomData(32, 3)), WRONG],
  ['a message shorter than a tag', Buffer.concat([Buffer.from([0, 15]), randomData(15)]), SHORT],
  ['a message of no bytes', Buffer.from([0, 0]), SHORT],
  ['plaintext', Buffer.from('/multistream/1.0.0\n'.repeat(10_000)), WRONG]
]

describe('a connection ends, and nothing of it is believed, on', () => {
  it.each(LIES)('%s', async (_, lie, problem) => {
    const { peer, ours, received } = attacked()
    const atPeer = new Received(peer)
    peer.send(Buffer.concat([messageOf(randomData(10), 0), lie, messageOf(randomData(10), 1)]))
    await until(() => received.isClosed && atPeer.isClosed)
    expect(received.error).toBeInstanceOf(NoiseMessageError)
    expect(received.error).toMatchObject({ code: 'ERR_NOISE_MESSAGE', index: 1 })
    expect(String(received.error?.message)).toMatch(problem)
    expect(atPeer.error).toMatchObject({ name: 'StreamResetError' })
    expect(received.bytes).toEqual(Buffer.from(randomData(10)))
    expect(() => ours.send(randomData(1))).toThrow('closed')
  })
})

describe('keys', () => {
  it.each(['closed', 'aborted', 'lost'])('are gone when the connection is %s', async how => {
    const [peer, connection] = multiaddrConnectionPair()
    const session = {
      sending: new CipherState(KEY),
      receiving: new CipherState(KEY),
      arrived: new Uint8ArrayList()
    }
    const ours = new NoiseStream(connection, session)
    const received = new Received(ours)
    if (how === 'closed') await ours.close()
    else if (how === 'aborted') ours.abort(new Error('enough'))
    else peer.abort(new Error('gone'))
    await until(() => received.isClosed)
    expect(() => session.sending.encipher()).toThrow(NoiseKeyError)
    expect(() => session.receiving.decipher()).toThrow(NoiseKeyError)
  })
})

describe('a handshake', () => {
  it('with a peer that says nothing ends with its signal, and lets go of the connection', async () => {
    const [outbound] = multiaddrConnectionPair()
    const shaking = handshake(outbound, {
      isInitiator: true,
      init: {},
      components: await newComponents(),
      secure: { signal: AbortSignal.timeout(50) }
    })
    await expect(shaking).rejects.toThrow()
    expect(outbound.listenerCount('message')).toBe(0)
  })

  it('with a peer that goes away fails', async () => {
    const [outbound, inbound] = multiaddrConnectionPair()
    const shaking = handshake(outbound, {
      isInitiator: true,
      init: {},
      components: await newComponents(),
      secure: undefined
    })
    inbound.abort(new Error('gone'))
    await expect(shaking).rejects.toThrow()
  })

  it('leaves nothing that hears or says anything on the connection', async () => {
    const [outbound, inbound] = multiaddrConnectionPair()
    const [session] = await Promise.all([
      handshake(outbound, {
        isInitiator: true,
        init: {},
        components: await newComponents(),
        secure: undefined
      }),
      theirNoise()(await newComponents()).secureInbound(inbound)
    ])
    expect(outbound.listenerCount('message')).toBe(0)
    expect(outbound.listenerCount('close')).toBe(multiaddrConnectionPair()[0].listenerCount('close'))
    expect(session.arrived.byteLength).toBe(0)
  })
})
