/** How a libp2p stream fails its reader or its writer. Each error names the position: bytes read or written before it. */
import type { Stream } from '@libp2p/interface'

/**
 * - `reset`: the peer reset the stream. js-libp2p resets carry no text or code: what the peer wants known is in the bytes.
 * - `aborted`: this side aborted it, by `stream.abort(err)` or because the connection failed; `cause` is that error.
 * - `connection-lost`: the connection went away before the peer had closed its side.
 */
export type StreamResetReason = 'reset' | 'aborted' | 'connection-lost'

/** The stream ended before its bytes did. */
export class StreamResetError extends Error {
  override readonly name = 'StreamResetError'
  readonly code = 'ERR_STREAM_RESET'
  readonly reason: StreamResetReason
  /** Bytes read or written before. */
  readonly position: number

  constructor(reason: StreamResetReason, doing: StreamUse, position: number, cause?: Error) {
    super(`${describe(reason, cause)} after ${position} bytes were ${doing}`, causeOf(cause))
    this.reason = reason
    this.position = position
  }
}

/** The peer sent, or took, nothing for too long. */
export class StreamIdleTimeoutError extends Error {
  override readonly name = 'StreamIdleTimeoutError'
  readonly code = 'ERR_STREAM_IDLE_TIMEOUT'
  /** How long nothing happened, in ms. */
  readonly idleTimeoutMs: number
  /** Bytes read or written before. */
  readonly position: number

  constructor(idleTimeoutMs: number, doing: StreamUse, position: number) {
    super(`no byte could be ${doing} for ${idleTimeoutMs} ms, after ${position} bytes; the peer may be gone`)
    this.idleTimeoutMs = idleTimeoutMs
    this.position = position
  }
}

/** A stream begins with other bytes than it must. */
export class UnexpectedBytesError extends Error {
  override readonly name = 'UnexpectedBytesError'
  readonly code = 'ERR_UNEXPECTED_BYTES'

  constructor() {
    super('the peer does not agree to the protocol that was offered')
  }
}

/** The peer closed its reading side: what we write is thrown away. Yamux cannot say so, QUIC and WebRTC can. */
export class StreamNotReadError extends Error {
  override readonly name = 'StreamNotReadError'
  readonly code = 'ERR_STREAM_NOT_READ'
  /** Bytes written before. */
  readonly position: number

  constructor(position: number) {
    super(`the peer stopped reading after ${position} bytes were written`)
    this.position = position
  }
}

/** Our side of the stream was closed for writing before this write. */
export class StreamEndedError extends Error {
  override readonly name = 'StreamEndedError'
  readonly code = 'ERR_STREAM_ENDED'
  /** Bytes written before. */
  readonly position: number

  constructor(position: number) {
    super(`cannot write: this side of the stream was closed after ${position} bytes were written`)
    this.position = position
  }
}

/** A write was begun while another one was waiting: bytes would be interleaved. */
export class StreamBusyError extends Error {
  override readonly name = 'StreamBusyError'
  readonly code = 'ERR_STREAM_BUSY'
  /** Bytes written before. */
  readonly position: number

  constructor(position: number) {
    super(`a write is still waiting after ${position} bytes were written: await it before the next`)
    this.position = position
  }
}

/** What was being done, as the messages say it. */
export type StreamUse = 'read' | 'written'

/**
 * Why a stream can no longer be used, or undefined as long as it is open.
 *
 * @param closeError the `error` of the stream's close event, when there was one
 */
export function resetErrorOf(
  stream: Stream,
  doing: StreamUse,
  position: number,
  closeError?: Error
): StreamResetError | undefined {
  switch (stream.status) {
    case 'reset':
      return new StreamResetError('reset', doing, position, closeError)
    case 'aborted':
      return new StreamResetError('aborted', doing, position, closeError)
    case 'closed':
      return new StreamResetError('connection-lost', doing, position, closeError)
    default:
      return undefined
  }
}

function describe(reason: StreamResetReason, cause: Error | undefined): string {
  switch (reason) {
    case 'reset':
      return 'the peer reset the stream'
    case 'aborted':
      return `the stream was aborted${cause === undefined ? '' : ` (${cause.message})`}`
    case 'connection-lost':
      return 'the connection was closed'
  }
}

function causeOf(cause: Error | undefined): ErrorOptions {
  return cause === undefined ? {} : { cause }
}
