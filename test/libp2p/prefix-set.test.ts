import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Hash } from '../../src/hash.ts'
import { PrefixSet } from '../../src/libp2p/fetch/prefix-set.ts'

/** Hashes of which many begin in the same way, some up to the last of the bytes that count. */
const hashes = fc.array(
  fc.array(fc.constantFrom(0, 1, 255), { minLength: 7, maxLength: 7 }).map(start => {
    const bytes = new Uint8Array(32)
    bytes.set(start)
    return Hash.fromBytes(bytes)
  }),
  { maxLength: 300 }
)

it('tells whether the first six bytes of a hash were there', () => {
  fc.assert(
    fc.property(hashes, list => {
      const set = new PrefixSet(list.length)
      const seen = new Set<string>()
      for (const hash of list) {
        const prefix = hash.toString().slice(0, 12)
        expect(set.add(hash)).toBe(!seen.has(prefix))
        seen.add(prefix)
      }
    })
  )
})
