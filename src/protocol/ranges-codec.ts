/** Chunk ranges within requests (protocol/README.md, "Ranges"): a count, then the widths off, on, off, on … */
import { ChunkRanges, MAX_CHUNK } from '../bao/ranges.ts'
import { MalformedError, type Reader, type Writer } from './postcard.ts'

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
 * @throws MalformedError when the bytes end early, or the widths add up to more than 2^64-1
 */
export function readRanges(reader: Reader): ChunkRanges {
  const count = reader.count('number of boundaries', 1)
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
