import { readFileSync } from 'node:fs'
import { createHash } from 'blake3-wasm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Kernel } from '../../src/bao/kernel/index.ts'
import { GROUP, KERNELS, pairsOf, patternBytes, RUN, subtreeOf, unaligned } from './kernel-helpers.ts'
import { parentCv, subtreeCv, subtreePairs } from './oracle.ts'

/** Each boundary of the format, and its neighbours. */
const INTERESTING_SIZES = [
  ...[0, 1], // the empty chunk; one byte
  ...[63, 64, 65, 127, 128, 129], // a block; two
  ...[1023, 1024, 1025], // a chunk, and the first parent
  ...[2047, 2048, 2049, 3072, 3073], // odd numbers of chunks
  ...[8191, 8192, 8193, 9216], // as many chunks as are hashed at once
  ...[GROUP - 1, GROUP, GROUP + 1], // a group
  ...[2 * GROUP - 1, 2 * GROUP, 2 * GROUP + 1, 3 * GROUP, 5 * GROUP + 1, 7 * GROUP + 1025], // odd numbers of groups
  ...[33 * GROUP, 63 * GROUP - 1, 63 * GROUP, 63 * GROUP + 1], // nearly a run
  ...[RUN - 1025, RUN - 1024, RUN - 1, RUN] // a run, the most a call takes
]

/** Numbers of first chunks where a counter in two 32-bit words can go wrong. */
const firstChunks = fc.oneof(
  fc.constant(0),
  fc.nat(1_000_000),
  fc.integer({ min: 2 ** 32 - 40, max: 2 ** 32 + 8 }),
  fc.integer({ min: 5 * 2 ** 32 - 40, max: 5 * 2 ** 32 + 8 }),
  fc.integer({ min: 2 ** 40 - 20, max: 2 ** 40 + 20 }),
  fc.integer({ min: 2 ** 53 - 100, max: 2 ** 53 })
)

interface Outboards {
  readonly entries: readonly {
    readonly size: number
    readonly hash: string
    readonly outboard: { readonly length: number; readonly blake3: string; readonly hex?: string }
  }[]
}

function readOutboards(): Outboards {
  return JSON.parse(readFileSync(new URL('../../protocol/vectors/outboards.json', import.meta.url), 'utf8'))
}

