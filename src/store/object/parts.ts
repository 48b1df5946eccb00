/**
 * How a blob is cut while it is arriving: into aligned parts of 8 MiB, or of 16, 32 … MiB when there would be too many.
 *
 * A part is a subtree of the blob's tree (the last one may be smaller), so its outboard nodes lie together in the outboard.
 * S3 composes objects out of at most 10,000 pieces, all but the last of 5 MiB or more. The part is also what a killed process
 * may lose twice: one that is being filled and one that is on its way.
 */
import { GROUP_BYTES } from '../../bao/constants.ts'
import { groupCount, leftLeaves } from '../../bao/geometry.ts'

/** Bytes in a part of all blobs up to 78 GiB. */
export const PART_BYTES = 8 * 1024 * 1024

/** Most parts of a blob: S3's limit for what is composed. */
export const MOST_PARTS = 10_000

/** Nodes of the outboard, in its order. */
export interface NodeRange {
  /** Index of the first. */
  readonly start: number
  /** Index after the last. */
  readonly end: number
}

/** The parts of a blob of a certain size. */
export class Parts {
  /** Bytes of the blob. */
  readonly size: number
  /** Bytes of all parts but the last. */
  readonly bytes: number
  /** Chunk groups of all parts but the last: a power of two. */
  readonly groups: number
  /** How many there are. */
  readonly count: number
  /** Chunk groups of the blob. */
  readonly allGroups: number

  constructor(size: number) {
    let bytes = PART_BYTES
    while (size > bytes * MOST_PARTS) bytes *= 2
    this.size = size
    this.bytes = bytes
    this.groups = bytes / GROUP_BYTES
    this.allGroups = groupCount(size)
    this.count = Math.ceil(this.allGroups / this.groups)
  }

  /** Number of the part that a group is in. */
  of(group: number): number {
    return Math.floor(group / this.groups)
  }

  firstGroup(part: number): number {
    return part * this.groups
  }

  /** Number of the group after the part's last. */
  endGroup(part: number): number {
    return Math.min((part + 1) * this.groups, this.allGroups)
  }

  /** Bytes of groups `from` up to, not including, `to`. */
  bytesOf(from: number, to: number): number {
    return Math.min(to * GROUP_BYTES, this.size) - from * GROUP_BYTES
  }

  /** The nodes inside the part's subtree, its root among them. */
  nodesOf(part: number): NodeRange {
    const { start } = this.#descend(this.firstGroup(part))
    return { start, end: start + this.endGroup(part) - this.firstGroup(part) - 1 }
  }

  /** The nodes above the part, root first. */
  nodesAbove(part: number): number[] {
    return this.#descend(this.firstGroup(part)).above
  }

  /** The part a node is in; undefined when it is above the parts. */
  partOfNode(node: number): number | undefined {
    let start = 0
    let end = this.allGroups
    let index = 0
    while (end - start > this.groups) {
      if (node === index) return undefined
      const left = leftLeaves(end - start)
      if (node < index + left) {
        index += 1
        end = start + left
      } else {
        index += left
        start += left
      }
    }
    return start / this.groups
  }

  /** From the root down to the part that begins at a group. */
  #descend(group: number): { start: number; above: number[] } {
    const above: number[] = []
    let start = 0
    let end = this.allGroups
    let index = 0
    while (end - start > this.groups) {
      above.push(index)
      const left = leftLeaves(end - start)
      if (group < start + left) {
        index += 1
        end = start + left
      } else {
        // The node itself, and the left subtree's `left - 1`.
        index += left
        start += left
      }
    }
    return { start: index, above }
  }
}
