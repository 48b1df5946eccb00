import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import { countPieces, withFewGaps } from '../../src/protocol/few-gaps.ts'

const sets = fc
  .uniqueArray(fc.nat({ max: 1000 }), { maxLength: 40 })
  .map(numbers => ChunkRanges.fromBoundaries(numbers.sort((a, b) => a - b)))

test('a set of few pieces stays as it is, another one grows, from its last piece on only', () => {
  fc.assert(
    fc.property(sets, fc.integer({ min: 1, max: 25 }), (ranges, most) => {
      const few = withFewGaps(ranges, most)
      expect(countPieces(few)).toBeLessThanOrEqual(most)
      expect(few.containsAll(ranges)).toBe(true)
      if (countPieces(ranges) <= most) expect(few).toBe(ranges)
      else {
        expect(countPieces(few)).toBe(most)
        const added = few.subtract(ranges)
        expect(added.boundaries[0]).toBe(ranges.boundaries[2 * most - 1])
      }
    })
  )
})
