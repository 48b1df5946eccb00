import { createHash } from 'blake3-wasm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { groupCount } from '../../src/bao/geometry.ts'
import {
  CHUNK_BYTES,
  ChunkRanges,
  CorruptSourceError,
  chunkCount,
  encode,
  GROUP_BYTES,
  hashBytes,
  hashRun,
  MissingChunksError,
  OutboardBuilder,
  outboardBytes,
  RUN_BYTES,
  roundToGroups,
  runOutboardOffset,
  selectChunks
} from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import { decodeAll, encodeAll, memorySource } from '../helpers/bao.ts'
import { INTERESTING_SIZES, randomData } from '../helpers/data.ts'
import { encodeOracle } from './encode-oracle.ts'
import { subtreePairs } from './oracle.ts'

/** Sorted boundaries around a blob of `chunks` chunks, open or closed, sometimes far beyond the end. */
function rangesFor(chunks: number): fc.Arbitrary<ChunkRanges> {
  const boundary = fc.oneof(
    { weight: 8, arbitrary: fc.bigInt({ min: 0n, max: BigInt(chunks + 3) }) },
    { weight: 1, arbitrary: fc.constant(2n ** 64n - 1n) },
    { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }
  )
  return fc
    .uniqueArray(boundary, { maxLength: 8 })
    .map(list => ChunkRanges.fromBoundaries(list.sort((a, b) => (a < b ? -1 : 1))))
}

const sizeAndRanges = fc
  .oneof(
    fc.constantFrom(...INTERESTING_SIZES.filter(size => size <= 200_000)),
    fc.integer({ min: 0, max: 80_000 })
  )
  .chain(size => fc.record({ size: fc.constant(size), ranges: rangesFor(chunkCount(size)) }))

function expectedChunks(size: number, ranges: ChunkRanges): number[] {
  const chunks = chunkCount(size)
  return Array.from({ length: chunks }, (_, i) => i).filter(i =>
    i < chunks - 1 ? ranges.contains(i) : ranges.isOpen || ranges.boundaries.some(b => b > i)
  )
}

describe('the outboard', () => {
  it.each(INTERESTING_SIZES)("of %i bytes is the oracle's, and the hash is BLAKE3", size => {
    const data = randomData(size)
    const { hash, outboard } = hashBytes(data)
    expect(hash.toString()).toBe(createHash().update(data).digest('hex'))
    expect(outboard.length).toBe(outboardBytes(size))
    if (size <= RUN_BYTES + 1) expect(Buffer.compare(outboard, subtreePairs(data, 0n))).toBe(0)
  })

  it('does not depend on how the stream is cut', () => {
    const data = randomData(3 * RUN_BYTES + 12_345)
    const whole = hashBytes(data)
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 2 * RUN_BYTES }), { minLength: 1, maxLength: 6 }),
        cuts => {
          const outboard = new Uint8Array(outboardBytes(data.length))
          const builder = new OutboardBuilder(({ run, pairs }) => {
            outboard.set(pairs, runOutboardOffset(run, groupCount(data.length)))
          })
          let at = 0
          for (let i = 0; at < data.length; i++) {
            builder.push(data.subarray(at, at + cuts[i % cuts.length]!))
            at += cuts[i % cuts.length]!
          }
          const { hash, size, top } = builder.finish()
          for (const { offset, bytes } of top) outboard.set(bytes, offset)
          expect(size).toBe(data.length)
          expect(hash.toString()).toBe(whole.hash.toString())
          expect(Buffer.compare(outboard, whole.outboard)).toBe(0)
        }
      ),
      { numRuns: 20 }
    )
  })
})

