/** How the transport fails to secure a connection. libp2p wraps some of them; dialling gives them as they are. */
import type { PeerId } from '@libp2p/interface'

/** The TLS handshake did not come to its end; `cause` says why, where that is known. */
export class TlsHandshakeError extends Error {
  override readonly name = 'TlsHandshakeError'
  readonly code = 'ERR_TLS_HANDSHAKE'

  constructor(problem: string, cause?: unknown) {
    super(`TLS handshake failed: ${problem}`, cause === undefined ? undefined : { cause })
  }
}

/** What is wrong with a certificate. */
export type CertificateProblem =
  | 'missing'
  | 'more-than-one'
  | 'malformed'
  | 'not-yet-valid'
  | 'expired'
  | 'weak-algorithm'
  | 'self-signature'
  | 'no-extension'
  | 'unknown-critical-extension'
  | 'host-key'
  | 'host-signature'

/** The peer's certificate does not prove who it is: its operator's fault, or somebody in between. */
export class InvalidPeerCertificateError extends Error {
  override readonly name = 'InvalidPeerCertificateError'
  readonly code = 'ERR_INVALID_PEER_CERTIFICATE'
  readonly problem: CertificateProblem

  constructor(problem: CertificateProblem, detail: string, cause?: unknown) {
    super(`the peer's certificate was refused: ${detail}`, cause === undefined ? undefined : { cause })
    this.problem = problem
  }
}

/** Somebody else answers at this address. */
export class WrongPeerError extends Error {
  override readonly name = 'WrongPeerError'
  readonly code = 'ERR_WRONG_PEER'
  readonly expected: PeerId
  readonly actual: PeerId

  constructor(expected: PeerId, actual: PeerId) {
    super(`dialled peer ${expected}, but ${actual} answers at this address`)
    this.expected = expected
    this.actual = actual
  }
}

/** The installed libp2p is built in another way than this transport needs. */
export class UnsupportedLibp2pError extends Error {
  override readonly name = 'UnsupportedLibp2pError'
  readonly code = 'ERR_UNSUPPORTED_LIBP2P'

  constructor(what: string) {
    super(`${what}: use the version of libp2p that libp2p-blobs asks for, or the transport of @libp2p/tcp`)
  }
}
