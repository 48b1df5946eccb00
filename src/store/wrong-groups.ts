/** Speaking of the chunk groups of a blob that have turned out to be wrong. */
import { GROUP_CHUNKS } from '../bao/constants.ts'
import { groupCount } from '../bao/geometry.ts'
import type { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'

/** How many chunk groups `ranges` has, which are whole groups of one blob. */
export function countGroups(ranges: ChunkRanges): number {
  let count = 0
  for (const [start, end] of ranges) count += Math.ceil(Number((end ?? start) - start) / GROUP_CHUNKS)
  return count
}

/**
 * What to tell of a blob of which some groups are no longer held.
 *
 * @param size bytes of the blob
 */
export function wrongGroupsNotice(hash: Hash, size: number, wrong: ChunkRanges): string {
  return (
    `${countGroups(wrong)} of the ${groupCount(size)} chunk groups of blob ${hash} are wrong: they are no longer counted as ` +
    'held; get the blob again to repair them'
  )
}
