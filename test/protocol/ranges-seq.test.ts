import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChunkRanges, MAX_CHUNK } from '../../src/bao/ranges.ts'
import { MalformedError, Reader, TruncatedError, Writer } from '../../src/protocol/postcard.ts'
import { readRanges, writeRanges } from '../../src/protocol/ranges-codec.ts'
import {
  decodeRangesSeq,
  encodeRangesSeq,
  InvalidRangesSeqError,
  RangesSeq
} from '../../src/protocol/ranges-seq.ts'
import { arbitraryDamage, arbitraryRanges, arbitrarySeq, fromHex, readsOrThrows, toHex } from './support.ts'

function encodeRanges(ranges: ChunkRanges): Uint8Array {
  const writer = new Writer()
  writeRanges(writer, ranges)
  return writer.finish()
}

const { all, empty, last } = ChunkRanges
const firstChunk = ChunkRanges.range(0, 1)

describe('ranges', () => {
  test.each<[string, ChunkRanges, string]>([
    ['nothing', empty, '00'],
    ['everything', all, '0100'],
    ['the first chunk', firstChunk, '020001'],
    ['the last chunk', last, '01 ffffffffffffffffff01'],
    ['two ranges', ChunkRanges.fromBoundaries([1, 3, 9, 13]), '04 01 02 06 04'],
    ['an open end', ChunkRanges.range(10000), '01 904e'],
    ['all but the first', ChunkRanges.range(1), '0101']
  ])('%s', (_, ranges, hex) => {
    expect(toHex(encodeRanges(ranges))).toBe(hex.replaceAll(' ', ''))
    expect(readRanges(new Reader(fromHex(hex)))).toEqual(ranges)
  })

  test.each([
    ['03 05 00 03', '8..'],
    ['04 02 03 00 04', '2..9'],
    ['02 00 00', ''],
    ['03 00 00 00', '0..'],
    ['02 8500 8100', '5..6'],
    ['8100 00', '0..'],
    ['05 01 01 00 00 01', '1..2,3..'],
    ['06 00 00 00 00 00 00', '']
  ])('spelt %s they are %s', (hex, text) => {
    const ranges = readRanges(new Reader(fromHex(hex)))
    expect(ranges.toString()).toBe(text)
    expect(ranges).toEqual(ChunkRanges.fromBoundaries(ranges.boundaries))
  })

  test('widths of zero mean what single chunks, switched one by one, say they mean', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { maxLength: 12 }), widths => {
        const writer = new Writer()
        writer.varint(widths.length)
        for (const width of widths) writer.varint(width)
        const ranges = readRanges(new Reader(writer.finish()))

        const model: boolean[] = []
        for (const [i, width] of widths.entries()) {
          for (let n = 0; n < width; n++) model.push(i % 2 === 1)
        }
        while (model.length < 40) model.push(widths.length % 2 === 1)
        expect(model.map((_, chunk) => ranges.contains(chunk))).toEqual(model)
      })
    )
  })

  test('a sum above 2^64-1 is refused where it happens', () => {
    const hex = `02 ffffffffffffffffff01 01`
    expect(() => readRanges(new Reader(fromHex(hex)))).toThrow('more than 2^64-1 (at byte 11)')
    expect(readRanges(new Reader(fromHex('02 feffffffffffffffff01 01'))).boundaries).toEqual([
      MAX_CHUNK - 1n,
      MAX_CHUNK
    ])
  })

  test('a huge count without the bytes for it is refused at once', () => {
    expect(() => readRanges(new Reader(fromHex('808080808080808010 00')))).toThrow(MalformedError)
    expect(() => readRanges(new Reader(fromHex('ffffffffffffffffff01 00')))).toThrow(MalformedError)
    expect(() => readRanges(new Reader(fromHex('02 00')))).toThrow(TruncatedError)
  })
})

