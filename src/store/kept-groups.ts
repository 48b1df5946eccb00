/** Which of the leaves that were proven a store keeps: those that are whole chunk groups. */
import { CHUNK_BYTES } from '../bao/constants.ts'
import type { Piece, Verified } from '../bao/decoder.ts'
import { isWholeGroups } from '../bao/geometry.ts'
import { ChunkRanges } from '../bao/ranges.ts'

/** Groups that follow each other without a gap. */
export interface GroupRun {
  /** Bytes. */
  readonly offset: number
  /** Bytes. */
  readonly length: number
  /** The groups' bytes, in order: one or more whole groups in each piece. */
  readonly pieces: readonly Uint8Array[]
}

export interface KeptGroups {
  /** Ascending and apart. */
  readonly runs: readonly GroupRun[]
  /** The chunks of all runs. */
  readonly ranges: ChunkRanges
}

/**
 * Gathers the whole groups among `leaves`.
 *
 * @param leaves ascending, as a `Decoder` hands them out
 * @param size bytes of the blob, as claimed: its last group may be short
 */
export function keepGroups(leaves: readonly Piece[], size: number): KeptGroups {
  const runs: { offset: number; length: number; pieces: Uint8Array[] }[] = []
  for (const { offset, bytes } of leaves) {
    if (!isWholeGroups(offset, bytes.length, size)) continue
    const last = runs.at(-1)
    if (last !== undefined && last.offset + last.length === offset) {
      last.length += bytes.length
      last.pieces.push(bytes)
    } else {
      runs.push({ offset, length: bytes.length, pieces: [bytes] })
    }
  }
  const boundaries = runs.flatMap(({ offset, length }) => [
    offset / CHUNK_BYTES,
    Math.ceil((offset + length) / CHUNK_BYTES)
  ])
  return { runs, ranges: ChunkRanges.fromBoundaries(boundaries) }
}

/** Whether a store keeps nothing of what was proven. */
export function isNothing(verified: Verified, size: number): boolean {
  const hasGroup = verified.leaves.some(({ offset, bytes }) => isWholeGroups(offset, bytes.length, size))
  return verified.parents.length === 0 && !hasGroup
}
