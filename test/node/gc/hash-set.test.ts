import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Hash } from '../../../src/hash.ts'
import { HashSet } from '../../../src/node/gc/hash-set.ts'

/** Hashes that often have the same first bytes, also zeros. */
const hashes = fc
  .tuple(
    fc.array(fc.constantFrom(0, 1, 255), { minLength: 8, maxLength: 8 }),
    fc.uint8Array({ minLength: 24, maxLength: 24 })
  )
  .map(([first]) => Hash.fromBytes(Uint8Array.from([...first, ...new Array(24).fill(7)])))

it('is a set', () => {
  fc.assert(
    fc.property(
      fc.array(hashes, { maxLength: 300 }),
      fc.array(hashes, { maxLength: 50 }),
      (added, others) => {
        const set = new HashSet()
        const model = new Set<string>()
        for (const hash of added) {
          expect(set.add(hash)).toBe(!model.has(hash.toString()))
          model.add(hash.toString())
          expect(set.size).toBe(model.size)
        }
        for (const hash of [...added, ...others]) expect(set.has(hash)).toBe(model.has(hash.toString()))
      }
    )
  )
})

/** @param place puts a number into the bytes of the hash */
function many(count: number, place: (bytes: DataView, i: number) => void): Hash[] {
  return Array.from({ length: count }, (_, i) => {
    const bytes = new Uint8Array(32)
    place(new DataView(bytes.buffer), i)
    return Hash.fromBytes(bytes)
  })
}

it.each([
  ['with the same beginning', (bytes: DataView, i: number) => bytes.setUint32(4, i)],
  ['with the same end', (bytes: DataView, i: number) => bytes.setUint32(0, i)],
  ['that are multiples of a power of two', (bytes: DataView, i: number) => bytes.setUint32(4, i << 12)]
])('200,000 hashes %s, as somebody may make them up, take no hours', (_, place) => {
  const set = new HashSet()
  const all = many(200_000, place)
  for (const hash of all) set.add(hash)
  expect(set.size).toBe(new Set(all.map(String)).size)
})
