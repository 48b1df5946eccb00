/**
 * How a blob is cut while it is arriving: into aligned parts of 8 MiB, whatever its size.
 *
 * A part is a subtree of the blob's tree (the last one may be smaller), so its outboard nodes lie together in the outboard.
 * S3 composes objects out of pieces of 5 MiB or more. The part is also what a killed process may lose twice: one that is
 * being filled and one that is on its way. It does not grow with the blob: its size is what somebody else claims, and a part
 * is what has to fit into memory.
 */
import { GROUP_BYTES } from '../../bao/constants.ts'
import { groupCount, leftLeaves } from '../../bao/geometry.ts'

/** Bytes of all parts of a blob but the last. */
export const PART_BYTES = 8 * 1024 * 1024

/** Chunk groups of all parts of a blob but the last: a power of two. */
export const PART_GROUPS = PART_BYTES / GROUP_BYTES

/** Groups that follow each other. */
export interface GroupSpan {
  readonly from: number
  /** The group after the last. */
  readonly to: number
}

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
  /** How many there are. */
  readonly count: number
  /** Chunk groups of the blob. */
  readonly allGroups: number

  constructor(size: number) {
    this.size = size
    this.allGroups = groupCount(size)
    this.count = Math.ceil(this.allGroups / PART_GROUPS)
  }

  /** Number of the part that a group is in. */
  of(group: number): number {
    return Math.floor(group / PART_GROUPS)
  }

  firstGroup(part: number): number {
    return part * PART_GROUPS
  }

  /** Number of the group after the part's last. */
  endGroup(part: number): number {
    return Math.min((part + 1) * PART_GROUPS, this.allGroups)
  }

  /** All groups of a part. */
  groupsOf(part: number): GroupSpan {
    return { from: this.firstGroup(part), to: this.endGroup(part) }
  }

  bytesOfGroup(group: number): number {
    return Math.min((group + 1) * GROUP_BYTES, this.size) - group * GROUP_BYTES
  }

  /** Bytes of groups. */
  bytesOf({ from, to }: GroupSpan): number {
    return Math.min(to * GROUP_BYTES, this.size) - from * GROUP_BYTES
  }

  /** The nodes inside the part's subtree, its root among them. */
  nodesOf(part: number): NodeRange {
    const { from, to } = this.groupsOf(part)
    let first = 0
    this.#descendTo(from, index => {
      first = index
    })
    return { start: first, end: first + to - from - 1 }
  }

  /** The nodes that have the part's subtree below them, ascending: from the root down. */
  nodesAbove(part: number): NodeRange[] {
    const nodes: NodeRange[] = []
    this.#descendTo(this.firstGroup(part), index => nodes.push({ start: index, end: index + 1 }))
    // The last is where the part's own begin.
    nodes.pop()
    return nodes
  }

  /** The part a node is in; undefined when it is above the parts. */
  partOfNode(node: number): number | undefined {
    const { from, to } = this.groupsBelow(node)
    return to - from <= PART_GROUPS ? this.of(from) : undefined
  }

  /** The groups that a node is the parent of. */
  groupsBelow(node: number): GroupSpan {
    let found: GroupSpan = { from: 0, to: this.allGroups }
    this.#descend(({ start, end, index }) => {
      found = { from: start, to: end }
      if (index === node) return undefined
      return node < index + leftLeaves(end - start) ? 'left' : 'right'
    })
    return found
  }

  /** Walks down from the root to a part's subtree, and tells the index at which each of these subtrees begins. */
  #descendTo(group: number, onSubtree: (index: number) => void): void {
    this.#descend(({ start, end, index }) => {
      onSubtree(index)
      if (end - start <= PART_GROUPS) return undefined
      return group < start + leftLeaves(end - start) ? 'left' : 'right'
    })
  }

  /** Walks down from the root, as long as it is told to which side. */
  #descend(
    choose: (subtree: { start: number; end: number; index: number }) => 'left' | 'right' | undefined
  ): void {
    let start = 0
    let end = this.allGroups
    let index = 0
    for (;;) {
      const side = choose({ start, end, index })
      if (side === undefined || end - start <= 1) return
      const left = leftLeaves(end - start)
      if (side === 'left') {
        index += 1
        end = start + left
      } else {
        // The node itself, and the left subtree's `left - 1`.
        index += left
        start += left
      }
    }
  }
}
