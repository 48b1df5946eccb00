/**
 * Noise for libp2p on Node: the wire format of @chainsafe/libp2p-noise, which is also left the handshake, for less CPU. A stream over
 * `libp2p-blobs/tcp` and this takes about half of what one over @libp2p/tcp and @chainsafe/libp2p-noise takes.
 *
 * It takes the place of `noise()` of @chainsafe/libp2p-noise, over any transport, with the same options but `crypto`. It counts
 * nothing into the node's metrics.
 *
 * @packageDocumentation
 *
 * @example
 *
 * ```ts
 * import { yamux } from '@chainsafe/libp2p-yamux'
 * import { createLibp2p } from 'libp2p'
 * import { noise } from 'libp2p-blobs/noise'
 * import { tcp } from 'libp2p-blobs/tcp'
 *
 * const node = await createLibp2p({
 *   addresses: { listen: ['/ip4/0.0.0.0/tcp/0'] },
 *   transports: [tcp()],
 *   connectionEncrypters: [noise()],
 *   streamMuxers: [yamux()]
 * })
 * ```
 */
import type { NoiseInit as ChainsafeInit, NoiseComponents, NoiseExtensions } from '@chainsafe/libp2p-noise'
import type { ConnectionEncrypter } from '@libp2p/interface'
import { NoiseEncrypter } from './encrypter.ts'

export { NoiseKeyError, NoiseMessageError, UnsupportedNoiseError } from './errors.ts'

/** The options of @chainsafe/libp2p-noise, without the choice of ciphers: a static key, a prologue, extensions. */
export type NoiseInit = Omit<ChainsafeInit, 'crypto'>

/** Goes into `connectionEncrypters` of `createLibp2p`. */
export function noise(
  init: NoiseInit = {}
): (components: NoiseComponents) => ConnectionEncrypter<NoiseExtensions> {
  return components => new NoiseEncrypter(components, init)
}
