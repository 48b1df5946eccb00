import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Hash } from '../../src/hash.ts'
import {
  type CollectionEntry,
  CollectionTooLargeError,
  decodeCollection,
  encodeCollection,
  encodeCollectionMeta,
  InvalidCollectionError,
  isCollectionMeta
} from '../../src/protocol/collection.ts'
import { MAX_COLLECTION_META_BYTES } from '../../src/protocol/constants.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import { arbitraryDamage, arbitraryHash, fromHex, readsOrThrows, toHex, vectors } from './support.ts'

interface Golden {
  entries: { name: string; hash: string }[]
  root: string
  metaHash: string
  meta: string
}

const MARK = '436f6c6c656374696f6e56302e'
const META_HASH = Hash.fromBytes(new Uint8Array(32).fill(7))

const arbitraryEntries = fc.array(fc.record({ name: fc.string({ unit: 'binary' }), hash: arbitraryHash }), {
  maxLength: 5
})

const metaOf = (entries: CollectionEntry[]) => encodeCollectionMeta(entries.map(entry => entry.name))

/** A hash sequence with as many links. */
const links = (count: number) => HashSequence.fromBytes(new Uint8Array(count * 32))

describe('golden collections', () => {
  test.each(vectors<{ collections: Golden[] }>('collections.json').collections)(
    '$metaHash',
    ({ entries: golden, root, metaHash, meta }) => {
      const entries = golden.map(({ name, hash }) => ({ name, hash: Hash.parse(hash) }))
      expect(toHex(metaOf(entries))).toBe(meta)
      expect(toHex(encodeCollection(Hash.parse(metaHash), entries).bytes)).toBe(root)

      const decoded = decodeCollection(HashSequence.fromBytes(fromHex(root)), fromHex(meta))
      expect(decoded.map(({ name, hash }) => ({ name, hash: hash.toString() }))).toEqual(
        golden.map(({ name, hash }) => ({ name, hash }))
      )
    }
  )

  test('the empty collection', () => {
    expect(toHex(encodeCollectionMeta([]))).toBe(`${MARK}00`)
    expect(decodeCollection(links(1), fromHex(`${MARK}00`))).toEqual([])
    expect(toHex(encodeCollection(META_HASH, []).bytes)).toBe('07'.repeat(32))
  })
})

test('any names come back with their links, also empty, repeated and unsafe ones', () => {
  fc.assert(
    fc.property(arbitraryEntries, entries => {
      const twice = [...entries, ...entries, { name: '', hash: META_HASH }]
      const sequence = encodeCollection(META_HASH, twice)
      expect(sequence.link(0)?.equals(META_HASH)).toBe(true)
      expect(decodeCollection(sequence, metaOf(twice)).map(e => [e.name, e.hash.toString()])).toEqual(
        twice.map(e => [e.name, e.hash.toString()])
      )
    })
  )
})

test('metadata is known by its first 13 bytes', () => {
  expect(isCollectionMeta(encodeCollectionMeta(['a']))).toBe(true)
  expect(isCollectionMeta(fromHex(MARK))).toBe(true)
  expect(isCollectionMeta(fromHex(MARK).subarray(0, 12))).toBe(false)
  expect(isCollectionMeta(new TextEncoder().encode('CollectionV1.'))).toBe(false)
  expect(isCollectionMeta(new Uint8Array(100))).toBe(false)
})

test.each<[string, number, string, string]>([
  ['more names than links', 2, `${MARK}02 0161 0162`, '2 names for 1 links (at byte 13)'],
  ['fewer names than links', 3, `${MARK}01 0161`, '1 names for 2 links (at byte 13)'],
  ['no link for the metadata', 0, `${MARK}00`, '0 names for -1 links'],
  ['another first blob', 1, '00', 'is no collection metadata (at byte 0)'],
  ['nothing', 1, '', 'is no collection metadata'],
  ['no count', 1, MARK, 'number of names'],
  ['an impossible count', 1, `${MARK} ffffffffffffff0f 00`, 'too many for the 1 bytes'],
  ['a name cut off', 2, `${MARK}01 0561`, 'length of name 0 is 5'],
  ['a name that is no text', 3, `${MARK}02 0161 02c328`, 'name 1 is not UTF-8 (at byte 17)']
])('refused: %s', (_, count, meta, message) => {
  expect(() => decodeCollection(links(count), fromHex(meta))).toThrow(InvalidCollectionError)
  expect(() => decodeCollection(links(count), fromHex(meta))).toThrow(message)
})

test('metadata is neither made nor read above the limit', () => {
  const name = 'n'.repeat(1024 * 1024)
  expect(() => encodeCollectionMeta(Array.from({ length: 17 }, () => name))).toThrow(CollectionTooLargeError)
  const tooLong = new Uint8Array(MAX_COLLECTION_META_BYTES + 1)
  tooLong.set(fromHex(MARK))
  expect(() => decodeCollection(links(1), tooLong)).toThrow(InvalidCollectionError)
  expect(decodeCollection(links(1), tooLong.subarray(0, -1))).toEqual([])
})

test('names that UTF-8 cannot express are not made into others', () => {
  expect(() => encodeCollectionMeta(['\udc00'])).toThrow(RangeError)
})

test('whatever comes is a collection or refused', () => {
  let good = 0
  const candidate = arbitraryDamage(arbitraryEntries.map(metaOf))
  fc.assert(
    fc.property(candidate, fc.nat(6), (meta, count) => {
      const entries = readsOrThrows(() => decodeCollection(links(count), meta), InvalidCollectionError)
      if (entries) {
        good++
        expect(entries.length).toBe(count - 1)
      }
    }),
    { numRuns: 3000 }
  )
  expect(good).toBeGreaterThan(20)
})
