/** Checking an outboard against its hash without the data. */
import { CV_BYTES, PAIR_BYTES } from '../../bao/constants.ts'
import { groupCount, leftLeaves } from '../../bao/geometry.ts'
import { kernel } from '../../bao/kernel/index.ts'
import type { Hash } from '../../hash.ts'

/** A subtree of more than one group whose node is still to come. */
interface Subtree {
  readonly groups: number
  /** The chaining value that it must have. */
  readonly expected: Uint8Array
  /** Whether it ends where the blob does. */
  readonly isLast: boolean
}

/**
 * Checks every node of an outboard in pre-order, as it streams by.
 *
 * @param size bytes of the blob: more than one group
 * @returns the chaining value of the blob's last group, which proves the size; undefined when the outboard is not this blob's
 */
export async function checkOutboard(
  hash: Hash,
  size: number,
  outboard: AsyncIterable<Uint8Array>
): Promise<Uint8Array | undefined> {
  // The next one comes last. No longer than the tree is high.
  const pending: Subtree[] = [{ groups: groupCount(size), expected: hash.bytes, isLast: true }]
  const found = new Uint8Array(CV_BYTES)
  let isRoot = true
  let last: Uint8Array | undefined

  const take = (pair: Uint8Array): boolean => {
    const subtree = pending.pop()
    if (subtree === undefined) return false
    kernel.parent(pair, isRoot, found)
    isRoot = false
    if (Buffer.compare(found, subtree.expected) !== 0) return false
    const left = leftLeaves(subtree.groups)
    const right = subtree.groups - left
    const { isLast } = subtree
    if (right > 1) pending.push({ groups: right, expected: pair.slice(CV_BYTES), isLast })
    else if (isLast) last = pair.slice(CV_BYTES)
    if (left > 1) pending.push({ groups: left, expected: pair.slice(0, CV_BYTES), isLast: false })
    return true
  }

  const split = new Uint8Array(PAIR_BYTES)
  let filled = 0
  for await (const piece of outboard) {
    let at = 0
    // A node may lie across two pieces.
    if (filled > 0) {
      at = Math.min(PAIR_BYTES - filled, piece.length)
      split.set(piece.subarray(0, at), filled)
      filled += at
      if (filled < PAIR_BYTES) continue
      filled = 0
      if (!take(split)) return undefined
    }
    for (; at + PAIR_BYTES <= piece.length; at += PAIR_BYTES) {
      if (!take(piece.subarray(at, at + PAIR_BYTES))) return undefined
    }
    filled = piece.length - at
    split.set(piece.subarray(at), 0)
  }
  return pending.length === 0 && filled === 0 ? last : undefined
}
