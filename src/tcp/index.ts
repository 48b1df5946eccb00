/**
 * TCP for libp2p, twice as fast: encrypted by node:tls on the socket itself instead of frame by frame in JavaScript.
 * For Node only.
 *
 * It takes the place of `tcp()` of @libp2p/tcp, with the same addresses and options. It speaks the libp2p TLS handshake
 * (`/tls/1.0.0`) with peers that know it, whoever made them, and with others one of the node's own `connectionEncrypters`,
 * which should therefore stay: noise, in most networks, be it that of `libp2p-blobs/noise` or of @chainsafe/libp2p-noise.
 * Nothing but the connection's `encryption` tells the two apart.
 *
 * In a private network (`connectionProtector`) it is the same as @libp2p/tcp.
 *
 * @packageDocumentation
 *
 * @example
 *
 * ```ts
 * import { noise } from '@chainsafe/libp2p-noise'
 * import { yamux } from '@chainsafe/libp2p-yamux'
 * import { createLibp2p } from 'libp2p'
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
import type { ConnectionProtector, PrivateKey, Transport } from '@libp2p/interface'
import type { TCPComponents, TCPOptions } from '@libp2p/tcp'
import { TlsTcp } from './transport.ts'

export {
  type CertificateProblem,
  InvalidPeerCertificateError,
  TlsHandshakeError,
  UnsupportedLibp2pError,
  WrongPeerError
} from './errors.ts'

/** The options of @libp2p/tcp: timeouts in ms after which an inactive socket is closed, limits of connections, socket options. */
export interface TcpInit extends TCPOptions {
  /**
   * Whether to offer TLS. Without it, connections are encrypted by the node's own `connectionEncrypters` only.
   *
   * @default true
   */
  readonly tls?: boolean | undefined
}

/** What the transport needs of a libp2p node. */
export interface TcpComponents extends TCPComponents {
  /** The host key, which vouches for the certificate. */
  readonly privateKey: PrivateKey
  readonly connectionProtector?: ConnectionProtector | undefined
}

/**
 * Goes into `transports` of `createLibp2p`.
 *
 * The inactivity timeouts are 2 minutes by default, as in @libp2p/tcp. How long a handshake may take, and how many may be under
 * way, are libp2p's `inboundUpgradeTimeout`, `dialTimeout` and `maxIncomingPendingConnections`.
 */
export function tcp(init: TcpInit = {}): (components: TcpComponents) => Transport {
  return components => new TlsTcp(components, init)
}
