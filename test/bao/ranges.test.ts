import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChunkRanges, InvalidRangesError, MAX_CHUNK } from '../../src/bao/ranges.ts'

/**
 * The model: which of a few chunk numbers are in the set. They lie at both ends of what is possible, and every boundary is
 * one of them, so that a set is wholly told by its members among them.
 */
const LOW = Array.from({ length: 12 }, (_, i) => BigInt(i))
const HIGH = Array.from({ length: 6 }, (_, i) => MAX_CHUNK - 5n + BigInt(i))
const UNIVERSE = [...LOW, ...HIGH]

const arbitraryRanges = fc.subarray(UNIVERSE).map(boundaries => ChunkRanges.fromBoundaries(boundaries))

/** Counts boundaries one by one, as the definition has it. */
function members(ranges: ChunkRanges): Set<bigint> {
  return new Set(
    UNIVERSE.filter(chunk => ranges.boundaries.filter(boundary => boundary <= chunk).length % 2 === 1)
  )
}

function expectSame(actual: ChunkRanges, expected: Set<bigint>): void {
  expect(members(actual)).toEqual(expected)
  // A canonical form: the same set never looks different.
  expect(actual.boundaries).toEqual(ChunkRanges.fromBoundaries(actual.boundaries).boundaries)
  expect(actual.isEmpty).toBe(expected.size === 0)
  expect(actual.isAll).toBe(expected.size === UNIVERSE.length)
}

describe('against sets of numbers', () => {
  test('one set', () => {
    fc.assert(
      fc.property(arbitraryRanges, a => {
        const model = members(a)
        expectSame(a, model)
        expectSame(a.complement(), new Set(UNIVERSE).difference(model))
        expect(a.isOpen).toBe(model.has(MAX_CHUNK))
        for (const chunk of UNIVERSE) {
          expect(a.contains(chunk)).toBe(model.has(chunk))
        }
        expect(a.contains(5)).toBe(model.has(5n))
      })
    )
  })

  test('two sets', () => {
    fc.assert(
      fc.property(arbitraryRanges, arbitraryRanges, (a, b) => {
        const [left, right] = [members(a), members(b)]
        expectSame(a.union(b), left.union(right))
        expectSame(a.intersect(b), left.intersection(right))
        expectSame(a.subtract(b), left.difference(right))
        expectSame(a.symmetricDifference(b), left.symmetricDifference(right))
        expect(a.containsAll(b)).toBe(right.isSubsetOf(left))
        expect(a.equals(b)).toBe(a.symmetricDifference(b).isEmpty)
      }),
      { numRuns: 1000 }
    )
  })

  test('a set and itself', () => {
    fc.assert(
      fc.property(arbitraryRanges, a => {
        const twin = ChunkRanges.fromBoundaries(a.boundaries)
        expect(a.equals(twin)).toBe(true)
        expect(a.containsAll(twin)).toBe(true)
        expect(a.union(twin)).toEqual(a)
        expect(a.intersect(twin)).toEqual(a)
        expect(a.subtract(twin)).toEqual(ChunkRanges.empty)
        expect(a.symmetricDifference(twin)).toEqual(ChunkRanges.empty)
        expect(a.complement().complement()).toEqual(a)
      })
    )
  })

  test('iterating gives the ranges, from which the set can be put together', () => {
    fc.assert(
      fc.property(arbitraryRanges, a => {
        let sum = ChunkRanges.empty
        let before = -1n
        for (const [start, end] of a) {
          expect(start).toBeGreaterThan(before)
          expect(end === undefined || end > start).toBe(true)
          before = end ?? before
          sum = sum.union(ChunkRanges.range(start, end))
        }
        expect(sum).toEqual(a)
      })
    )
  })
})

test('operations leave their operands as they were', () => {
  fc.assert(
    fc.property(arbitraryRanges, arbitraryRanges, (a, b) => {
      const before = [...a.boundaries, ...b.boundaries]
      a.union(b)
      a.intersect(b)
      a.subtract(b)
      a.symmetricDifference(b)
      expect([...a.boundaries, ...b.boundaries]).toEqual(before)
    })
  )
})

test('the chunks of a stretch of bytes are those that hold one of them', () => {
  const offset = fc.nat(12 * 1024)
  fc.assert(
    fc.property(offset, fc.option(offset, { nil: undefined }), (start, end) => {
      const ranges = ChunkRanges.ofBytes(start, end)
      for (let chunk = 0; chunk < 14; chunk++) {
        const [first, behind] = [Math.max(start, chunk * 1024), Math.min(end ?? Infinity, (chunk + 1) * 1024)]
        expect(ranges.contains(chunk)).toBe(first < behind)
      }
      expect(ranges.isOpen).toBe(end === undefined)
    })
  )
  expect(ChunkRanges.ofBytes(0, 0).isEmpty).toBe(true)
  expect(ChunkRanges.ofBytes(1024, 1025).toString()).toBe('1..2')
  expect(ChunkRanges.ofBytes(Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER).toString()).toBe(
    '8796093022207..8796093022208'
  )
})

test('a range without chunks is empty, one that ends before it starts is refused', () => {
  expect(ChunkRanges.range(3, 3)).toEqual(ChunkRanges.empty)
  expect(ChunkRanges.range(3, 4).toString()).toBe('3..4')
  expect(ChunkRanges.range(3).toString()).toBe('3..')
  expect(() => ChunkRanges.range(4, 3)).toThrow(InvalidRangesError)
})

test.each([[[1n, 1n]], [[2n, 1n]], [[-1n]], [[0n, 5n, 3n]], [[MAX_CHUNK + 1n]]])(
  '%s are no boundaries',
  list => {
    expect(() => ChunkRanges.fromBoundaries(list)).toThrow(InvalidRangesError)
  }
)

test('the last chunk of a blob of any size is asked for with one that no blob has', () => {
  expect(ChunkRanges.last.contains(MAX_CHUNK)).toBe(true)
  expect(ChunkRanges.last.contains(MAX_CHUNK - 1n)).toBe(false)
  expect(ChunkRanges.last.isOpen).toBe(true)
})
