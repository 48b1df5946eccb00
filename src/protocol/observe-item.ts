/** What an Observe response is made of (protocol/README.md, "Observe"). */
import { CHUNK_BYTES } from '../bao/constants.ts'
import { ChunkRanges, InvalidRangesError } from '../bao/ranges.ts'
import { MAX_OBSERVE_ITEM_BYTES } from './constants.ts'
import { MalformedError, Reader, TruncatedError, Writer } from './postcard.ts'
import { MAX_VARINT_BYTES } from './varint.ts'

/** The first item is what the provider has, each further one what has become different since. */
export interface ObserveItem {
  /** Size of the blob in bytes, as far as the provider knows; 0 when it knows nothing. */
  readonly size: number
  /** Chunks. The last chunk among them means that the size is proven. */
  readonly ranges: ChunkRanges
}

/** The bytes are no item of an Observe response. */
export class MalformedObserveItemError extends MalformedError {
  override readonly name = 'MalformedObserveItemError'
  override readonly code = 'ERR_MALFORMED_OBSERVE_ITEM'
}

/** Whether the item holds the last chunk, and with it the proof of the size. */
export function isSizeProven({ size, ranges }: ObserveItem): boolean {
  return ranges.contains(lastChunk(size))
}

/**
 * Boundaries of one item, at most: an even number, so that the pieces of a long list are sets of their own.
 */
const MAX_BOUNDARIES = 2 * Math.floor((MAX_OBSERVE_ITEM_BYTES / MAX_VARINT_BYTES - 2) / 2)

/**
 * The bytes of an item, with its length in front. Ranges with the last chunk are widened to have no end. A set too large for
 * one item becomes several, one behind the other: the observer adds them up.
 *
 * @throws RangeError when the size is not a whole number from 0 to 2^53-1
 */
export function encodeObserveItem(item: ObserveItem): Uint8Array {
  if (!Number.isSafeInteger(item.size)) {
    throw new RangeError(`a size is a whole number of bytes up to 2^53-1, not ${item.size}`)
  }
  const { boundaries } = isSizeProven(item)
    ? item.ranges.union(ChunkRanges.range(lastChunk(item.size)))
    : item.ranges
  const writer = new Writer()
  let first = 0
  do {
    writeItem(writer, item.size, boundaries.slice(first, first + MAX_BOUNDARIES))
    first += MAX_BOUNDARIES
  } while (first < boundaries.length)
  return writer.finish()
}

/**
 * Reads the item that starts at `offset`.
 *
 * @returns the item and the bytes it takes with its length in front; undefined when more bytes are needed
 * @throws MalformedObserveItemError
 */
export function tryDecodeObserveItem(
  bytes: Uint8Array,
  offset = 0
): { item: ObserveItem; length: number } | undefined {
  const reader = new Reader(bytes, offset)
  try {
    const length = reader.uint('length of the item', MAX_OBSERVE_ITEM_BYTES)
    if (reader.remaining < length) {
      return undefined
    }
    const end = reader.position + length
    return { item: readItem(bytes.subarray(0, end), reader.position), length: end - offset }
  } catch (cause) {
    if (cause instanceof TruncatedError) {
      return undefined
    }
    if (cause instanceof MalformedError) {
      throw malformed(cause.reason, cause.position, cause)
    }
    throw cause
  }
}

function writeItem(writer: Writer, size: number, boundaries: readonly bigint[]): void {
  const body = new Writer()
  body.varint(size)
  body.varint(boundaries.length)
  for (const boundary of boundaries) {
    body.varint(boundary)
  }
  writer.sized(body.finish())
}

function readItem(bytes: Uint8Array, start: number): ObserveItem {
  const reader = new Reader(bytes, start)
  try {
    const size = reader.uint('size of the blob')
    const count = reader.count('number of boundaries', 1)
    const boundaries = Array.from({ length: count }, () => reader.u64('a boundary'))
    return { size, ranges: ChunkRanges.fromBoundaries(boundaries) }
  } catch (cause) {
    if (cause instanceof TruncatedError) {
      // The item's length was told, so that more bytes on the stream will not mend it.
      throw malformed(cause.reason, cause.position, cause)
    }
    if (cause instanceof InvalidRangesError) {
      throw malformed(cause.message, start, cause)
    }
    throw cause
  }
}

function malformed(reason: string, position: number, cause: Error): MalformedObserveItemError {
  return new MalformedObserveItemError(`malformed item of an observe response: ${reason}`, position, {
    cause
  })
}

function lastChunk(size: number): number {
  return Math.max(0, Math.ceil(size / CHUNK_BYTES) - 1)
}