/** Hash and outboard of a blob of any size: runs through `subtree`, what is above them through `parent`. */
function compose(
  kernel: Kernel,
  data: Uint8Array,
  firstChunk = 0,
  isRoot = true
): { cv: Uint8Array; outboard: Buffer } {
  if (data.length <= RUN) {
    const outboard = Buffer.from(pairsOf(kernel, data, firstChunk))
    return { cv: subtreeOf(kernel, data, firstChunk, isRoot), outboard }
  }
  let leftBytes = RUN
  while (leftBytes * 2 < data.length) leftBytes *= 2
  const left = compose(kernel, data.subarray(0, leftBytes), firstChunk, false)
  const right = compose(kernel, data.subarray(leftBytes), firstChunk + leftBytes / 1024, false)
  const pair = Buffer.concat([left.cv, right.cv])
  const cv = new Uint8Array(32)
  kernel.parent(pair, isRoot, cv)
  return { cv, outboard: Buffer.concat([pair, left.outboard, right.outboard]) }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** The second opinion. */
const blake3 = (bytes: Uint8Array): string => createHash().update(bytes).digest('hex')

describe.each(KERNELS)('kernel in $form', ({ kernel }) => {
  describe('subtree', () => {
    it.each(INTERESTING_SIZES)('hashes a whole blob of %d bytes as blake3-wasm does', size => {
      const data = patternBytes(size)
      expect(hex(subtreeOf(kernel, data))).toBe(blake3(data))
    })

    it('gives the chaining value of any subtree at any place', () => {
      fc.assert(
        fc.property(fc.nat(40_000), firstChunks, fc.boolean(), (length, firstChunk, isRoot) => {
          const data = patternBytes(length)
          const cv = subtreeOf(kernel, data, firstChunk, isRoot)
          expect(hex(cv)).toBe(hex(subtreeCv(data, BigInt(firstChunk), isRoot)))
        }),
        { numRuns: 60 }
      )
    })

    it('carries into the high word of the counter wherever 2^32 falls', () => {
      const data = patternBytes(20 * 1024 + 5)
      for (let before = 0; before <= 21; before++) {
        const firstChunk = 2 ** 32 - before
        const expected = subtreeCv(data, BigInt(firstChunk), false)
        expect(hex(subtreeOf(kernel, data, firstChunk, false)), `${before} chunks before 2^32`).toBe(
          hex(expected)
        )
      }
    })

    it('tells a subtree from the blob of the same bytes', () => {
      const data = patternBytes(1000)
      expect(subtreeOf(kernel, data, 0, false)).not.toEqual(subtreeOf(kernel, data, 0, true))
    })

    it.each([GROUP + 1, 3 * GROUP, 4 * GROUP + 1, 7 * GROUP - 1023])(
      'gives the pairs of %d bytes in pre-order, wherever the subtree lies',
      size => {
        const data = patternBytes(size)
        for (const firstChunk of [0, 2 ** 32 - 32, 2 ** 40]) {
          expect(hex(pairsOf(kernel, data, firstChunk))).toBe(hex(subtreePairs(data, BigInt(firstChunk))))
        }
      }
    )

    it('gives the pairs in pre-order for every number of groups', () => {
      const data = patternBytes(RUN)
      const groups = Array.from({ length: 64 }, (_, i) =>
        subtreeOf(kernel, data.subarray(i * GROUP, (i + 1) * GROUP), i * 16, false)
      )
      const preOrder = (cvs: Uint8Array[]): { cv: Uint8Array; pairs: Buffer } => {
        if (cvs.length === 1) return { cv: cvs[0]!, pairs: Buffer.alloc(0) }
        const middle = 2 ** Math.ceil(Math.log2(cvs.length) - 1)
        const left = preOrder(cvs.slice(0, middle))
        const right = preOrder(cvs.slice(middle))
        const pairs = Buffer.concat([left.cv, right.cv, left.pairs, right.pairs])
        return { cv: parentCv(left.cv, right.cv, false), pairs }
      }
      for (let count = 1; count <= 64; count++) {
        const expected = preOrder(groups.slice(0, count))
        const bytes = data.subarray(0, count * GROUP)
        expect(hex(pairsOf(kernel, bytes)), `${count} groups`).toBe(hex(expected.pairs))
        expect(hex(subtreeOf(kernel, bytes, 0, false)), `${count} groups`).toBe(hex(expected.cv))
      }
    })

    it('gives the same hash with and without pairs, and writes only what it must', () => {
      const data = patternBytes(5 * GROUP - 1)
      const cv = new Uint8Array(40).fill(0xaa)
      const pairs = new Uint8Array(64 * 4 + 8).fill(0xaa)
      kernel.subtree(data, 0, true, cv, pairs)
      expect(hex(cv.subarray(0, 32))).toBe(blake3(data))
      expect(hex(cv.subarray(32))).toBe('aa'.repeat(8))
      expect(hex(pairs.subarray(64 * 4))).toBe('aa'.repeat(8))
    })

    it('takes and fills buffers at odd addresses', () => {
      const data = patternBytes(3 * GROUP + 77)
      const cv = unaligned(new Uint8Array(32))
      const pairs = unaligned(new Uint8Array(64 * 3))
      kernel.subtree(unaligned(data), 0, true, cv, pairs)
      expect(hex(cv)).toBe(blake3(data))
      expect(hex(pairs)).toBe(hex(subtreePairs(data, 0n)))
    })

    it('remembers nothing of an earlier, longer call', () => {
      subtreeOf(kernel, new Uint8Array(RUN).fill(0xff))
      for (const size of [0, 1, 100, 1025, 2500, GROUP + 1]) {
        const data = patternBytes(size)
        expect(hex(subtreeOf(kernel, data)), `${size} bytes`).toBe(blake3(data))
      }
    })
  })

  describe('parent', () => {
    it.each([false, true])('hashes a pair, root %s', isRoot => {
      const pair = patternBytes(64)
      const cv = new Uint8Array(32)
      kernel.parent(pair, isRoot, cv)
      expect(hex(cv)).toBe(hex(parentCv(pair.subarray(0, 32), pair.subarray(32), isRoot)))
    })

    it.each([0, 7, 32])('may write its result over the pair, at byte %d', offset => {
      const pair = patternBytes(64)
      const expected = parentCv(pair.slice(0, 32), pair.slice(32), false)
      kernel.parent(pair, false, pair.subarray(offset, offset + 32))
      expect(hex(pair.subarray(offset, offset + 32))).toBe(hex(expected))
    })

    it.each([RUN + 1, 2 * RUN, 3 * RUN - 1, 3 * RUN + GROUP + 1, 5 * RUN + 12_345])(
      'joins the runs of %d bytes to the hash of the whole blob',
      size => {
        const data = patternBytes(size)
        expect(hex(compose(kernel, data).cv)).toBe(blake3(data))
      }
    )
  })

  it.each(readOutboards().entries)('agrees with the outboard of a blob of $size bytes', entry => {
    const { cv, outboard } = compose(kernel, patternBytes(entry.size))
    expect(hex(cv)).toBe(entry.hash)
    expect(outboard.length).toBe(entry.outboard.length)
    expect(blake3(outboard)).toBe(entry.outboard.blake3)
    if (entry.outboard.hex !== undefined) {
      expect(hex(outboard)).toBe(entry.outboard.hex)
    }
  })
})
