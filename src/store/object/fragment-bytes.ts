/** How long a fragment's object is, without walking the tree: a listing may have a hundred thousand of them. */
import { PAIR_BYTES } from '../../bao/constants.ts'
import { groupCount } from '../../bao/geometry.ts'
import { dataBytesOf, type Fragment } from './fragment-name.ts'

/** Bytes of a fragment's object: what `FragmentLayout` says too. */
export function fragmentBytes(fragment: Fragment): number {
  const dataBytes = fragment.body === undefined ? dataBytesOf(fragment) : 0
  return dataBytes + nodeCount(fragment) * PAIR_BYTES
}

/**
 * How many nodes of the outboard have one of the fragment's groups below them. Level by level: the nodes of one level cover
 * aligned blocks of as many groups, a power of two, but for the last block when it reaches no further than its left half. Then
 * what would be its node is one of a level below.
 */
function nodeCount({ size, spans }: Fragment): number {
  const groups = groupCount(size)
  let count = 0
  for (let width = 2; width < 2 * groups; width *= 2) {
    let last = -1
    for (const { from, to } of spans) {
      const first = Math.max(Math.floor(from / width), last + 1)
      last = Math.floor((to - 1) / width)
      count += last - first + 1
    }
    if (last * width + width / 2 >= groups) count--
  }
  return count
}