describe('ranges sequence on the wire', () => {
  test.each<[string, RangesSeq, string]>([
    ['one whole blob', RangesSeq.blob(all), '02 00 01 00 01 00'],
    ['root and all children', RangesSeq.all, '01 00 01 00'],
    [
      'disjoint ranges of a blob',
      RangesSeq.blob(ChunkRanges.fromBoundaries([0, 1, 3, 5, 14, 33, 50, 51])),
      '02 00 08 00 01 02 02 09 13 11 01 01 00'
    ],
    ['the size of a blob', RangesSeq.verifiedSize, '02 00 01 ffffffffffffffffff01 01 00'],
    ['root and child 3', RangesSeq.fromList([all, empty, empty, all]), '04 00 01 00 01 00 02 01 00 01 00'],
    ['root, first chunk of every child', RangesSeq.fromList([all], firstChunk), '02 00 01 00 01 02 00 01'],
    ['children from 3 on', RangesSeq.fromEntries([{ from: 3, ranges: all }]), '01 03 01 00'],
    ['nothing', RangesSeq.empty, '00'],
    ['resumed blob', RangesSeq.blob(ChunkRanges.range(480)), '02 00 01 e003 01 00'],
    [
      'children 2 and 3',
      RangesSeq.fromEntries([
        { from: 2, ranges: all },
        { from: 4, ranges: empty }
      ]),
      '02 02 01 00 02 00'
    ]
  ])('%s', (_, seq, hex) => {
    expect(toHex(encodeRangesSeq(seq))).toBe(hex.replaceAll(' ', ''))
    expect(decodeRangesSeq(fromHex(hex))).toEqual(seq)
  })

  test.each<[string, string, RangesSeq]>([
    ['a step of zero replaces the entry before', '03 00 01 00 00 02 00 01 01 00', RangesSeq.blob(firstChunk)],
    ['a step of zero can leave two equal neighbours', '03 00 01 00 01 00 00 01 00', RangesSeq.all],
    ['equal neighbours are one', '02 00 01 00 05 01 00', RangesSeq.all],
    ['nothing of the root, said at length', '01 00 00', RangesSeq.empty],
    ['nothing twice', '02 00 00 01 00', RangesSeq.empty],
    ['numbers longer than need be', '8100 8000 8100 8000', RangesSeq.all],
    ['bytes behind it', '01 00 01 00 ff ff', RangesSeq.all],
    ['empty ranges spelt with widths of zero', '01 00 02 00 00', RangesSeq.empty]
  ])('%s', (_, hex, seq) => {
    expect(decodeRangesSeq(fromHex(hex))).toEqual(seq)
  })

  test('what cannot be is refused', () => {
    expect(() => decodeRangesSeq(fromHex(''))).toThrow(TruncatedError)
    expect(() => decodeRangesSeq(fromHex('02 00 01 00'))).toThrow(MalformedError)
    expect(() => decodeRangesSeq(fromHex('808080808080808010 00 00'))).toThrow(MalformedError)
    expect(() => decodeRangesSeq(fromHex('02 ffffffffffffff0f 01 00 01 00'))).toThrow('above 2^53-1')
    expect(() => decodeRangesSeq(fromHex('01 ffffffffffffffffff01 01 00'))).toThrow('largest allowed')
  })

  test('any sequence comes back from its bytes, which are as short as can be', () => {
    fc.assert(
      fc.property(arbitrarySeq, seq => {
        const bytes = encodeRangesSeq(seq)
        const back = decodeRangesSeq(bytes)
        expect(back).toEqual(seq)
        expect(back.equals(seq)).toBe(true)
        expect(encodeRangesSeq(back)).toEqual(bytes)
      })
    )
  })

  test('whatever is read is written canonically and stays the same', () => {
    fc.assert(
      fc.property(arbitraryDamage(arbitrarySeq.map(encodeRangesSeq)), bytes => {
        const seq = readsOrThrows(() => decodeRangesSeq(bytes), MalformedError)
        if (seq) {
          const again = encodeRangesSeq(seq)
          expect(again.length).toBeLessThanOrEqual(bytes.length)
          expect(decodeRangesSeq(again)).toEqual(seq)
        }
      }),
      { numRuns: 2000 }
    )
  })

  test('as many entries or boundaries as a request may have are read, and one more is not', () => {
    const of = (bytes: number[], rest: number, fill: number): Uint8Array =>
      Uint8Array.from([...bytes, ...new Array<number>(rest).fill(fill)])
    // 131072 entries of two bytes: step 0, no ranges.
    expect(decodeRangesSeq(of([0x80, 0x80, 0x08], 2 * 131_072, 0)).isEmpty).toBe(true)
    expect(() => decodeRangesSeq(of([0x81, 0x80, 0x08], 2 * 131_073, 0))).toThrow('more than 131072 numbers')
    // One entry with the other 131071 as boundaries.
    const most = decodeRangesSeq(of([1, 0, 0xff, 0xff, 0x07], 131_071, 1))
    expect(most.at(0).boundaries.length).toBe(131_071)
    expect(most.numbers).toBe(131_072)
    expect(() => decodeRangesSeq(of([1, 0, 0x80, 0x80, 0x08], 131_072, 1))).toThrow(
      'more than 131072 numbers'
    )
  })
})

