import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES, GROUP_CHUNKS } from '../../../src/bao/constants.ts'
import { chunkCount } from '../../../src/bao/geometry.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { INSIDE_GROUP, TreeWalker } from '../../../src/bao/walker.ts'
import { PART_BYTES, PART_GROUPS, Parts } from '../../../src/store/object/parts.ts'
import { MIN_PART_BYTES } from '../../../src/store/object/storage/part-size.ts'

const GIB = 1024 ** 3

/** Sizes in bytes at which the parts change. */
const SIZES = [
  1, // one group, no node
  GROUP_BYTES + 1, // one node
  PART_BYTES - 1, // the only part is not quite full
  PART_BYTES, // the only part is full
  PART_BYTES + 1, // a part of one byte, and the first node above the parts
  2 * PART_BYTES,
  3 * PART_BYTES + GROUP_BYTES, // an odd number of parts, the last of one group
  5 * PART_BYTES - 1
]

/** Sizes at which numbers become large. */
const LARGE_SIZES = [78 * GIB, 79 * GIB, 1024 * GIB + 1, 5 * 1024 * GIB, Number.MAX_SAFE_INTEGER]

interface Node {
  readonly index: number
  readonly from: number
  readonly to: number
}

/** The nodes that the tree's own walker finds on the way to some chunks. */
function walk(size: number, ranges: ChunkRanges): Node[] {
  const nodes: Node[] = []
  const walker = new TreeWalker(size, ranges)
  while (walker.next()) {
    if (walker.isLeaf || walker.node === INSIDE_GROUP) continue
    const to = Math.ceil(walker.end / GROUP_CHUNKS)
    nodes.push({ index: walker.node, from: walker.start / GROUP_CHUNKS, to })
  }
  return nodes
}

/** All that is said of a part's nodes, and of those above it, agrees with the walk. */
function checkPart(size: number, part: number): void {
  const parts = new Parts(size)
  const { from, to } = parts.groupsOf(part)
  const chunks = ChunkRanges.range(from * GROUP_CHUNKS, Math.min(to * GROUP_CHUNKS, chunkCount(size)))
  const inside: number[] = []
  const above: number[] = []
  for (const node of walk(size, chunks)) {
    expect(parts.groupsBelow(node.index)).toEqual({ from: node.from, to: node.to })
    const isInside = node.to - node.from <= PART_GROUPS
    expect(parts.partOfNode(node.index)).toBe(isInside ? part : undefined)
    if (isInside) inside.push(node.index)
    else above.push(node.index)
  }
  const { start, end } = parts.nodesOf(part)
  expect(inside).toEqual(Array.from({ length: end - start }, (_, i) => start + i))
  expect(inside.length).toBe(to - from - 1)
  expect(parts.nodesAbove(part)).toEqual(above.map(index => ({ start: index, end: index + 1 })))
}

describe('Parts', () => {
  for (const size of SIZES) {
    it(`knows the nodes of all parts of ${size} bytes`, () => {
      const parts = new Parts(size)
      for (let part = 0; part < parts.count; part++) checkPart(size, part)
    })
  }

  for (const size of LARGE_SIZES) {
    it(`knows the nodes of the first and last parts of ${size} bytes`, () => {
      const { count } = new Parts(size)
      for (const part of [0, 1, Math.floor(count / 2), count - 2, count - 1]) checkPart(size, part)
    })
  }

  it('knows the nodes of any part of any size', () => {
    const anywhere = fc.record({
      size: fc.oneof(
        fc.integer({ min: 1, max: 10 * PART_BYTES }),
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
      ),
      where: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    })
    fc.assert(
      fc.property(anywhere, ({ size, where }) => checkPart(size, Math.floor(where * new Parts(size).count))),
      { numRuns: 60 }
    )
  })

  it('cuts a blob without gaps into pieces that S3 composes', () => {
    for (const size of [...SIZES, ...LARGE_SIZES]) {
      const parts = new Parts(size)
      const numbers =
        parts.count > 1000 ? [0, parts.count - 2, parts.count - 1] : [...Array(parts.count).keys()]
      for (const part of numbers) {
        const groups = parts.groupsOf(part)
        expect(parts.of(groups.from)).toBe(part)
        expect(parts.of(groups.to - 1)).toBe(part)
        const isLast = part === parts.count - 1
        expect(groups.to).toBe(isLast ? parts.allGroups : parts.firstGroup(part + 1))
        const bytes = parts.bytesOf(groups)
        if (isLast) expect(part * PART_BYTES + bytes).toBe(size)
        else expect(bytes).toBe(PART_BYTES)
      }
    }
    expect(PART_BYTES).toBeGreaterThanOrEqual(MIN_PART_BYTES)
  })
})
