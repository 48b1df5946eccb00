/** Making and comparing what a store says about a blob. */
import { CHUNK_BYTES } from '../bao/constants.ts'
import { bytesWithin, chunkCount, isWhole } from '../bao/geometry.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import type { AbsentStatus, BlobInfo, BlobStatus, CompleteStatus, PartialStatus, Usage } from './index.ts'

export const ABSENT: AbsentStatus = Object.freeze({ state: 'absent' })

/** What the empty blob is everywhere. */
export const EMPTY_BLOB: CompleteStatus = Object.freeze({ state: 'complete', size: 0 })

/**
 * What to say of a blob of which `ranges` are held.
 *
 * @param size bytes, as claimed
 * @param ranges whole groups, none of them beyond the end
 */
export function statusOf(size: number, ranges: ChunkRanges): BlobStatus {
  if (ranges.isEmpty) return ABSENT
  if (isWhole(ranges, size)) return { state: 'complete', size }
  return partialStatus(size, ranges)
}

/** What to say of a blob of which some but not all groups are held. */
export function partialStatus(size: number, ranges: ChunkRanges): PartialStatus {
  return { state: 'partial', size, isSizeProven: provesSize(ranges, size), ranges }
}

/** Bytes of data that are held. */
export function heldBytes(status: BlobStatus): number {
  if (status.state === 'absent') return 0
  return status.state === 'complete' ? status.size : bytesWithin(status.ranges, status.size)
}

/** What blobs take together. */
export async function usageOf(blobs: AsyncIterable<Pick<BlobInfo, 'status'>>): Promise<Usage> {
  let bytes = 0
  let partialBytes = 0
  for await (const { status } of blobs) {
    const held = heldBytes(status)
    bytes += held
    if (status.state === 'partial') partialBytes += held
  }
  return { bytes, partialBytes }
}

/** Whether the last chunk of a blob of `size` bytes is among `ranges`: nothing else proves the size. */
export function provesSize(ranges: ChunkRanges, size: number): boolean {
  return ranges.contains(chunkCount(size) - 1)
}

/** All chunks of a blob of `size` bytes. */
export function wholeRange(size: number): ChunkRanges {
  return ChunkRanges.range(0, Math.max(1, Math.ceil(size / CHUNK_BYTES)))
}

export function isSameStatus(a: BlobStatus, b: BlobStatus): boolean {
  if (a.state === 'absent' || b.state === 'absent') return a.state === b.state
  if (a.size !== b.size) return false
  if (a.state === 'complete' || b.state === 'complete') return a.state === b.state
  return a.ranges.equals(b.ranges)
}