describe('runs that are hashed by themselves', () => {
  const data = randomData(4 * RUN_BYTES + 20_000)
  const hashedRun = (run: number) => {
    const bytes = data.subarray(run * RUN_BYTES, (run + 1) * RUN_BYTES)
    const hashed = {
      length: bytes.length,
      value: new Uint8Array(32),
      pairs: new Uint8Array(outboardBytes(bytes.length))
    }
    hashRun(bytes, run, false, hashed)
    return hashed
  }

  it.each([0, 1, 2, 3, 4])('make the same blob behind %i MiB that were not', mib => {
    const pairs: Uint8Array[] = []
    const builder = new OutboardBuilder(run => pairs.push(run.pairs.slice()))
    builder.push(data.subarray(0, mib * RUN_BYTES))
    for (let run = mib; run < 5; run++) builder.pushRun(hashedRun(run))
    const { hash, size } = builder.finish()
    expect([hash.toString(), size]).toEqual([hashBytes(data).hash.toString(), data.length])
    expect(pairs.map(({ length }) => length)).toEqual([4032, 4032, 4032, 4032, 64])
  })

  it('are refused where no run begins, and when they are not whole', () => {
    const builder = new OutboardBuilder(() => undefined)
    const first = hashedRun(0)
    expect(() => builder.pushRun({ ...first, pairs: first.pairs.subarray(64) })).toThrow(RangeError)
    expect(() => builder.pushRun({ ...first, value: new Uint8Array(31) })).toThrow(RangeError)
    builder.push(data.subarray(0, 5))
    expect(() => builder.pushRun(first)).toThrow(RangeError)
    const other = new OutboardBuilder(() => undefined)
    other.pushRun(hashedRun(4))
    expect(() => other.pushRun(first)).toThrow(RangeError)
  })
})

describe('the last-chunk rule', () => {
  it('selects what the specification says, for any ranges', () => {
    fc.assert(
      fc.property(sizeAndRanges, ({ size, ranges }) => {
        const selected = selectChunks(ranges, chunkCount(size))
        const set = ChunkRanges.fromBoundaries(selected)
        expect(selected.length % 2).toBe(0)
        expect(
          Array.from({ length: chunkCount(size) + 2 }, (_, i) => i).filter(i => set.contains(i))
        ).toEqual(expectedChunks(size, ranges))
      }),
      { numRuns: 300 }
    )
  })
})

describe('roundToGroups', () => {
  it('is the smallest set of whole groups that holds the ranges', () => {
    fc.assert(
      fc.property(rangesFor(100), ranges => {
        const rounded = roundToGroups(ranges)
        for (let group = 0; group < 8; group++) {
          const chunks = Array.from({ length: 16 }, (_, i) => group * 16 + i)
          const wanted = chunks.some(chunk => ranges.contains(chunk))
          expect(chunks.every(chunk => rounded.contains(chunk) === wanted)).toBe(true)
        }
        expect(rounded.isOpen).toBe(ranges.isOpen || (ranges.boundaries.at(-1) ?? 0n) > 2n ** 64n - 16n)
      })
    )
  })
})

