/** What a getter can meet, other than wrong bytes (`HashMismatchError`) and bytes that stop (`TruncatedEncodingError`). */
import type { Hash } from '../hash.ts'
import type { BusyStatus, FailureStatus } from './status.ts'

/** The provider does not have the blob. */
export class NotAvailableError extends Error {
  override readonly name = 'NotAvailableError'
  readonly code = 'ERR_NOT_AVAILABLE'
  readonly hash: Hash
  /** Index of the blob in the request. */
  readonly index: number

  constructor(hash: Hash, index: number) {
    super(`the provider does not have blob ${hash}`)
    this.hash = hash
    this.index = index
  }
}

/** The provider refused the request, and said why. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly code = 'ERR_REFUSED'
  readonly status: FailureStatus | BusyStatus

  /** @param peer who refused, for people to read */
  constructor(status: FailureStatus | BusyStatus, peer = 'the provider') {
    const wait = status.type === 'busy' ? `, ask again in ${status.retryAfterMs} ms` : ''
    const message = status.message === undefined ? '' : `: ${printable(status.message)}`
    super(`${peer} refused: ${status.type.replace('_', ' ')}${wait}${message}`)
    this.status = status
  }
}

/** The size that the provider claims is more than we are willing, or able, to take. */
export class BlobTooLargeError extends Error {
  override readonly name = 'BlobTooLargeError'
  readonly code = 'ERR_BLOB_TOO_LARGE'

  constructor(hash: Hash, size: bigint, limit: number) {
    super(`the provider claims that blob ${hash} has ${size} bytes; the limit is ${limit}`)
  }
}

/** The blob that should list others does not, or is not there to be looked at. */
export class NotAHashSequenceError extends Error {
  override readonly name = 'NotAHashSequenceError'
  readonly code = 'ERR_NOT_A_HASH_SEQUENCE'

  constructor(hash: Hash, reason: string) {
    super(`blob ${hash} cannot be read as a hash sequence: ${reason}`)
  }
}

/** There is too much to do at the moment. Thrown at the provider, from the hook that sees the request. */
export class BusyError extends Error {
  override readonly name = 'BusyError'
  readonly code = 'ERR_BUSY'
  /** When to ask again, in ms. */
  readonly retryAfterMs: number

  constructor(retryAfterMs: number) {
    super(`too many requests of this kind at the same time; ask again in ${retryAfterMs} ms`)
    this.retryAfterMs = retryAfterMs
  }
}

/** A request was refused; thrown at the provider where the stream cannot say why. */
export class PermissionDeniedError extends Error {
  override readonly name = 'PermissionDeniedError'
  readonly code = 'ERR_PERMISSION_DENIED'
}

/** What a peer pushes is not what its request announced. What was good of it is kept. */
export class BadPushError extends Error {
  override readonly name = 'BadPushError'
  readonly code = 'ERR_BAD_PUSH'

  constructor(cause: Error) {
    super(`the push is no good: ${cause.message}`, { cause })
  }
}

/** Text of another peer, fit for a terminal: its control characters could do anything there. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '?')
}