describe('ranges sequence', () => {
  /** Plain list of what holds at the first indices. */
  const listed = fc.tuple(fc.array(arbitraryRanges, { maxLength: 8 }), arbitraryRanges)

  test('is at each index what its list says', () => {
    fc.assert(
      fc.property(listed, ([list, rest]) => {
        const seq = RangesSeq.fromList(list, rest)
        for (let index = 0; index < list.length + 3; index++) {
          expect(seq.at(index)).toEqual(list[index] ?? rest)
        }
        expect(seq.isOpen).toBe(!rest.isEmpty)
        const wanted = list.findLastIndex(ranges => !ranges.isEmpty)
        expect(seq.end).toBe(rest.isEmpty ? wanted + 1 : undefined)
        expect(seq.isEmpty).toBe(rest.isEmpty && wanted === -1)
        expect(seq.isBlobOnly).toBe(rest.isEmpty && wanted === 0)
      })
    )
  })

  test('iterates over stretches that together are what is wanted', () => {
    fc.assert(
      fc.property(listed, ([list, rest]) => {
        const seq = RangesSeq.fromList(list, rest)
        const seen = Array.from({ length: list.length + 3 }, () => empty)
        for (const [from, to, ranges] of seq) {
          expect(ranges.isEmpty).toBe(false)
          seen.fill(ranges, from, to)
        }
        expect(seen).toEqual(Array.from(seen, (_, index) => seq.at(index)))
      })
    )
  })

  test('is blob-only in exactly one form', () => {
    expect(RangesSeq.blob(firstChunk).isBlobOnly).toBe(true)
    expect(RangesSeq.blob(empty).isBlobOnly).toBe(false)
    expect(RangesSeq.all.isBlobOnly).toBe(false)
    expect(RangesSeq.fromList([all, all]).isBlobOnly).toBe(false)
    expect(RangesSeq.fromList([all, firstChunk]).isBlobOnly).toBe(false)
    expect(RangesSeq.fromList([empty, all]).isBlobOnly).toBe(false)
  })

  test('differs from others', () => {
    fc.assert(
      fc.property(arbitrarySeq, arbitrarySeq, (a, b) => {
        expect(a.equals(b)).toBe(toHex(encodeRangesSeq(a)) === toHex(encodeRangesSeq(b)))
      })
    )
  })

  test('refuses indices that do not ascend or are no indices', () => {
    for (const indices of [[1, 1], [2, 1], [-1], [0.5], [2 ** 53], [Number.NaN]]) {
      const entries = indices.map(from => ({ from, ranges: all }))
      expect(() => RangesSeq.fromEntries(entries)).toThrow(InvalidRangesSeqError)
    }
  })

  test('can be read by people', () => {
    const seq = RangesSeq.fromList([all, firstChunk, firstChunk, empty], last)
    expect(seq.toString()).toBe(`0: 0..; 1-2: 0..1; 4-: ${MAX_CHUNK}..`)
  })
})
