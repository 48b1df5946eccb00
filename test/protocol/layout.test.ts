/** Where what arrives is put, as its sink sees it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isAligned } from '../../src/bao/aligned-buffer.ts'
import type { Piece, Verified } from '../../src/bao/decoder.ts'
import { ChunkRanges, chunkCount, GROUP_BYTES, HashMismatchError } from '../../src/bao/index.ts'
import { RangesSeq } from '../../src/protocol/ranges-seq.ts'
import { type BlobSink, receive } from '../../src/protocol/receive.ts'
import { keepGroups } from '../../src/store/kept-groups.ts'
import { decodeAll, encodeAll, memorySource } from '../helpers/bao.ts'
import { randomData } from '../helpers/data.ts'

const MIB = 1024 * 1024

/** Keeps what it is given, as it was given. */
class Recorder {
  readonly writes: Verified[] = []
  readonly leaves: Piece[] = []
  readonly parents: Piece[] = []

  readonly sink = {
    open: async (): Promise<BlobSink> => ({
      write: async verified => {
        this.writes.push(verified)
        const copied = ({ offset, bytes }: Piece): Piece => ({ offset, bytes: Uint8Array.from(bytes) })
        this.leaves.push(...verified.leaves.map(copied))
        this.parents.push(...verified.parents.map(copied))
      },
      close: async () => undefined
    }),
    links: () => Promise.reject(new Error('no children here'))
  }
}

/** A response with the size in front, in pieces of the sizes given, in turn. */
async function* response(size: number, encoded: Uint8Array, cuts: readonly number[]) {
  const head = new Uint8Array(8)
  new DataView(head.buffer).setBigUint64(0, BigInt(size), true)
  const all = Buffer.concat([head, encoded])
  let i = 0
  for (let at = 0; at < all.length; ) {
    const length = cuts[i++ % cuts.length]!
    yield Uint8Array.from(all.subarray(at, at + length))
    at += length
  }
}

/** Pieces, put together where they follow each other: where they begin and end, and all bytes. */
function joined(pieces: readonly Piece[]): { readonly places: number[]; readonly bytes: Buffer } {
  const places: number[] = []
  for (const { offset, bytes } of pieces) {
    if (places.at(-1) === offset) places.pop()
    else places.push(offset)
    places.push(offset + bytes.length)
  }
  return { places, bytes: Buffer.concat(pieces.map(({ bytes }) => bytes)) }
}

function expectSame(found: readonly Piece[], wanted: readonly Piece[]): void {
  expect(joined(found).places).toEqual(joined(wanted).places)
  expect(Buffer.compare(joined(found).bytes, joined(wanted).bytes)).toBe(0)
}

