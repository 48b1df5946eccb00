/** The four requests (protocol/README.md, "Requests"). */
import type { ChunkRanges } from '../bao/ranges.ts'
import { HASH_BYTES, Hash } from '../hash.ts'
import { MAX_REQUEST_BYTES, MAX_REQUEST_NUMBERS } from './constants.ts'
import { MalformedError, Reader, TruncatedError, Writer } from './postcard.ts'
import { readRanges, writeRanges } from './ranges-codec.ts'
import { type RangesSeq, readRangesSeq, writeRangesSeq } from './ranges-seq.ts'
import { varintEnd, varintValue } from './varint.ts'

/** Ranges of a blob and of its children. */
export interface GetRequest {
  readonly type: 'get'
  readonly hash: Hash
  readonly ranges: RangesSeq
}

/** Ranges of several blobs; index 0 of the ranges is the first hash. */
export interface GetManyRequest {
  readonly type: 'get_many'
  readonly hashes: readonly Hash[]
  readonly ranges: RangesSeq
}

/** What the provider has of a blob, now and whenever it changes. */
export interface ObserveRequest {
  readonly type: 'observe'
  readonly hash: Hash
  /** Sent, but providers tell about all chunks. */
  readonly ranges: ChunkRanges
}

/** What follows on the stream is what a Get with these ranges would be answered with. */
export interface PushRequest {
  readonly type: 'push'
  readonly hash: Hash
  readonly ranges: RangesSeq
}

export type Request = GetRequest | GetManyRequest | ObserveRequest | PushRequest

/** The bytes are no request. */
export class MalformedRequestError extends MalformedError {
  override readonly name = 'MalformedRequestError'
  override readonly code = 'ERR_MALFORMED_REQUEST'
}

/** The request has too many hashes or ranges to be sent. */
export class RequestTooLongError extends Error {
  override readonly name = 'RequestTooLongError'
  readonly code = 'ERR_REQUEST_TOO_LONG'
}

const GET = 0
const OBSERVE = 1
const PUSH = 8
const GET_MANY = 9

/**
 * The bytes of a request. Of a push these are the bytes before the data.
 *
 * @throws RequestTooLongError above {@link MAX_REQUEST_BYTES} or {@link MAX_REQUEST_NUMBERS}, in which case it has to be split
 */
export function encodeRequest(request: Request): Uint8Array {
  const writer = new Writer()
  switch (request.type) {
    case 'get':
      writer.byte(GET)
      writeHashAndRanges(writer, request)
      break
    case 'observe':
      writer.byte(OBSERVE)
      writer.raw(request.hash.bytes)
      writeRanges(writer, request.ranges)
      break
    case 'push': {
      const body = new Writer()
      writeHashAndRanges(body, request)
      writer.byte(PUSH)
      writer.sized(body.finish())
      break
    }
    case 'get_many':
      writer.byte(GET_MANY)
      writer.varint(request.hashes.length)
      for (const hash of request.hashes) {
        writer.raw(hash.bytes)
      }
      writeRangesSeq(writer, request.ranges)
  }
  const numbers = request.type === 'observe' ? request.ranges.boundaries.length : request.ranges.numbers
  if (numbers > MAX_REQUEST_NUMBERS) {
    throw new RequestTooLongError(
      `the ${request.type} request has ${numbers} numbers in its ranges, at most ${MAX_REQUEST_NUMBERS} can be sent: ask for less at a time`
    )
  }
  if (writer.length > MAX_REQUEST_BYTES) {
    throw new RequestTooLongError(
      `the ${request.type} request has ${writer.length} bytes, at most ${MAX_REQUEST_BYTES} can be sent: ask for less at a time`
    )
  }
  return writer.finish()
}

/**
 * Reads a request that is there in full, that is, after the getter has closed its side. Bytes behind it are ignored.
 *
 * @throws MalformedRequestError
 */
export function decodeRequest(bytes: Uint8Array): Request {
  return decode(bytes).request
}

/**
 * Reads a request from the first bytes of a stream: a push ends before the stream does.
 *
 * Do not call this after every piece of a stream: `RequestCollector` does it without reading the bytes again and again.
 *
 * @returns the request and its length in bytes, behind which the data of a push starts; undefined when more bytes are needed
 * @throws MalformedRequestError
 */
export function tryDecodeRequest(bytes: Uint8Array): { request: Request; length: number } | undefined {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof MalformedRequestError && error.cause instanceof TruncatedError) {
      return undefined
    }
    throw error
  }
}

/**
 * How many bytes of a stream have to be there before another look at them makes sense. Costs next to nothing.
 *
 * @returns at most `bytes.length` when there is enough; Infinity when only the end of the stream ends the request
 */
export function requestBytesNeeded(bytes: Uint8Array): number {
  if (bytes.length === 0) {
    return 1
  }
  if (bytes[0] !== PUSH) {
    return Number.POSITIVE_INFINITY
  }
  const end = varintEnd(bytes, 1)
  if (end === 'truncated') {
    return bytes.length + 1
  }
  return end === 'overflow' ? bytes.length : end + lengthOfPush(varintValue(bytes, 1, end))
}

/** A length that is not allowed counts as none, so that the decoder gets to refuse it. */
function lengthOfPush(length: bigint): number {
  return length > MAX_REQUEST_BYTES ? 0 : Number(length)
}

function decode(bytes: Uint8Array): { request: Request; length: number } {
  const reader = new Reader(bytes)
  try {
    const request = readRequest(reader)
    return { request, length: reader.position }
  } catch (cause) {
    if (cause instanceof MalformedError) {
      throw new MalformedRequestError(`malformed request: ${cause.reason}`, cause.position, { cause })
    }
    throw cause
  }
}

function readRequest(reader: Reader): Request {
  const type = reader.byte('the type of the request')
  if (type === PUSH) {
    return readPush(reader)
  }
  if (reader.remaining > MAX_REQUEST_BYTES) {
    throw new MalformedError(`${reader.remaining} bytes, at most ${MAX_REQUEST_BYTES} are allowed`, 1)
  }
  switch (type) {
    case GET:
      return { type: 'get', ...readHashAndRanges(reader) }
    case OBSERVE:
      return { type: 'observe', hash: readHash(reader), ranges: readRanges(reader) }
    case GET_MANY: {
      const count = reader.count('number of hashes', HASH_BYTES)
      const hashes = Array.from({ length: count }, () => readHash(reader))
      return { type: 'get_many', hashes, ranges: readRangesSeq(reader) }
    }
    default:
      throw new MalformedError(`${type} is no type of request that exists`, 0)
  }
}

function readPush(reader: Reader): PushRequest {
  const length = reader.uint('length of the push request', MAX_REQUEST_BYTES)
  const start = reader.position
  reader.take(length, 'the push request')
  const head = new Reader(reader.bytes.subarray(0, reader.position), start)
  try {
    return { type: 'push', ...readHashAndRanges(head) }
  } catch (cause) {
    if (cause instanceof TruncatedError) {
      // Its length was told, so that more bytes on the stream will not mend it.
      throw new MalformedError(cause.reason, cause.position, { cause })
    }
    throw cause
  }
}

function writeHashAndRanges(writer: Writer, { hash, ranges }: { hash: Hash; ranges: RangesSeq }): void {
  writer.raw(hash.bytes)
  writeRangesSeq(writer, ranges)
}

function readHashAndRanges(reader: Reader): { hash: Hash; ranges: RangesSeq } {
  return { hash: readHash(reader), ranges: readRangesSeq(reader) }
}

function readHash(reader: Reader): Hash {
  return Hash.fromBytes(reader.take(HASH_BYTES, 'a hash'))
}
