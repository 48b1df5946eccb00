import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Hash } from '../../../src/hash.ts'
import {
  blobPrefix,
  dataKey,
  hasOutboard,
  isTagKey,
  outboardKey,
  parseBlobKey,
  partialPrefix,
  quarantineKey,
  tagKey
} from '../../../src/store/object/layout.ts'
import { checkKey } from '../../../src/store/object/storage/checks.ts'

const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Hash.fromBytes(bytes))

describe('the keys of blobs', () => {
  it('say which blob they are of, and what', () => {
    fc.assert(
      fc.property(hashes, hash => {
        const name = '70000.0-2_3-4'
        expect(parseBlobKey(dataKey(hash))).toEqual({ hash, kind: 'data' })
        expect(parseBlobKey(outboardKey(hash))).toEqual({ hash, kind: 'outboard' })
        expect(parseBlobKey(partialPrefix(hash) + name)).toEqual({ hash, kind: 'fragment', fragment: name })
        const body = '70000.0123456789abcdef'
        expect(parseBlobKey(partialPrefix(hash) + body)).toEqual({ hash, kind: 'body', body })
        for (const key of [
          dataKey(hash),
          outboardKey(hash),
          partialPrefix(hash) + name,
          partialPrefix(hash) + body
        ]) {
          expect(key.startsWith(blobPrefix(hash))).toBe(true)
          checkKey(key)
          checkKey(quarantineKey(hash, name, 1_700_000_000_000))
        }
      })
    )
  })

  it('are in the order of the hashes in base32', () => {
    fc.assert(
      fc.property(hashes, hashes, (a, b) => {
        fc.pre(!a.equals(b))
        expect(dataKey(a) < outboardKey(b)).toBe(a.toBase32() < b.toBase32())
        // All of a blob's come before this one.
        expect(partialPrefix(a) < `blobs/${a.toBase32()}0`).toBe(true)
      })
    )
  })

  it('are nothing but these, and whatever is taken for one can be set aside', () => {
    const hash = Hash.fromBytes(new Uint8Array(32).fill(7))
    const foreign = [
      '',
      'blobs/',
      `blobs/${hash.toBase32()}`,
      `blobs/${hash.toBase32()}/`,
      `blobs/${hash.toBase32()}/data/x`,
      `blobs/${hash.toBase32()}/Data`,
      `blobs/${hash.toBase32().toUpperCase()}/data`,
      `blobs/${'7'.repeat(52)}/data`,
      `x/${dataKey(hash)}`,
      partialPrefix(hash),
      `${partialPrefix(hash)}.hidden`,
      `${partialPrefix(hash)}1/2`,
      `${partialPrefix(hash)}${'1'.repeat(256)}`,
      `${dataKey(hash)}\n`
    ]
    for (const key of foreign) expect(parseBlobKey(key)).toBeUndefined()
    const ending = fc.string({
      unit: fc.constantFrom(...'data/outboard/partial/0123456789._-'),
      maxLength: 300
    })
    fc.assert(
      fc.property(ending, text => {
        const parsed = parseBlobKey(blobPrefix(hash) + text)
        if (parsed?.fragment !== undefined) checkKey(quarantineKey(hash, parsed.fragment, 1_700_000_000_000))
      })
    )
  })
})

it('a blob of more than one group has an outboard', () => {
  expect([0, 1, 16_384, 16_385].map(hasOutboard)).toEqual([false, false, false, true])
})

it('tags have keys of their own, which say nothing of the name', () => {
  expect(tagKey('a')).not.toBe(tagKey('b'))
  expect(isTagKey(tagKey('../x'))).toBe(true)
  checkKey(tagKey('../x'))
  for (const key of ['tags/', 'tags/a', `tags/${tagKey('a')}`, `${tagKey('a')}/`])
    expect(isTagKey(key)).toBe(false)
})
