import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EMPTY_HASH, Hash, InvalidHashError } from '../src/hash.ts'
import { arbitraryHash, fromHex, toHex, vectors } from './protocol/support.ts'

interface HashForm {
  name: string
  text: string
  accepted: boolean
  hash?: string
}

const { hashForms } = vectors<{ hashForms: HashForm[] }>('tickets.json')
const { blobs } = vectors<{ blobs: { hash: string; base32: string }[] }>('blobs.json')

describe('golden forms', () => {
  test.each(hashForms)('$name', ({ text, accepted, hash }) => {
    if (accepted) expect(Hash.parse(text).toString()).toBe(hash)
    else expect(() => Hash.parse(text)).toThrow(InvalidHashError)
  })

  test.each(blobs)('$hash in base32', ({ hash, base32 }) => {
    expect(Hash.parse(hash).toBase32()).toBe(base32)
    expect(Hash.parse(base32).toString()).toBe(hash)
  })
})

test('any hash comes back from each of its forms', () => {
  fc.assert(
    fc.property(arbitraryHash, hash => {
      expect(toHex(hash.bytes)).toBe(hash.toString())
      const forms = [hash.toString(), hash.toBase32(), hash.toBase32().toUpperCase()]
      for (const form of forms) {
        expect(Hash.parse(form).equals(hash)).toBe(true)
        expect(Hash.parse(form).toString()).toBe(hash.toString())
      }
      expect(hash.toString().startsWith(hash.toShortString())).toBe(true)
      expect(JSON.stringify({ hash })).toBe(`{"hash":"${hash}"}`)
    })
  )
})

test('whatever text comes is a hash or refused', () => {
  const length = fc.constantFrom(51, 52, 53, 63, 64, 65)
  const text = fc
    .tuple(length, fc.array(fc.constantFrom(...'abcdef234567AFkzKİ:😀'), { minLength: 65 }))
    .map(([n, chars]) => chars.join('').slice(0, n))
  fc.assert(
    fc.property(text, candidate => {
      try {
        const hash = Hash.parse(candidate)
        expect([hash.toString(), hash.toBase32()]).toContain(candidate.toLowerCase())
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidHashError)
      }
    }),
    { numRuns: 2000 }
  )
})

test.each([
  ['upper-case hex', EMPTY_HASH.toString().toUpperCase(), 'not lower-case hex'],
  ['64 characters with one that is no digit', `g${EMPTY_HASH.toString().slice(1)}`, 'not lower-case hex'],
  ['a base32 digit that is none', `0${EMPTY_HASH.toBase32().slice(1)}`, '"0" is not a base32 digit'],
  ['a kelvin sign for a k', `\u212a${EMPTY_HASH.toBase32().slice(1)}`, 'is not a base32 digit'],
  ['bits beyond the 256th', `${EMPTY_HASH.toBase32().slice(0, -1)}b`, 'bits that must be zero'],
  ['nothing', '', 'got 0 characters'],
  ['a long text', 'x'.repeat(1000), 'got 1000 characters']
])('says what is wrong with %s', (_, text, message) => {
  expect(() => Hash.parse(text)).toThrow(InvalidHashError)
  expect(() => Hash.parse(text)).toThrow(message)
})

test('a long text is not repeated in full', () => {
  expect(() => Hash.parse('x'.repeat(10_000))).toThrow(/^.{0,200}$/)
})

test('only 32 bytes are a hash', () => {
  for (const length of [0, 31, 33, 64]) {
    expect(() => Hash.fromBytes(new Uint8Array(length))).toThrow(`a hash has 32 bytes, not ${length}`)
  }
})

test('a hash does not change with the bytes it was made from', () => {
  const bytes = new Uint8Array(32)
  const hash = Hash.fromBytes(bytes)
  bytes.fill(1)
  expect(hash.toString()).toBe('00'.repeat(32))
})

test('hashes are equal when all bytes are', () => {
  fc.assert(
    fc.property(arbitraryHash, fc.nat(31), fc.integer({ min: 1, max: 255 }), (hash, at, change) => {
      const bytes = fromHex(hash.toString())
      expect(hash.equals(Hash.fromBytes(bytes))).toBe(true)
      bytes[at]! ^= change
      expect(hash.equals(Hash.fromBytes(bytes))).toBe(false)
    })
  )
})
