/** Bounds how many pieces of a blob are asked for, or sent. */
import { ChunkRanges } from '../bao/ranges.ts'

/** How many ranges a set is made of. */
export function countPieces({ boundaries }: ChunkRanges): number {
  return Math.ceil(boundaries.length / 2)
}

/**
 * The set, or a larger one where it has more than `most` pieces: then the last piece goes on without end.
 *
 * @param most at least 1
 */
export function withFewGaps(ranges: ChunkRanges, most: number): ChunkRanges {
  if (countPieces(ranges) <= most) return ranges
  const last = ranges.boundaries[2 * (most - 1)]!
  return ranges.first(most - 1).union(ChunkRanges.range(last))
}
