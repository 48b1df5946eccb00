/** The libp2p stacks that are compared. */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Libp2p, ServiceMap } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2pOptions } from 'libp2p'
import { promptConsent } from '../../dist/libp2p/prompt-consent.js'
import { YAMUX_OPTIONS } from '../../dist/libp2p/yamux-options.js'
import { noise as ownNoise } from '../../dist/noise/index.js'
import { tcp as ownTcp } from '../../dist/tcp/index.js'

/** Our node's: `tls`, which it agrees on with its like, and `noise`, for peers that know no TLS. */
export const OUR_STACKS = ['noise', 'tls'] as const
/** `plain`: TCP and noise as js-libp2p has them. */
export const STACKS = ['plain', ...OUR_STACKS] as const
export type Stack = (typeof STACKS)[number]

export function stackName(text: string): Stack {
  const name = STACKS.find(known => known === text)
  if (name === undefined) throw new RangeError(`there is no stack "${text}"; there are: ${STACKS.join(', ')}`)
  return name
}

const PARTS = {
  plain: { transport: () => tcp(), encrypter: noise },
  noise: { transport: () => ownTcp({ tls: false }), encrypter: ownNoise },
  tls: { transport: () => ownTcp(), encrypter: ownNoise }
}

/** @param options more than the stack, or other than it */
export async function startNode<S extends ServiceMap>(
  stack: Stack,
  options: Libp2pOptions<S> = {}
): Promise<Libp2p<S>> {
  const { transport, encrypter } = PARTS[stack]
  return await createLibp2p({
    transports: [transport()],
    connectionEncrypters: [encrypter()],
    streamMuxers: [stack === 'plain' ? yamux(YAMUX_OPTIONS) : promptConsent(yamux(YAMUX_OPTIONS))],
    // As our own node has it: it pings hundreds of peers in one turn.
    connectionMonitor: { enabled: false },
    ...options
  })
}

export const LISTEN_HERE = { listen: ['/ip4/127.0.0.1/tcp/0'] }

/** libp2p lets in five connections per second from one machine, and here all come from one. */
export const LET_MANY_IN = {
  maxConnections: 10_000,
  maxIncomingPendingConnections: 10_000,
  inboundConnectionThreshold: Number.POSITIVE_INFINITY
}
