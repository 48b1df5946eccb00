/** The TLS handshake on a socket that has already said something else. */
import type { Socket } from 'node:net'
import { connect, type SecureContext, TLSSocket } from 'node:tls'
import { LIBP2P_ALPN } from './constants.ts'
import { TlsHandshakeError } from './errors.ts'

export interface HandshakeOptions {
  readonly isServer: boolean
  /** The node's key and certificate. */
  readonly identity: SecureContext
  /** Stream muxers to settle on within the handshake, the preferred one first. May be empty. */
  readonly muxers: readonly string[]
  readonly signal: AbortSignal
}

/**
 * Runs TLS 1.3 on a socket. Resolves with both sides' certificates exchanged, but not looked at. When it fails, the socket is
 * destroyed.
 *
 * @param socket nobody reads from it any more; what it has read and nobody took comes first
 * @throws TlsHandshakeError
 */
export async function handshake(socket: Socket, options: HandshakeOptions): Promise<TLSSocket> {
  const { signal } = options
  if (signal.aborted) {
    socket.destroy()
    throw new TlsHandshakeError(reasonOf(signal), signal.reason)
  }
  if (socket.destroyed || socket.readableEnded) throw new TlsHandshakeError('the connection was closed')
  const tls = options.isServer ? accept(socket, options) : propose(socket, options)
  try {
    await secured(tls, signal)
    if (typeof tls.alpnProtocol !== 'string') {
      throw new TlsHandshakeError('the peer did not agree on an application protocol (ALPN)')
    }
  } catch (error) {
    tls.destroy()
    throw error
  }
  return tls
}

function accept(socket: Socket, { identity, muxers }: HandshakeOptions): TLSSocket {
  const tls = new TLSSocket(socket, {
    isServer: true,
    secureContext: identity,
    requestCert: true,
    // Certificates are self-signed: they are looked at by us, not by their issuers.
    rejectUnauthorized: false,
    // The client's order counts. Undefined ends the handshake with an alert.
    ALPNCallback: ({ protocols }) =>
      protocols.find(protocol => protocol === LIBP2P_ALPN || muxers.includes(protocol))
  })
  // Without a `tls.Server`, Node reports what goes wrong after the handshake by this event only, and leaves the socket open.
  tls.on('_tlsError', (error: Error) => tls.destroy(error))
  return tls
}

function propose(socket: Socket, { identity, muxers }: HandshakeOptions): TLSSocket {
  return connect({
    socket,
    secureContext: identity,
    rejectUnauthorized: false,
    ALPNProtocols: [...muxers, LIBP2P_ALPN]
  })
}

async function secured(tls: TLSSocket, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onError = (error: Error): void => reject(new TlsHandshakeError(error.message, error))
  const onClose = (): void => reject(new TlsHandshakeError('the connection was closed'))
  const onAbort = (): void => reject(new TlsHandshakeError(reasonOf(signal), signal.reason))
  // The event of both sides; `secureConnect` is the client's only.
  tls.once('secure', resolve)
  // Stays: an error that comes after the promise is settled must not end the process.
  tls.on('error', onError)
  tls.once('close', onClose)
  signal.addEventListener('abort', onAbort)
  try {
    await promise
  } finally {
    tls.off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  }
}

function reasonOf({ reason }: AbortSignal): string {
  return reason instanceof Error && reason.name === 'TimeoutError' ? 'it took too long' : 'it was aborted'
}
