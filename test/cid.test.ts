import fc from 'fast-check'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { expect, test } from 'vitest'
import { hashFromCid, hashToCid, InvalidCidError } from '../src/cid.ts'
import { EMPTY_HASH } from '../src/hash.ts'
import { arbitraryHash, toHex } from './protocol/support.ts'

/** `bafkr4i…`: version 1, raw, blake3, 32 bytes, then the hash. */
const EMPTY_CID = 'bafkr4ifpcne3t5pzugtkaqcn5i3nzskjtpfslsnnyejlpte2spfoihzsmi'

test('the CID of a hash is the one every tool prints', () => {
  const cid = hashToCid(EMPTY_HASH)
  expect(toHex(cid.bytes)).toBe(`01551e20${EMPTY_HASH}`)
  expect(cid.toString()).toBe(EMPTY_CID)
})

test('any hash comes back, from the CID and from its text in each base', () => {
  fc.assert(
    fc.property(arbitraryHash, hash => {
      const cid = hashToCid(hash)
      for (const form of [cid, cid.toString(), cid.toString(base36), cid.toString(base58btc)]) {
        expect(hashFromCid(form).toString()).toBe(hash.toString())
      }
    })
  )
})

const cidOf = (codec: number, hash: number, length: number) =>
  CID.createV1(codec, Digest.create(hash, new Uint8Array(length)))

test.each<[string, CID | string, string]>([
  [
    'sha2-256, version 0',
    'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG',
    'hash function sha2-256 (0x12); blobs have blake3'
  ],
  ['sha2-256', cidOf(0x55, 0x12, 32), 'hash function sha2-256'],
  ['an unknown hash function', cidOf(0x55, 0x7777, 32), 'hash function 0x7777'],
  ['dag-pb', cidOf(0x70, 0x1e, 32), 'codec dag-pb (0x70); blobs have raw'],
  ['an unknown codec', cidOf(0x99, 0x1e, 32), 'codec 0x99'],
  ['a shortened hash', cidOf(0x55, 0x1e, 20), 'hash of 20 bytes'],
  ['a cut-off CID', EMPTY_CID.slice(0, -2), 'is no CID'],
  ['no CID', 'hello', 'is no CID'],
  ['nothing', '', 'is no CID'],
  ['a base we do not read', `u${EMPTY_CID}`, 'is no CID'],
  ['a very long text', `z${'2'.repeat(100_000)}`, 'is no CID']
])('%s is refused', (_, cid, message) => {
  expect(() => hashFromCid(cid)).toThrow(InvalidCidError)
  expect(() => hashFromCid(cid)).toThrow(message)
})

test('whatever text comes is the CID of a blob or refused', () => {
  const damaged = fc.tuple(fc.nat(EMPTY_CID.length), fc.string({ maxLength: 3 })).map(([at, text]) => {
    return EMPTY_CID.slice(0, at) + text + EMPTY_CID.slice(at + text.length)
  })
  fc.assert(
    fc.property(fc.oneof(fc.string(), damaged), text => {
      try {
        expect(hashFromCid(text).bytes.length).toBe(32)
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidCidError)
      }
    }),
    { numRuns: 1000 }
  )
})
