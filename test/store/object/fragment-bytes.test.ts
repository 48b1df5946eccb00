import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES } from '../../../src/bao/constants.ts'
import { FragmentLayout } from '../../../src/store/object/fragment.ts'
import { fragmentBytes } from '../../../src/store/object/fragment-bytes.ts'
import { type Fragment, fragmentsOf } from '../../../src/store/object/fragment-name.ts'
import { PART_BYTES, Parts } from '../../../src/store/object/parts.ts'

const TIB = 1024 ** 4

/** Sizes of blobs of a few groups, of a few parts, and of any, with a last group that is short or full. */
const sizes = fc.oneof(
  fc.integer({ min: 1, max: 70 * GROUP_BYTES }),
  fc.integer({ min: 1, max: 70 }).map(groups => groups * GROUP_BYTES),
  fc.integer({ min: 1, max: 40 * PART_BYTES }),
  fc.integer({ min: 1, max: 40 }).map(parts => parts * PART_BYTES),
  fc.integer({ min: 1, max: 20 * TIB }),
  fc.maxSafeInteger().map(number => Math.abs(number) + 1)
)

/** Any groups of one part, often of the last, as fragments. */
const anyFragments: fc.Arbitrary<Fragment[]> = fc
  .record({
    size: sizes.filter(Number.isSafeInteger),
    where: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
    chosen: fc.array(fc.tuple(fc.nat(511), fc.integer({ min: 1, max: 512 })), {
      minLength: 1,
      maxLength: 14
    }),
    body: fc.constantFrom(undefined, '0123456789abcdef')
  })
  .map(({ size, where, chosen, body }) => {
    const parts = new Parts(size)
    const { from, to } = parts.groupsOf(Math.floor(where * (parts.count - 1)))
    const groups = new Set<number>()
    for (const [first, length] of chosen) {
      const start = from + (first % (to - from))
      for (let group = start; group < Math.min(start + length, to); group++) groups.add(group)
    }
    return fragmentsOf(
      size,
      [...groups].sort((a, b) => a - b),
      body
    )
  })

describe("the length of a fragment's object", () => {
  it('is that of its layout, whatever is in it', () => {
    const property = fc.property(anyFragments, fragments => {
      for (const fragment of fragments)
        expect(fragmentBytes(fragment)).toBe(new FragmentLayout(fragment).bytes)
    })
    fc.assert(property, { numRuns: 2000 })
  })

  it('is that of its layout for every span of every small blob', () => {
    for (let groups = 1; groups <= 20; groups++) {
      const size = groups * GROUP_BYTES - 1
      for (let from = 0; from < groups; from++) {
        for (let to = from + 1; to <= groups; to++) {
          const fragment = { size, spans: [{ from, to }] }
          expect(fragmentBytes(fragment)).toBe(new FragmentLayout(fragment).bytes)
        }
      }
    }
  })
})
