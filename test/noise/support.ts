/** Both ends of one connection in memory, and what is needed to encrypt it. */
import { noise as theirNoise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { MessageStream, Upgrader } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { noise as ourNoise } from '../../src/noise/index.ts'

export const NOISES = { ours: ourNoise, theirs: theirNoise }
export type NoiseKind = keyof typeof NOISES

type Components = Parameters<ReturnType<typeof ourNoise>>[0]

/** A new peer. */
export async function newComponents(): Promise<Components> {
  const privateKey = await generateKeyPair('Ed25519')
  return {
    privateKey,
    peerId: peerIdFromPrivateKey(privateKey),
    logger: defaultLogger(),
    // All that a handshake asks of it.
    upgrader: { getStreamMuxers: () => new Map() } as unknown as Upgrader
  }
}

export interface Ends {
  readonly initiator: MessageStream
  readonly responder: MessageStream
}

/** Two peers that have shaken hands. */
export async function encrypted(initiatorKind: NoiseKind, responderKind: NoiseKind): Promise<Ends> {
  const [outbound, inbound] = multiaddrConnectionPair()
  const [initiator, responder] = await Promise.all([
    NOISES[initiatorKind]()(await newComponents()).secureOutbound(outbound),
    NOISES[responderKind]()(await newComponents()).secureInbound(inbound)
  ])
  return { initiator: initiator.connection, responder: responder.connection }
}

/** What has come out of a stream so far, and what has become of it. */
export class Received {
  bytes = Buffer.alloc(0)
  error: Error | undefined
  isClosed = false
  /** Of what came in one event. */
  mostPieces = 0

  constructor(stream: MessageStream) {
    stream.addEventListener('message', ({ data }) => {
      this.bytes = Buffer.concat([this.bytes, data.subarray()])
      this.mostPieces = Math.max(this.mostPieces, data instanceof Uint8Array ? 1 : [...data].length)
    })
    stream.addEventListener('close', ({ error }) => {
      this.isClosed = true
      this.error = error
    })
  }
}
