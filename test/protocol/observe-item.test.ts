import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import { MAX_OBSERVE_ITEM_BYTES } from '../../src/protocol/constants.ts'
import {
  encodeObserveItem,
  isSizeProven,
  MalformedObserveItemError,
  type ObserveItem,
  tryDecodeObserveItem
} from '../../src/protocol/observe-item.ts'
import {
  arbitraryDamage,
  arbitraryRanges,
  fromHex,
  rangesOf,
  readsOrThrows,
  toHex,
  vectors
} from './support.ts'

const { observeItems } = vectors<{
  observeItems: { name: string; size: number; boundaries: string[]; framed: string }[]
}>('requests-0.9x-derived.json')

/** Items as they are after the way over the wire: the last chunk without an end. */
const arbitraryItem = fc
  .record({ size: fc.oneof(fc.nat(50_000), fc.maxSafeNat()), ranges: arbitraryRanges })
  .map(({ size, ranges }) => {
    const lastChunk = Math.max(0, Math.ceil(size / 1024) - 1)
    return { size, ranges: ranges.contains(lastChunk) ? ranges.union(ChunkRanges.range(lastChunk)) : ranges }
  })

describe('golden items', () => {
  test.each(observeItems)('$name', ({ size, boundaries, framed }) => {
    const item = { size, ranges: rangesOf(boundaries) }
    expect(toHex(encodeObserveItem(item))).toBe(framed)
    expect(tryDecodeObserveItem(fromHex(framed))).toEqual({ item, length: framed.length / 2 })
  })
})

test('boundaries are absolute, unlike in requests', () => {
  const item = { size: 100_000, ranges: ChunkRanges.fromBoundaries([2, 4, 9, 12]) }
  expect(toHex(encodeObserveItem(item))).toBe('08a08d0604 02 04 09 0c'.replaceAll(' ', ''))
})

test('items one behind the other come back, also when their bytes come one at a time', () => {
  fc.assert(
    fc.property(fc.array(arbitraryItem, { maxLength: 3 }), items => {
      const stream = Buffer.concat(items.map(encodeObserveItem))
      const seen: ObserveItem[] = []
      let offset = 0
      for (let arrived = 0; arrived <= stream.length; arrived++) {
        const decoded = tryDecodeObserveItem(stream.subarray(0, arrived), offset)
        if (decoded) {
          seen.push(decoded.item)
          offset += decoded.length
        }
      }
      expect(seen).toEqual(items)
      expect(offset).toBe(stream.length)
    })
  )
})

test.each([
  [100_000, ChunkRanges.range(0, 98), '0..'],
  [100_000, ChunkRanges.range(0, 97), '0..97'],
  [100_000, ChunkRanges.fromBoundaries([1, 2, 97, 98]), '1..2,97..'],
  [100_000, ChunkRanges.range(90, 120), '90..'],
  [100_000, ChunkRanges.range(98, 120), '98..120'],
  [98 * 1024, ChunkRanges.range(97, 98), '97..'],
  [0, ChunkRanges.range(0, 1), '0..'],
  [0, ChunkRanges.empty, '']
])('of %i bytes, chunks %s are told as %s', (size, ranges, told) => {
  const { item } = tryDecodeObserveItem(encodeObserveItem({ size, ranges }))!
  expect(item.ranges.toString()).toBe(told)
  expect(isSizeProven(item)).toBe(isSizeProven({ size, ranges }))
  expect(isSizeProven(item)).toBe(told !== '' && item.ranges.isOpen)
})

test('a state too large for one item is told in several, which add up to it', () => {
  const boundaries = Array.from({ length: 300_000 }, (_, i) => 2 ** 50 + 2 * i)
  const item = { size: Number.MAX_SAFE_INTEGER, ranges: ChunkRanges.fromBoundaries(boundaries) }
  const bytes = encodeObserveItem(item)
  let sum = ChunkRanges.empty
  let count = 0
  for (let offset = 0; offset < bytes.length; count++) {
    const decoded = tryDecodeObserveItem(bytes, offset)!
    expect(decoded.length).toBeLessThanOrEqual(MAX_OBSERVE_ITEM_BYTES + 4)
    expect(decoded.item.size).toBe(item.size)
    sum = sum.union(decoded.item.ranges)
    offset += decoded.length
  }
  expect(count).toBeGreaterThan(1)
  expect(sum.equals(item.ranges)).toBe(true)
})

test.each([
  ['cut off by its own length', '04 a08d06 02 00', 'too many for the 0 bytes'],
  ['boundaries that do not ascend', '04 10 02 05 05', 'boundary 1 is 5'],
  ['an impossible count', '0a 10 ffffffffffffffff7f', 'number of boundaries is'],
  ['too long', '818040', 'largest allowed is 1048576'],
  ['a size above 2^53-1', '0b ffffffffffffffffff01 00', 'size of the blob'],
  ['no content', '00', 'ends within size of the blob']
])('an item is refused: %s', (_, hex, message) => {
  expect(() => tryDecodeObserveItem(fromHex(hex))).toThrow(MalformedObserveItemError)
  expect(() => tryDecodeObserveItem(fromHex(hex))).toThrow(message)
})

test('positions count from the start of the bytes given', () => {
  expect(() => tryDecodeObserveItem(fromHex('020000 04 10 02 05 80'), 3)).toThrow('(at byte 7)')
})

test('sizes that are none are not sent', () => {
  for (const size of [-1, 0.5, 2 ** 53]) {
    expect(() => encodeObserveItem({ size, ranges: ChunkRanges.empty })).toThrow(RangeError)
  }
})

test('whatever comes is an item, too short, or malformed', () => {
  fc.assert(
    fc.property(arbitraryDamage(arbitraryItem.map(encodeObserveItem)), bytes => {
      const decoded = readsOrThrows(() => tryDecodeObserveItem(bytes), MalformedObserveItemError)
      if (decoded) {
        expect(decoded.length).toBeLessThanOrEqual(bytes.length)
      }
    }),
    { numRuns: 2000 }
  )
})