describe('encode', () => {
  it('equals the oracle for random sizes and ranges, whatever the batch size', async () => {
    await fc.assert(
      fc.asyncProperty(
        sizeAndRanges,
        fc.constantFrom(GROUP_BYTES, 65_536, RUN_BYTES),
        async ({ size, ranges }, batchBytes) => {
          const data = randomData(size, size + 1)
          const encoded = await encodeAll(memorySource(data), ranges, { batchBytes })
          expect(Buffer.compare(encoded, encodeOracle(data, ranges))).toBe(0)
        }
      ),
      { numRuns: 150 }
    )
  })

  it('with buffers that are used again leaves a piece alone until three more have come', async () => {
    const source = memorySource(randomData(12 * RUN_BYTES + 5))
    const whole = await encodeAll(source, ChunkRanges.all)
    const kept: { at: number; bytes: Uint8Array }[] = []
    const memories = new Set<ArrayBufferLike>()
    let at = 0
    for await (const bytes of encode(source.hash, source, ChunkRanges.all, { reuseBuffers: true })) {
      kept.push({ at, bytes })
      memories.add(bytes.buffer)
      for (const piece of kept.slice(-4)) {
        expect(Buffer.compare(piece.bytes, whole.subarray(piece.at, piece.at + piece.bytes.length))).toBe(0)
      }
      at += bytes.length
    }
    expect(at).toBe(whole.length)
    expect(memories.size).toBeLessThan(kept.length)
  })

  it('asks before each piece how large it may be, and lets large buffers go when pieces are to be smaller', async () => {
    const source = memorySource(randomData(14 * RUN_BYTES))
    const whole = await encodeAll(source, ChunkRanges.all)
    const pieces: Uint8Array[] = []
    const options = { batchBytes: () => (pieces.length < 7 ? RUN_BYTES : RUN_BYTES / 4), reuseBuffers: true }
    let at = 0
    for await (const bytes of encode(source.hash, source, ChunkRanges.all, options)) {
      expect(Buffer.compare(bytes, whole.subarray(at, at + bytes.length))).toBe(0)
      at += bytes.length
      pieces.push(bytes)
    }
    expect(at).toBe(whole.length)
    expect(pieces[6]!.length).toBeGreaterThan(RUN_BYTES)
    const small = pieces.slice(9)
    expect(small.length).toBeGreaterThan(16)
    expect(small.every(({ buffer }) => buffer.byteLength < RUN_BYTES / 3)).toBe(true)
    expect(new Set(small.map(({ buffer }) => buffer)).size).toBe(5)
  })

  it('waits for its turn before it reads anything, and before it hands out a piece', async () => {
    const source = memorySource(randomData(5 * RUN_BYTES))
    let turns = 0
    const turn = async (): Promise<void> => {
      await new Promise(setImmediate)
      turns++
    }
    let pieces = 0
    const readData = source.readData
    source.readData = async (...args) => {
      expect(turns).toBeGreaterThan(0)
      await readData(...args)
    }
    for await (const _ of encode(source.hash, source, ChunkRanges.all, { turn })) {
      pieces++
      expect(turns).toBe(pieces + 1)
    }
    expect(pieces).toBeGreaterThan(5)
  })

  it('stops at the first chunk that is not held, and says which', async () => {
    const data = randomData(10 * GROUP_BYTES + 100)
    const whole = await encodeAll(memorySource(data), ChunkRanges.all)
    for (const first of [0, 1, 3, 9]) {
      const held = ChunkRanges.all.subtract(ChunkRanges.range(first * 16, (first + 1) * 16))
      const got: Uint8Array[] = []
      const failure = await (async () => {
        const source = memorySource(data, held)
        for await (const piece of encode(source.hash, source, ChunkRanges.all)) got.push(piece)
      })().catch(error => error)
      expect(failure).toBeInstanceOf(MissingChunksError)
      expect(failure.chunk).toBe(first * 16)
      const sent = Buffer.concat(got)
      expect(Buffer.compare(sent, whole.subarray(0, sent.length))).toBe(0)
      const { hash } = hashBytes(data)
      const decoded = decodeAll(hash, data.length, ChunkRanges.all, sent)
      expect(decoded.leaves.reduce((sum, leaf) => sum + leaf.bytes.length, 0)).toBe(first * GROUP_BYTES)
    }
  })

  it('never hands out a wrong byte of a damaged store', async () => {
    const data = randomData(3 * RUN_BYTES + 77)
    const whole = await encodeAll(memorySource(data), ChunkRanges.all)
    await fc.assert(
      fc.asyncProperty(fc.nat(data.length - 1), fc.nat(7), fc.boolean(), async (at, bit, inOutboard) => {
        const damaged = Uint8Array.from(data)
        const source = memorySource(data)
        const { outboard } = hashBytes(data)
        const target = inOutboard ? outboard : damaged
        target[at % target.length]! ^= 1 << bit
        const fill = (from: Uint8Array) => async (offset: number, into: Uint8Array) => {
          into.set(from.subarray(offset, offset + into.length))
        }
        const got: Uint8Array[] = []
        const failure = await (async () => {
          const stored = { size: data.length, readData: fill(damaged), readOutboard: fill(outboard) }
          for await (const piece of encode(source.hash, stored, ChunkRanges.all)) got.push(piece)
        })().catch(error => error)
        expect(failure).toBeInstanceOf(CorruptSourceError)
        const sent = Buffer.concat(got)
        expect(Buffer.compare(sent, whole.subarray(0, sent.length))).toBe(0)
      }),
      { numRuns: 25 }
    )
  })
})