describe('what arrives', () => {
  it('is handed on a MiB at a time, as one piece that can be written past the cache', async () => {
    const data = randomData(3 * MIB + 40_000, 3)
    const source = memorySource(data)
    // It begins amid a MiB.
    const ranges = ChunkRanges.range(160)
    const encoded = await encodeAll(source, ranges)
    const recorder = new Recorder()
    const request = { type: 'get', hash: source.hash, ranges: RangesSeq.blob(ranges) } as const
    await Array.fromAsync(receive(request, response(data.length, encoded, [16_384]), recorder.sink))
    const pieces = recorder.writes.map(({ leaves }) =>
      leaves.map(({ offset, bytes }) => [offset, bytes.length])
    )
    expect(pieces).toEqual([
      [[160 * 1024, MIB - 160 * 1024]],
      [[MIB, MIB]],
      [[2 * MIB, MIB]],
      [[3 * MIB, 40_000]]
    ])
    for (const { leaves } of recorder.writes) expect(isAligned(leaves[0]!.bytes, 4096)).toBe(true)
    for (const { parents } of recorder.writes.slice(1)) expect(parents.length).toBeLessThanOrEqual(1)
    expect(
      Buffer.compare(Buffer.concat(recorder.leaves.map(({ bytes }) => bytes)), data.subarray(160 * 1024))
    ).toBe(0)
  })

  it('is what was sent, up to where it stops or turns wrong, whatever was asked for and however it is cut', async () => {
    const data = randomData(MIB + 300_000, 7)
    const source = memorySource(data)
    const chunks = chunkCount(data.length)
    const ranges = fc
      .uniqueArray(
        fc.oneof(
          fc.nat(chunks),
          fc.nat(Math.floor(chunks / 16)).map(group => group * 16)
        ),
        {
          minLength: 1,
          maxLength: 40
        }
      )
      .map(boundaries => ChunkRanges.fromBoundaries(boundaries.toSorted((a, b) => a - b)))
    const cuts = fc.array(fc.integer({ min: 500, max: 100_000 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(
        ranges,
        cuts,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.boolean(),
        async (wanted, sizes, part, isCut) => {
          const encoded = await encodeAll(source, wanted)
          const at = Math.floor(part * encoded.length)
          const sent = isCut ? encoded.subarray(0, at) : Uint8Array.from(encoded)
          if (!isCut && at < sent.length) sent[at]! ^= 1
          const recorder = new Recorder()
          const request = { type: 'get', hash: source.hash, ranges: RangesSeq.blob(wanted) } as const
          const failure = await Array.fromAsync(
            receive(request, response(data.length, sent, sizes), recorder.sink)
          ).then(
            () => undefined,
            error => error
          )
          const right = decodeAll(source.hash, data.length, wanted, sent)
          expect(failure === undefined).toBe(right.isDone && right.error === undefined)
          if (right.error !== undefined) {
            expect(failure).toBeInstanceOf(HashMismatchError)
            expect(failure.chunk).toBe(right.error.chunk)
          }
          expectSame(recorder.leaves, right.leaves)
          expectSame(recorder.parents, right.parents)
          const kept = keepGroups(recorder.leaves, data.length).ranges
          expect(kept.boundaries).toEqual(keepGroups(right.leaves, data.length).ranges.boundaries)
        }
      ),
      { numRuns: 50 }
    )
  })

  it('is put together when it is cut amid a node, also a parent', async () => {
    const data = randomData(200_000, 4)
    const source = memorySource(data)
    const encoded = await encodeAll(source, ChunkRanges.all)
    const request = { type: 'get', hash: source.hash, ranges: RangesSeq.blob(ChunkRanges.all) } as const
    // The parents before the first group, and a little more: somebody waits, so they are checked as they come.
    for (let cut = 9; cut < 300; cut += 15) {
      const recorder = new Recorder()
      const arriving = response(data.length, encoded, [cut, GROUP_BYTES])
      await Array.fromAsync(receive(request, arriving, recorder.sink, { isAwaited: true }))
      expect(Buffer.compare(joined(recorder.leaves).bytes, data)).toBe(0)
    }
  })

  it('of blobs behind one another begins in each at a round address, but for small ones', async () => {
    const blobs = [5_000, 40_000, 7, 3 * GROUP_BYTES].map((size, i) => memorySource(randomData(size, i)))
    const recorder = new Recorder()
    const request = {
      type: 'get_many',
      hashes: blobs.map(({ hash }) => hash),
      ranges: RangesSeq.fromList(blobs.map(() => ChunkRanges.all))
    } as const
    const sent = await Promise.all(
      blobs.map(async source =>
        Buffer.concat(
          await Array.fromAsync(response(source.size, await encodeAll(source, ChunkRanges.all), [1000]))
        )
      )
    )
    const all = async function* () {
      yield Buffer.concat(sent)
    }
    await Array.fromAsync(receive(request, all(), recorder.sink))
    expect(recorder.writes.map(({ leaves }) => leaves.map(({ bytes }) => bytes.length))).toEqual([
      [5_000],
      [40_000],
      [7],
      [3 * GROUP_BYTES]
    ])
    expect(recorder.writes[1]!.leaves[0]!.bytes.byteOffset % 4096).toBe(0)
    expect(recorder.writes[3]!.leaves[0]!.bytes.byteOffset % 4096).toBe(0)
  })
})
