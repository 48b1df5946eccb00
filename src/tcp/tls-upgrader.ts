/** libp2p's upgrader, which knows more encryptions for one transport. */
import type {
  ClearableSignal,
  Connection,
  ConnectionEncrypter,
  MultiaddrConnection,
  StreamMuxerFactory,
  Upgrader,
  UpgraderOptions,
  UpgraderWithoutEncryptionOptions
} from '@libp2p/interface'
import { UnsupportedLibp2pError } from './errors.ts'
import type { ReusedReads } from './reused-reads.ts'
import { SocketConnection } from './socket-connection.ts'

/**
 * Negotiates encryptions of ours before those of the node, on connections of @libp2p/tcp.
 *
 * All else is the node's upgrader's: it negotiates, limits, times out, asks the connection gater, counts and reports, the same
 * for either encryption and in the same order. That is why we do not negotiate ourselves and pass `skipEncryption`: what
 * a stranger can make a node do would then come before all limits.
 */
export class TlsUpgrader implements Upgrader {
  readonly #upgrader: Upgrader
  readonly #reads: ReusedReads | undefined

  /**
   * @param upgrader see `withEncrypters`
   * @param reads of the socket of the only outbound connection
   */
  constructor(upgrader: Upgrader, reads?: ReusedReads) {
    this.#upgrader = upgrader
    this.#reads = reads
  }

  async upgradeOutbound(
    connection: MultiaddrConnection,
    options: UpgraderOptions | UpgraderWithoutEncryptionOptions
  ): Promise<Connection> {
    const ours = new SocketConnection(connection, this.#reads)
    return await upgrading(ours, this.#upgrader.upgradeOutbound(ours, options))
  }

  async upgradeInbound(
    connection: MultiaddrConnection,
    options: UpgraderOptions | UpgraderWithoutEncryptionOptions
  ): Promise<void> {
    const ours = new SocketConnection(connection)
    await upgrading(ours, this.#upgrader.upgradeInbound(ours, options))
  }

  createInboundAbortSignal(signal: AbortSignal): ClearableSignal {
    return this.#upgrader.createInboundAbortSignal(signal)
  }

  getStreamMuxers(): Map<string, StreamMuxerFactory> {
    return this.#upgrader.getStreamMuxers()
  }

  getConnectionEncrypters(): Map<string, ConnectionEncrypter> {
    return this.#upgrader.getConnectionEncrypters()
  }
}

/** When it fails, the connection is ended here: who called us would reset a socket that may belong to TLS by now. */
async function upgrading<T>(ours: SocketConnection, upgraded: Promise<T>): Promise<T> {
  try {
    return await upgraded
  } catch (error) {
    const reason = ours.securityError ?? error
    ours.cutOff(reason instanceof Error ? reason : new Error(String(reason)))
    throw reason
  }
}

/**
 * The same upgrader, with `ours` before its own encrypters. The node's stays as it is: its other transports must not offer ours.
 *
 * The field is private to its type only. If it should go by another name one day, the upgrader names its encrypters itself.
 *
 * @param ours may be none
 * @throws UnsupportedLibp2pError
 */
export function withEncrypters(upgrader: Upgrader, ours: readonly ConnectionEncrypter[]): Upgrader {
  const encrypters = new Map(ours.map(encrypter => [encrypter.protocol, encrypter]))
  for (const [protocol, encrypter] of upgrader.getConnectionEncrypters()) {
    if (!encrypters.has(protocol)) encrypters.set(protocol, encrypter)
  }
  const derived: Upgrader = Object.create(upgrader, { connectionEncrypters: { value: encrypters } })
  if (derived.getConnectionEncrypters() !== encrypters) {
    throw new UnsupportedLibp2pError('the upgrader of libp2p cannot be given another encryption')
  }
  return derived
}
