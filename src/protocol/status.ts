/** The status in front of a `/libp2p-blobs/1.0.0` response (protocol/README.md, "The status"). */
import { MAX_RETRY_AFTER_MS, MAX_STATUS_MESSAGE_BYTES } from './constants.ts'
import { MalformedError, Reader, TruncatedError, Writer } from './postcard.ts'

/** What a failed request can be told; the values on the wire. */
const CODES = {
  ok: 0,
  not_found: 1,
  permission_denied: 2,
  busy: 3,
  bad_request: 4,
  internal: 5
} as const

const TYPES = Object.keys(CODES) as (keyof typeof CODES)[]

/** The response follows. */
export interface OkStatus {
  readonly type: 'ok'
}

/** Too much to do at the moment. */
export interface BusyStatus {
  readonly type: 'busy'
  /** When to ask again, in ms. */
  readonly retryAfterMs: number
  readonly message?: string
}

/** Nothing follows. */
export interface FailureStatus {
  readonly type: 'not_found' | 'permission_denied' | 'bad_request' | 'internal'
  /** For a person to read. It comes from the other peer: do not trust it, nor print its control characters. */
  readonly message?: string
}

export type Status = OkStatus | BusyStatus | FailureStatus

/** The bytes are no status. */
export class MalformedStatusError extends MalformedError {
  override readonly name = 'MalformedStatusError'
  override readonly code = 'ERR_MALFORMED_STATUS'
}

/** The status is a number without a meaning, perhaps from a newer version. */
export class UnknownStatusError extends Error {
  override readonly name = 'UnknownStatusError'
  readonly code = 'ERR_UNKNOWN_STATUS'
  readonly status: number

  constructor(status: number) {
    super(`the provider answered with status ${status}, which this version does not know`)
    this.status = status
  }
}

/**
 * The bytes of a status. A message longer than {@link MAX_STATUS_MESSAGE_BYTES} is cut between two characters.
 *
 * @throws RangeError when `retryAfterMs` is not a whole number that fits u32
 */
export function encodeStatus(status: Status): Uint8Array {
  const writer = new Writer()
  writer.byte(CODES[status.type])
  if (status.type === 'ok') {
    return writer.finish()
  }
  if (status.type === 'busy') {
    writer.raw(u32le(status.retryAfterMs))
  }
  if (status.message) {
    writer.sized(cutUtf8(status.message, MAX_STATUS_MESSAGE_BYTES))
  }
  return writer.finish()
}

/**
 * Reads the status at the start of a response.
 *
 * @param ended whether `bytes` is all there will be: only then is a message known to be missing
 * @returns the status and its length in bytes, behind which the response starts; undefined when more bytes are needed
 * @throws MalformedStatusError also when `ended` and the status is cut off; a response without a byte is cut off too
 * @throws UnknownStatusError
 */
export function tryDecodeStatus(
  bytes: Uint8Array,
  ended: boolean
): { status: Status; length: number } | undefined {
  const reader = new Reader(bytes)
  try {
    const status = readStatus(reader, ended)
    return { status, length: reader.position }
  } catch (cause) {
    if (cause instanceof TruncatedError && !ended) {
      return undefined
    }
    if (cause instanceof MalformedError) {
      throw new MalformedStatusError(`malformed status: ${cause.reason}`, cause.position, { cause })
    }
    throw cause
  }
}

function readStatus(reader: Reader, ended: boolean): Status {
  const code = reader.byte('the status')
  const type = TYPES.find(name => CODES[name] === code)
  switch (type) {
    case undefined:
      throw new UnknownStatusError(code)
    case 'ok':
      return { type }
    case 'busy': {
      const retryAfterMs = readU32le(reader)
      return { type, retryAfterMs, ...readMessage(reader, ended) }
    }
    default:
      return { type, ...readMessage(reader, ended) }
  }
}

function readMessage(reader: Reader, ended: boolean): { message?: string } {
  if (ended && reader.remaining === 0) {
    return {}
  }
  const start = reader.position
  reader.uint('length of the message', MAX_STATUS_MESSAGE_BYTES)
  reader.position = start
  const message = reader.string('the message')
  return message === '' ? {} : { message }
}

function u32le(value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value > MAX_RETRY_AFTER_MS) {
    throw new RangeError(`retryAfterMs is a whole number from 0 to ${MAX_RETRY_AFTER_MS}, not ${value}`)
  }
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

function readU32le(reader: Reader): number {
  const bytes = reader.take(4, 'the time to wait')
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true)
}

/** As many whole characters from the start as fit `max` bytes. */
function cutUtf8(text: string, max: number): Uint8Array {
  const bytes = new Uint8Array(max)
  return bytes.subarray(0, new TextEncoder().encodeInto(text, bytes).written)
}
