import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GROUP_CHUNKS } from '../../../src/bao/constants.ts'
import { chunkCount } from '../../../src/bao/geometry.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import {
  chunksOf,
  type Fragment,
  formatBody,
  formatFragment,
  fragmentsOf,
  isBodyName,
  isWholePart,
  MOST_SPANS,
  newBody,
  parseFragment
} from '../../../src/store/object/fragment-name.ts'
import { PART_BYTES, PART_GROUPS, Parts } from '../../../src/store/object/parts.ts'
import { isKeyPart } from '../../../src/store/object/storage/checks.ts'

/** Some groups of one part of a blob. */
const someGroups = fc
  .record({
    size: fc.oneof(
      fc.integer({ min: 1, max: 5 * PART_BYTES }),
      fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
    ),
    where: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    chosen: fc.uniqueArray(fc.nat(PART_GROUPS - 1), { minLength: 1, maxLength: 60 }),
    body: fc.option(fc.constantFrom('0123456789abcdef', newBody()), { nil: undefined })
  })
  .map(({ size, where, chosen, body }) => {
    const parts = new Parts(size)
    const { from, to } = parts.groupsOf(Math.floor(where * parts.count))
    const groups = [...new Set(chosen.map(group => from + (group % (to - from))))].sort((a, b) => a - b)
    return { size, groups, body }
  })

describe('a fragment’s name', () => {
  it('says what is in it, and no more', () => {
    fc.assert(
      fc.property(someGroups, ({ size, groups, body }) => {
        const named: number[] = []
        for (const fragment of fragmentsOf(size, groups, body)) {
          const name = formatFragment(fragment)
          expect(isBodyName(name)).toBe(false)
          expect(isKeyPart(name), name).toBe(true)
          expect(parseFragment(name)).toEqual(fragment)
          for (const { from, to } of fragment.spans) for (let i = from; i < to; i++) named.push(i)
        }
        expect(named).toEqual(groups)
      })
    )
  })

  it('has room for as many spans as there may be, at all sizes', () => {
    for (let size = 40 * PART_BYTES; size < Number.MAX_SAFE_INTEGER; size *= 3) {
      const parts = new Parts(size)
      // Every other group of the last part but one: the longest numbers, and as many spans as can be.
      const { from, to } = parts.groupsOf(parts.count - 2)
      const groups = Array.from({ length: (to - from) / 2 }, (_, i) => from + 2 * i)
      for (const fragment of [...fragmentsOf(size, groups), ...fragmentsOf(size, groups, newBody())]) {
        const name = formatFragment(fragment)
        expect(isKeyPart(name), `${name.length} characters`).toBe(true)
        expect(parseFragment(name)).toEqual(fragment)
        expect(fragment.spans.length).toBeGreaterThan(0)
      }
    }
  })

  it('is the only one for what is in it', () => {
    const like = fc.stringMatching(
      /^[0-9]{1,17}\.[0-9]{1,13}-[0-9]{1,13}(_[0-9]{1,4}-[0-9]{1,4}){0,14}(\.[0-9a-f]{16})?$/
    )
    const near = fc
      .tuple(fc.nat(2 ** 32), fc.nat(600), fc.nat(600))
      .map(([size, a, b]) => `${size}.${a}-${b}`)
    fc.assert(
      fc.property(fc.oneof(fc.string(), like, near), name => {
        const fragment = parseFragment(name)
        if (fragment !== undefined) expect(formatFragment(fragment)).toBe(name)
      }),
      { numRuns: 1000 }
    )
  })

  const wrong: Record<string, string> = {
    '': 'nothing',
    '0.0-1': 'the empty blob, which is never partial',
    '70000.1-1': 'an empty span',
    '70000.2-1': 'a span that ends before it begins',
    '70000.0-6': 'a group beyond the end',
    '70000.0-1_1-2': 'spans that touch',
    '70000.2-3_0-1': 'spans that are not ascending',
    '70000.0-2_1-3': 'spans that overlap',
    '070000.0-1': 'a zero in front',
    '70000.00-1': 'a zero in front of a group',
    '70000.0-01': 'a zero in front of an end',
    '70000.0-1_': 'a span that is missing',
    '70000.-1': 'a number that is missing',
    '70000.0-1 ': 'a blank',
    '70000': 'no spans',
    '70000.0123456789abcdef': 'no spans, which is the name of a body',
    '70000.0-1.0123456789abcde': 'an id of a body that is too short',
    '70000.0-1.0123456789ABCDEF': 'an id of a body in capital letters',
    '70000.0-1.': 'an id of a body that is missing',
    '9007199254740992.0-1': 'a size above 2^53 - 1',
    '20000000.511-513': 'two parts',
    '20000000.0-1_512-513': 'two parts in two spans',
    [`20000000.${Array.from({ length: MOST_SPANS + 1 }, (_, i) => `${2 * i}-${2 * i + 1}`).join('_')}`]:
      'too many spans'
  }
  for (const [name, what] of Object.entries(wrong)) {
    it(`is not one with ${what}`, () => expect(parseFragment(name)).toBe(undefined))
  }

  it('knows the chunks, and whether it is all of a part', () => {
    fc.assert(
      fc.property(someGroups, ({ size, groups }) => {
        const parts = new Parts(size)
        for (const fragment of fragmentsOf(size, groups)) {
          const boundaries = fragment.spans.flatMap(({ from, to }) => [
            from * GROUP_CHUNKS,
            Math.min(to * GROUP_CHUNKS, chunkCount(size))
          ])
          expect(chunksOf(fragment).equals(ChunkRanges.fromBoundaries(boundaries))).toBe(true)
        }
        const whole: Fragment = { size, spans: [parts.groupsOf(parts.of(groups[0]!))] }
        expect(parseFragment(formatFragment(whole))).toEqual(whole)
        expect(isWholePart(whole)).toBe(true)
        const { from, to } = whole.spans[0]!
        if (to - from < 2) return
        expect(isWholePart({ size, spans: [{ from, to: to - 1 }] })).toBe(false)
        expect(isWholePart({ size, spans: [{ from: from + 1, to }] })).toBe(false)
      })
    )
  })
})

describe('a body’s name', () => {
  it('is a key’s part, and no fragment’s', () => {
    const name = formatBody(70_000, newBody())
    expect(isBodyName(name)).toBe(true)
    expect(isKeyPart(name)).toBe(true)
    expect(parseFragment(name)).toBe(undefined)
  })

  it('is another one each time', () => expect(newBody()).not.toBe(newBody()))

  for (const name of ['', '70000', '0.0123456789abcdef', '070000.0123456789abcdef', '70000.0123456789abcdeg'])
    it(`is not ${JSON.stringify(name)}`, () => expect(isBodyName(name)).toBe(false))
})
