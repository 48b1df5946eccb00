import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES, GROUP_CHUNKS } from '../../../../src/bao/constants.ts'
import { chunkCount, outboardBytes, selectChunks } from '../../../../src/bao/geometry.ts'
import { ChunkRanges } from '../../../../src/bao/ranges.ts'
import { TreeWalker } from '../../../../src/bao/walker.ts'
import { GAP_BYTES } from '../../../../src/store/object/reading/constants.ts'
import { dataSpans, outboardSpans, Spans } from '../../../../src/store/object/reading/spans.ts'

const GIB = 2 ** 30

describe('Spans', () => {
  it('merges what touches or lies within the gap, and leaves out what is empty', () => {
    expect(Spans.of([0, 5, 5, 9, 10, 10, 20, 30]).boundaries).toEqual([0, 9, 20, 30])
    expect(Spans.of([0, 5, 8, 9, 20, 30], 3).boundaries).toEqual([0, 9, 20, 30])
  })

  it('tells the end of a span and where the next one begins', () => {
    const spans = Spans.of([10, 20, 30, 40])
    expect([9, 10, 19, 20, 39, 40].map(at => spans.endAt(at))).toEqual([
      undefined,
      20,
      20,
      undefined,
      40,
      undefined
    ])
    expect([0, 15, 20, 30, 40].map(at => spans.next(at))).toEqual([10, 15, 30, 30, Infinity])
    expect(Spans.none.next(0)).toBe(Infinity)
  })
})

describe('the plan of a request', () => {
  it('is whole groups, and ends where the blob ends', () => {
    expect(dataSpans(ChunkRanges.range(17, 18), GIB).boundaries).toEqual([GROUP_BYTES, 2 * GROUP_BYTES])
    expect(dataSpans(ChunkRanges.all, 100_000).boundaries).toEqual([0, 100_000])
    expect(dataSpans(ChunkRanges.last, 100_000).boundaries).toEqual([6 * GROUP_BYTES, 100_000])
    expect(dataSpans(ChunkRanges.empty, 100_000).isEmpty).toBe(true)
    expect(dataSpans(ChunkRanges.all, 0).isEmpty).toBe(true)
  })

  const requests = fc.record({
    size: fc.integer({ min: 0, max: 4 * GIB }),
    boundaries: fc.uniqueArray(fc.integer({ min: 0, max: 5 * 2 ** 20 }), { maxLength: 8 })
  })

  it('has every group that is selected, and no more than small gaps besides', () => {
    fc.assert(
      fc.property(requests, ({ size, boundaries }) => {
        const ranges = ChunkRanges.fromBoundaries(boundaries.sort((a, b) => a - b))
        const selected = selectChunks(ranges, chunkCount(size))
        const spans = dataSpans(ranges, size)
        let wanted = 0
        for (let i = 0; i < selected.length; i += 2) {
          const first = Math.floor(selected[i]! / GROUP_CHUNKS) * GROUP_BYTES
          const end = Math.min(Math.ceil(selected[i + 1]! / GROUP_CHUNKS) * GROUP_BYTES, size)
          if (first < end) expect(spans.endAt(first)).toBeGreaterThanOrEqual(end)
          wanted += end - first
        }
        let planned = 0
        for (let i = 0; i < spans.boundaries.length; i += 2)
          planned += spans.boundaries[i + 1]! - spans.boundaries[i]!
        expect(planned).toBeLessThanOrEqual(wanted + (selected.length / 2) * GAP_BYTES)
        expect(spans.boundaries.at(-1) ?? 0).toBeLessThanOrEqual(size)
      })
    )
  })

  it('of the outboard has the nodes that are read in order, and never passes its end', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 200 * 2 ** 20 }),
        fc.nat(200),
        fc.nat(200),
        (size, from, length) => {
          const data = dataSpans(ChunkRanges.ofBytes(from * 2 ** 20, (from + length) * 2 ** 20), size)
          const plan = outboardSpans(data, size)
          expect(plan.boundaries.at(-1) ?? 0).toBeLessThanOrEqual(outboardBytes(size))
          const end = data.boundaries[1] ?? 0
          if (plan.isEmpty || length === 0) return
          const walker = new TreeWalker(size, ChunkRanges.ofBytes(from * 2 ** 20, end))
          let last = 0
          while (walker.next()) last = Math.max(last, walker.node)
          if (last > 0 && data.boundaries.length === 2)
            expect(plan.boundaries.at(-1)).toBeGreaterThanOrEqual((last + 1) * 64)
        }
      )
    )
  })
})
