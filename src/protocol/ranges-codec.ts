/** Chunk ranges within requests (protocol/README.md, "Ranges"): a count, then the widths off, on, off, on … */
import { ChunkRanges, MAX_CHUNK } from '../bao/ranges.ts'
import { MAX_REQUEST_NUMBERS } from './constants.ts'
import { MalformedError, type Reader, type Writer } from './postcard.ts'

/** How many numbers the ranges of one request may still have. */
export class NumberBudget {
  #left = MAX_REQUEST_NUMBERS

  /** @throws MalformedError when there are more than `MAX_REQUEST_NUMBERS` in all */
  take(count: number, position: number): void {
    this.#left -= count
    if (this.#left < 0) {
      throw new MalformedError(`the ranges have more than ${MAX_REQUEST_NUMBERS} numbers`, position)
    }
  }
}

export function writeRanges(writer: Writer, ranges: ChunkRanges): void {
  writer.varint(ranges.boundaries.length)
  let previous = 0n
  for (const boundary of ranges.boundaries) {
    writer.varint(boundary - previous)
    previous = boundary
  }
}

/**
 * Reads ranges in any spelling: a width of zero joins its neighbours.
 *
 * @throws MalformedError when the bytes end early, the widths add up to more than 2^64-1, or there are too many
 */
export function readRanges(reader: Reader, budget: NumberBudget = new NumberBudget()): ChunkRanges {
  const position = reader.position
  const count = reader.count('number of boundaries', 1)
  budget.take(count, position)
  const boundaries: bigint[] = []
  let at = 0n
  for (let i = 0; i < count; i++) {
    const start = reader.position
    at += reader.u64('width of a range')
    if (at > MAX_CHUNK) {
      throw new MalformedError('the widths of the ranges add up to more than 2^64-1', start)
    }
    if (boundaries.at(-1) === at) boundaries.pop()
    else boundaries.push(at)
  }
  return ChunkRanges.fromBoundaries(boundaries)
}
