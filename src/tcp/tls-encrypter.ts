/** `/tls/1.0.0` for connections whose socket can be had: node:tls runs on the socket itself. */
import type { SecureContext, TLSSocket } from 'node:tls'
import type {
  ConnectionEncrypter,
  MessageStream,
  PeerId,
  PrivateKey,
  SecureConnectionOptions,
  SecuredConnection,
  StreamMuxerFactory
} from '@libp2p/interface'
import { HANDSHAKE_TIMEOUT_MS, TLS_PROTOCOL } from './constants.ts'
import { TlsHandshakeError, WrongPeerError } from './errors.ts'
import { handshake } from './handshake.ts'
import { SocketConnection } from './socket-connection.ts'

/** One for all connections of a node. */
export class TlsEncrypter implements ConnectionEncrypter {
  readonly protocol = TLS_PROTOCOL
  readonly #privateKey: PrivateKey
  readonly #muxers: () => Map<string, StreamMuxerFactory>
  #identity: Promise<SecureContext> | undefined

  /** @param muxers those of the node, asked for at each handshake */
  constructor(privateKey: PrivateKey, muxers: () => Map<string, StreamMuxerFactory>) {
    this.#privateKey = privateKey
    this.#muxers = muxers
  }

  async secureInbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection> {
    return await this.#secure(socketConnection(connection), true, options)
  }

  async secureOutbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection> {
    return await this.#secure(socketConnection(connection), false, options)
  }

  async #secure(
    connection: SocketConnection,
    isServer: boolean,
    options: SecureConnectionOptions = {}
  ): Promise<SecuredConnection> {
    const muxers = options.skipStreamMuxerNegotiation === true ? new Map() : this.#muxers()
    const signal = options.signal ?? AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS)
    const socket = await connection.takeSocket(signal)
    try {
      const tls = await handshake(socket, {
        isServer,
        identity: await this.#ownIdentity(),
        muxers: [...muxers.keys()],
        signal
      })
      const remotePeer = await verified(tls, options.remotePeer)
      connection.useTls(tls)
      const streamMuxer = muxers.get(String(tls.alpnProtocol))
      return { connection, remotePeer, ...(streamMuxer === undefined ? {} : { streamMuxer }) }
    } catch (error) {
      if (error instanceof Error) connection.securityError = error
      socket.destroy()
      throw error
    }
  }

  /** Made when it is first needed, as making and checking certificates loads a library. If that fails, the next one tries again. */
  async #ownIdentity(): Promise<SecureContext> {
    this.#identity ??= newIdentity(this.#privateKey).catch((error: unknown) => {
      this.#identity = undefined
      throw error
    })
    return await this.#identity
  }
}

async function newIdentity(privateKey: PrivateKey): Promise<SecureContext> {
  const { createTlsIdentity } = await import('./tls-identity.ts')
  return await createTlsIdentity(privateKey)
}

function socketConnection(connection: MessageStream): SocketConnection {
  if (connection instanceof SocketConnection) return connection
  throw new TlsHandshakeError('something lies between the socket and the encryption')
}

async function verified(tls: TLSSocket, expected: PeerId | undefined): Promise<PeerId> {
  const { verifyCertificate } = await import('./verify-certificate.ts')
  const remotePeer = await verifyCertificate(tls.getPeerX509Certificate())
  if (expected?.equals(remotePeer) === false) throw new WrongPeerError(expected, remotePeer)
  return remotePeer
}
