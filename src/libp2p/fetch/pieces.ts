/** Where ranges may be cut: at multiples of a piece, so that what providers are asked for stays in few and aligned runs. */
import { CHUNK_BYTES } from '../../bao/constants.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { PIECE_BYTES } from '../constants.ts'

const PIECE_CHUNKS = PIECE_BYTES / CHUNK_BYTES

/** Cuts ranges behind the piece in which their first `bytes` bytes end. */
export function cutAfter(ranges: ChunkRanges, bytes: number): [head: ChunkRanges, tail: ChunkRanges] {
  let chunks = Math.max(1, Math.ceil(bytes / CHUNK_BYTES))
  for (const [start, end] of ranges) {
    const length = end === undefined ? Number.POSITIVE_INFINITY : Number(end - start)
    if (chunks > length) {
      chunks -= length
      continue
    }
    const at = Math.ceil((Number(start) + chunks) / PIECE_CHUNKS) * PIECE_CHUNKS
    // Such ranges ask for the last chunk, wherever it is.
    if (!Number.isSafeInteger(at)) break
    const head = ranges.intersect(ChunkRanges.range(0, at))
    return [head, ranges.subtract(head)]
  }
  return [ranges, ChunkRanges.empty]
}

/** The piece that holds a chunk. */
export function pieceAround(chunk: number): ChunkRanges {
  const start = chunk - (chunk % PIECE_CHUNKS)
  return Number.isSafeInteger(chunk) ? ChunkRanges.range(start, start + PIECE_CHUNKS) : ChunkRanges.all
}
