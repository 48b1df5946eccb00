import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Hash } from '../../src/hash.ts'
import { HashList } from '../../src/node/hash-list.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'

/** Few different bytes: many hashes are the same, or begin as another does. */
const hash = fc
  .array(fc.integer({ min: 0, max: 1 }), { minLength: 32, maxLength: 32 })
  .map(bits => Hash.fromBytes(Uint8Array.from(bits, (bit, i) => (i < 5 || i > 29 ? bit : 0))))

describe('HashList', () => {
  it('knows which hashes it has already, and keeps all in their places, whatever order they come in', () => {
    fc.assert(
      fc.property(fc.array(hash, { maxLength: 60 }), fc.infiniteStream(fc.nat()), (hashes, numbers) => {
        const order = hashes
          .map((_, i) => ({ i, by: numbers.next().value }))
          .sort((a, b) => a.by - b.by)
          .map(({ i }) => i)
        const list = new HashList(hashes.length)
        const seen = new Set<string>()
        for (const i of order) {
          expect(list.put(i, hashes[i]!)).toBe(!seen.has(hashes[i]!.toString()))
          seen.add(hashes[i]!.toString())
        }
        expect([...HashSequence.fromBytes(list.bytes)].map(String)).toEqual(hashes.map(String))
      })
    )
  })
})
