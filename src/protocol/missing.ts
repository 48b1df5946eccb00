/** What of a blob has still to be fetched. */
import { bytesWithin, chunkCount, roundToGroups } from '../bao/geometry.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import type { BlobStatus } from '../store/index.ts'

export interface Missing {
  /** What to ask for, in whole groups; empty when all that is wanted is held. */
  readonly ranges: ChunkRanges
  /** Bytes of what is wanted that are held already. */
  readonly heldBytes: number
  /** The blob's size in bytes, when it is proven. */
  readonly size: number | undefined
}

/**
 * @param wanted chunks wanted of the blob; widened to whole groups, as a store keeps these only
 */
export function missingRanges(status: BlobStatus, wanted: ChunkRanges): Missing {
  const groups = roundToGroups(wanted)
  switch (status.state) {
    case 'absent':
      return { ranges: groups, heldBytes: 0, size: undefined }
    case 'complete':
      return { ranges: ChunkRanges.empty, heldBytes: bytesWithin(groups, status.size), size: status.size }
    case 'partial': {
      const heldBytes = bytesWithin(groups.intersect(status.ranges), status.size)
      if (!status.isSizeProven) return { ranges: groups.subtract(status.ranges), heldBytes, size: undefined }
      // Nothing lies behind a proven end: asking for it would only bring the last chunk once more.
      const beyond = ChunkRanges.range(chunkCount(status.size))
      return { ranges: groups.subtract(status.ranges.union(beyond)), heldBytes, size: status.size }
    }
  }
}
