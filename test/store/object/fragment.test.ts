import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES, PAIR_BYTES } from '../../../src/bao/constants.ts'
import { CorruptSourceError } from '../../../src/bao/errors.ts'
import { groupCount } from '../../../src/bao/geometry.ts'
import { hashBytes } from '../../../src/bao/outboard.ts'
import type { Hash } from '../../../src/hash.ts'
import { checkFragment, FragmentLayout } from '../../../src/store/object/fragment.ts'
import { type Fragment, fragmentsOf } from '../../../src/store/object/fragment-name.ts'
import { PART_BYTES, Parts } from '../../../src/store/object/parts.ts'
import { randomData } from '../../helpers/data.ts'

interface Blob {
  readonly data: Uint8Array
  readonly hash: Hash
  readonly outboard: Uint8Array
}

function blobOf(size: number): Blob {
  const data = randomData(size)
  return { data, ...hashBytes(data) }
}

/** What a fragment's object holds, found by looking at every node of the tree. */
function objectOf({ data, outboard }: Blob, { size, spans }: Fragment): Uint8Array {
  const parts = new Parts(size)
  const pieces = spans.map(({ from, to }) => data.subarray(from * GROUP_BYTES, to * GROUP_BYTES))
  for (let node = 0; node < groupCount(size) - 1; node++) {
    const below = parts.groupsBelow(node)
    if (spans.some(({ from, to }) => from < below.to && below.from < to)) {
      pieces.push(outboard.subarray(node * PAIR_BYTES, (node + 1) * PAIR_BYTES))
    }
  }
  return Buffer.concat(pieces)
}

async function check({ hash }: Blob, fragment: Fragment, object: Uint8Array): Promise<void> {
  await checkFragment(hash, new FragmentLayout(fragment), async (offset, target) => {
    target.set(object.subarray(offset, offset + target.length))
  })
}

const small = blobOf(37 * GROUP_BYTES - 5)
const large = blobOf(2 * PART_BYTES + 3 * GROUP_BYTES + 1)

/** Any groups of one part, as fragments. */
function fragmentsIn(blob: Blob): fc.Arbitrary<Fragment[]> {
  const parts = new Parts(blob.data.length)
  return fc
    .record({
      part: fc.nat(parts.count - 1),
      chosen: fc.uniqueArray(fc.nat(511), { minLength: 1, maxLength: 40 })
    })
    .map(({ part, chosen }) => {
      const { from, to } = parts.groupsOf(part)
      const groups = new Set(chosen.map(group => from + (group % (to - from))))
      return fragmentsOf(
        blob.data.length,
        [...groups].sort((a, b) => a - b)
      )
    })
}

describe('a fragment', () => {
  for (const [name, blob] of Object.entries({ 'a small blob': small, 'a blob of three parts': large })) {
    it(`of ${name} has its groups and all nodes above them, which prove it`, async () => {
      const property = fc.asyncProperty(fragmentsIn(blob), async fragments => {
        for (const fragment of fragments) {
          const object = objectOf(blob, fragment)
          const layout = new FragmentLayout(fragment)
          expect(layout.bytes).toBe(object.length)
          await check(blob, fragment, object)
        }
      })
      await fc.assert(property, { numRuns: 40 })
    })

    it(`of ${name} knows where everything is, and what it has not got`, () => {
      const property = fc.property(
        fragmentsIn(blob),
        fc.nat(blob.data.length - 1),
        ([fragment], somewhere) => {
          const object = objectOf(blob, fragment!)
          const layout = new FragmentLayout(fragment!)
          const has = (group: number) => fragment!.spans.some(({ from, to }) => group >= from && group < to)
          for (const { from, to } of fragment!.spans) {
            for (const offset of [from * GROUP_BYTES, to * GROUP_BYTES - 1, somewhere]) {
              const place = layout.placeOfData(offset)
              if (offset >= blob.data.length || !has(Math.floor(offset / GROUP_BYTES))) {
                expect(place).toBe(undefined)
                continue
              }
              const there = object.subarray(place!.at, place!.at + place!.length)
              expect(Buffer.compare(there, blob.data.subarray(offset, offset + place!.length))).toBe(0)
            }
          }
          const known = new Set(
            layout.nodes.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i))
          )
          for (let node = 0; node < groupCount(blob.data.length) - 1; node++) {
            const place = layout.placeOfNode(node)
            expect(place === undefined).toBe(!known.has(node))
            if (place === undefined) continue
            const there = object.subarray(place, place + PAIR_BYTES)
            const right = blob.outboard.subarray(node * PAIR_BYTES, (node + 1) * PAIR_BYTES)
            expect(Buffer.compare(there, right)).toBe(0)
          }
        }
      )
      fc.assert(property, { numRuns: 15 })
    })
  }

  it('is wrong when any bit of it is', async () => {
    const property = fc.asyncProperty(
      fragmentsIn(small),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.nat(7),
      fc.boolean(),
      async ([fragment], where, bit, isInNodes) => {
        const object = objectOf(small, fragment!)
        const { dataBytes } = new FragmentLayout(fragment!)
        const start = isInNodes ? dataBytes : 0
        const at = start + Math.floor(where * (object.length - start))
        object[at]! ^= 1 << bit
        await expect(check(small, fragment!, object)).rejects.toThrow(CorruptSourceError)
      }
    )
    await fc.assert(property, { numRuns: 300 })
  })

  it('of a blob of one group has no nodes', async () => {
    const blob = blobOf(1000)
    const [fragment] = fragmentsOf(1000, [0])
    expect(new FragmentLayout(fragment!).bytes).toBe(1000)
    await check(blob, fragment!, blob.data)
  })
})
