import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Hash } from '../../src/hash.ts'
import {
  HashSequence,
  InvalidHashSequenceError,
  isHashSequenceSize
} from '../../src/protocol/hash-sequence.ts'
import { arbitraryHash, fromHex, toHex, vectors } from './support.ts'

test('the golden hash sequence links to its children', () => {
  const { children, roots } = vectors<{
    children: { index: number; hash: string }[]
    roots: { main: { hex: string } }
  }>('hashseq.json')
  const sequence = HashSequence.fromBytes(fromHex(roots.main.hex))
  expect(sequence.count).toBe(children.length)
  for (const { index, hash } of children) {
    expect(sequence.link(index - 1)?.toString()).toBe(hash)
  }
  expect(toHex(HashSequence.fromHashes(children.map(child => Hash.parse(child.hash))).bytes)).toBe(
    roots.main.hex
  )
})

test('any hashes come back, in order and with repetitions', () => {
  fc.assert(
    fc.property(fc.array(arbitraryHash, { maxLength: 5 }), hashes => {
      const sequence = HashSequence.fromBytes(HashSequence.fromHashes([...hashes, ...hashes]).bytes)
      expect(Array.from(sequence, String)).toEqual([...hashes, ...hashes].map(String))
    })
  )
})

test('behind the last link there is none', () => {
  const sequence = HashSequence.fromBytes(new Uint8Array(64))
  expect(sequence.link(1)).toBeInstanceOf(Hash)
  for (const i of [-1, 2, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(sequence.link(i)).toBe(undefined)
  }
})

test('the empty blob is a hash sequence, a blob with half a hash is none', () => {
  expect(HashSequence.fromBytes(new Uint8Array(0)).count).toBe(0)
  expect(isHashSequenceSize(0)).toBe(true)
  expect(isHashSequenceSize(2 ** 40)).toBe(true)
  for (const size of [1, 31, 33, 2 ** 40 + 1]) {
    expect(isHashSequenceSize(size)).toBe(false)
  }
  expect(() => HashSequence.fromBytes(new Uint8Array(33))).toThrow(InvalidHashSequenceError)
  expect(() => HashSequence.fromBytes(new Uint8Array(33))).toThrow('33 bytes cannot be one')
})
