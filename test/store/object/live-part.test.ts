import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES } from '../../../src/bao/constants.ts'
import { LivePart } from '../../../src/store/object/live-part.ts'
import { PART_BYTES, Parts } from '../../../src/store/object/parts.ts'

/** A part of 512 groups, and one of 20 of which the last is short. */
const SIZE = PART_BYTES + 19 * GROUP_BYTES + 100

describe('LivePart', () => {
  it('counts each group once that comes, whatever was there before', () => {
    const parts = new Parts(SIZE)
    const { from, to } = parts.groupsOf(1)
    const span = fc
      .tuple(fc.integer({ min: from, max: to - 1 }), fc.integer({ min: 1, max: 8 }))
      .map(([start, length]) => ({ from: start, to: Math.min(start + length, to) }))
    const property = fc.property(fc.array(span, { maxLength: 3 }), fc.array(span), (saved, kept) => {
      const part = new LivePart(parts, 1, [])
      part.markSaved(saved)
      const there = new Set<number>()
      const groupsOf = (span: { from: number; to: number }) =>
        Array.from({ length: span.to - span.from }, (_, i) => span.from + i)
      for (const group of saved.flatMap(groupsOf)) there.add(group)
      const unsaved: number[] = []
      for (const span of kept) {
        const news = groupsOf(span).filter(group => !there.has(group))
        const bytes = news.reduce((sum, group) => sum + parts.bytesOf({ from: group, to: group + 1 }), 0)
        expect(part.markNew(span)).toBe(bytes)
        for (const group of news) there.add(group)
        unsaved.push(...news)
      }
      expect(part.unsaved).toEqual(unsaved.sort((a, b) => a - b))
      expect(part.isFull).toBe(there.size === to - from)
    })
    fc.assert(property, { numRuns: 200 })
  })
})
