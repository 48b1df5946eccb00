/**
 * The shape of a blob's hash tree, as a function of its size alone (protocol/README.md, "The tree").
 *
 * Chunk and group numbers are JS numbers: a blob of 2^53 - 1 bytes has fewer than 2^43 chunks.
 */
import { CHUNK_BYTES, GROUP_BYTES, GROUP_CHUNKS, PAIR_BYTES, RUN_GROUPS } from './constants.ts'
import { ChunkRanges, MAX_CHUNK } from './ranges.ts'

/** Chunks in a blob of `size` bytes; the empty blob has one, empty, chunk. */
export function chunkCount(size: number): number {
  return Math.max(1, Math.ceil(size / CHUNK_BYTES))
}

/** 16 KiB chunk groups in a blob of `size` bytes, at least one. */
export function groupCount(size: number): number {
  return Math.max(1, Math.ceil(size / GROUP_BYTES))
}

/** Bytes in the outboard of a blob of `size` bytes. */
export function outboardBytes(size: number): number {
  return PAIR_BYTES * (groupCount(size) - 1)
}

/** Bytes of those chunks that lie in a blob of `size` bytes. */
export function bytesWithin(ranges: ChunkRanges, size: number): number {
  if (isWhole(ranges, size)) return size
  let bytes = 0
  for (const [start, end] of ranges.intersect(ChunkRanges.range(0, chunkCount(size)))) {
    bytes += Math.min(Number(end) * CHUNK_BYTES, size) - Number(start) * CHUNK_BYTES
  }
  return bytes
}

/** Leaves in the left subtree of a tree with `leaves` (2 or more) leaves: the largest power of two below it. */
export function leftLeaves(leaves: number): number {
  const most = leaves - 1
  if (most < 2 ** 31) return 2 ** (31 - Math.clz32(most))
  return 2 ** (63 - Math.clz32(most / 2 ** 32))
}

/** Where the outboard of run `run` (its first 64 groups' subtree, in pre-order) starts, in bytes. */
export function runOutboardOffset(run: number, groups: number): number {
  const target = run * RUN_GROUPS
  let start = 0
  let end = groups
  let index = 0
  while (end - start > RUN_GROUPS) {
    const left = leftLeaves(end - start)
    if (target < start + left) {
      index += 1
      end = start + left
    } else {
      // one node, and the left subtree's `left - 1` nodes
      index += left
      start += left
    }
  }
  return index * PAIR_BYTES
}

/**
 * The chunks that a request for `ranges` selects of a blob with `chunks` chunks: the last-chunk rule.
 *
 * @returns sorted boundaries `[start, end, start, end …]`, all at most `chunks`
 */
export function selectChunks(ranges: ChunkRanges, chunks: number): number[] {
  const last = BigInt(chunks - 1)
  const { boundaries } = ranges
  const below = boundaries.findIndex(boundary => boundary >= last)
  const selected = Array.from(below < 0 ? boundaries : boundaries.slice(0, below), Number)
  const rest = boundaries.length - selected.length
  const inside = selected.length % 2 === 1
  const endsAtLast = inside && rest === 1 && boundaries[below] === last
  if (endsAtLast) selected.push(chunks - 1)
  else if (inside) selected.push(chunks)
  else if (rest > 0) selected.push(chunks - 1, chunks)
  return selected
}

/** Whether chunks held as `ranges` are all of a blob of `size` bytes. */
export function isWhole(ranges: ChunkRanges, size: number): boolean {
  const { boundaries } = ranges
  const end = boundaries[1]
  return boundaries[0] === 0n && (end === undefined || Number(end) >= chunkCount(size))
}

/** Widens ranges to whole chunk groups: what a store can keep and serve. An open end stays open. */
export function roundToGroups(ranges: ChunkRanges): ChunkRanges {
  if (ranges.isAll) return ranges
  const group = BigInt(GROUP_CHUNKS)
  const rounded: bigint[] = []
  for (const [start, end] of ranges) {
    const from = start - (start % group)
    if (rounded.length > 0 && from <= rounded.at(-1)!) rounded.pop()
    else rounded.push(from)
    if (end === undefined) break
    const to = end + ((group - (end % group)) % group)
    if (to > MAX_CHUNK) break
    rounded.push(to)
  }
  return ChunkRanges.fromBoundaries(rounded)
}

/** Whether bytes of a blob are whole chunk groups: one or more, of which the blob's last may be short. */
export function isWholeGroups(offset: number, length: number, size: number): boolean {
  return offset % GROUP_BYTES === 0 && length > 0 && (length % GROUP_BYTES === 0 || offset + length === size)
}