describe('decode', () => {
  it('gives back the chosen chunks and their outboard, however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        sizeAndRanges,
        fc.constantFrom(1, 63, 1000, 70_000, Infinity),
        async ({ size, ranges }, step) => {
          const data = randomData(size, 7)
          const source = memorySource(data)
          const encoded = await encodeAll(source, ranges)
          const decoded = decodeAll(source.hash, size, ranges, encoded, step)
          expect(decoded.error).toBeUndefined()
          expect(decoded.isDone).toBe(true)
          expect(decoded.consumed).toBe(encoded.length)
          const chunks: number[] = []
          for (const { offset, bytes } of decoded.leaves) {
            expect(Buffer.compare(bytes, data.subarray(offset, offset + bytes.length))).toBe(0)
            for (let at = offset; at < Math.max(offset + 1, offset + bytes.length); at += CHUNK_BYTES)
              chunks.push(at / CHUNK_BYTES)
          }
          expect(chunks).toEqual(expectedChunks(size, ranges))
          const { outboard } = hashBytes(data)
          for (const { offset, bytes } of decoded.parents) {
            expect(Buffer.compare(bytes, outboard.subarray(offset, offset + bytes.length))).toBe(0)
          }
          if (ranges.isAll)
            expect(decoded.parents.reduce((sum, run) => sum + run.bytes.length, 0)).toBe(outboard.length)
        }
      ),
      { numRuns: 120 }
    )
  })

  it('handles 64-bit chunk numbers beyond 2^32 in its jobs', () => {
    // A claimed size of 2^53 - 1: the walk goes down to the last chunk, and the first pair is wrong.
    const decoded = decodeAll(
      hashBytes(new Uint8Array(5)).hash,
      Number.MAX_SAFE_INTEGER,
      ChunkRanges.last,
      new Uint8Array(8192)
    )
    expect(decoded.leaves).toEqual([])
    expect(decoded.error?.node).toBe('parent')
  })

  /** What a decoder hands out of `encoded` must be a prefix of the honest leaves, and it must never finish. */
  function expectRejected(
    hash: Hash,
    data: Uint8Array,
    ranges: ChunkRanges,
    encoded: Uint8Array,
    wrongFrom: number
  ): void {
    const decoded = decodeAll(hash, data.length, ranges, encoded)
    for (const { offset, bytes } of decoded.leaves) {
      expect(Buffer.compare(bytes, data.subarray(offset, offset + bytes.length))).toBe(0)
    }
    expect(decoded.isDone && decoded.error === undefined).toBe(false)
    expect(decoded.consumed).toBeLessThanOrEqual(wrongFrom)
  }

  it.each([
    [1, ChunkRanges.all],
    [1025, ChunkRanges.all],
    [2100, ChunkRanges.range(1)],
    [5 * 1024, ChunkRanges.fromBoundaries([1, 2, 4])]
  ])(
    'rejects every single-bit flip and every truncation of a small encoding (%i bytes, chunks %s)',
    async (size, ranges) => {
      const data = randomData(size, 3)
      const { hash } = hashBytes(data)
      const encoded = await encodeAll(memorySource(data), ranges)
      for (let at = 0; at < encoded.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const flipped = Uint8Array.from(encoded)
          flipped[at]! ^= 1 << bit
          expectRejected(hash, data, ranges, flipped, at)
        }
        expectRejected(hash, data, ranges, encoded.subarray(0, at), at)
      }
    }
  )

  it('rejects sampled flips and truncations of larger encodings', async () => {
    const data = randomData(2 * RUN_BYTES + 40_000, 9)
    const { hash } = hashBytes(data)
    const ranges = ChunkRanges.fromBoundaries([3, 70, 1000, 1001, 2000])
    const encoded = await encodeAll(memorySource(data), ranges)
    fc.assert(
      fc.property(fc.nat(encoded.length - 1), fc.nat(7), (at, bit) => {
        const flipped = Uint8Array.from(encoded)
        flipped[at]! ^= 1 << bit
        expectRejected(hash, data, ranges, flipped, at)
        expectRejected(hash, data, ranges, encoded.subarray(0, at), at)
      }),
      { numRuns: 60 }
    )
  })

  it("rejects a size that is not the blob's", async () => {
    const data = randomData(4 * GROUP_BYTES)
    const source = memorySource(data)
    const encoded = await encodeAll(source, ChunkRanges.all)
    for (const size of [0, 1, data.length - 1, data.length + 1, 2 * data.length, Number.MAX_SAFE_INTEGER]) {
      const decoded = decodeAll(source.hash, size, ChunkRanges.all, encoded)
      expect(decoded.isDone && decoded.error === undefined).toBe(false)
    }
  })
})
