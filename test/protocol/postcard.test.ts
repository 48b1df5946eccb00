import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MalformedError, Reader, TruncatedError, Writer } from '../../src/protocol/postcard.ts'
import { MAX_U64, varintLength } from '../../src/protocol/varint.ts'
import { fromHex, toHex } from './support.ts'

function write(value: bigint | number): Uint8Array {
  const writer = new Writer()
  writer.varint(value)
  return writer.finish()
}

/** The definition, as plainly as it can be put. */
function leb128(value: bigint): number[] {
  return value < 128n ? [Number(value)] : [Number(value % 128n) + 128, ...leb128(value / 128n)]
}

describe('varint', () => {
  test.each<[bigint, string]>([
    [0n, '00'],
    [127n, '7f'],
    [128n, '8001'],
    [10000n, '904e'],
    [100000n, 'a08d06'],
    [2n ** 49n - 1n, 'ffffffffffff7f'],
    [2n ** 49n, '8080808080808001'],
    [BigInt(Number.MAX_SAFE_INTEGER), 'ffffffffffffff0f'],
    [MAX_U64, 'ffffffffffffffffff01']
  ])('%s is %s', (value, hex) => {
    expect(toHex(write(value))).toBe(hex)
    expect(new Reader(fromHex(hex)).u64('it')).toBe(value)
    expect(varintLength(value)).toBe(hex.length / 2)
  })

  test('any number comes back, from the bytes the definition gives', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, MAX_U64), value => {
        expect(Array.from(write(value))).toEqual(leb128(value))
        expect(new Reader(write(value)).u64('it')).toBe(value)
      })
    )
  })

  test.each([
    ['8200', 2n],
    ['80808080808080808000', 0n],
    ['ffffffffffffffffff01', MAX_U64],
    ['ff80808080808000', 127n]
  ])('%s, longer than need be, is %s', (hex, value) => {
    const reader = new Reader(fromHex(`${hex}55`))
    expect(reader.u64('it')).toBe(value)
    expect(reader.remaining).toBe(1)
  })

  test.each(['ffffffffffffffffff02', 'ffffffffffffffffff81', '8080808080808080808000'])(
    '%s does not fit 64 bits',
    hex => {
      expect(() => new Reader(fromHex(hex)).u64('the width')).toThrow(
        'the width does not fit 64 bits (at byte 0)'
      )
    }
  )

  test.each(['', '80', 'ffffffffffffffffff'])('"%s" ends too early', hex => {
    expect(() => new Reader(fromHex(hex)).u64('it')).toThrow(TruncatedError)
  })

  test('numbers that do not exist are not written', () => {
    expect(() => write(-1)).toThrow(RangeError)
    expect(() => write(MAX_U64 + 1n)).toThrow(RangeError)
    expect(() => write(0.5)).toThrow(RangeError)
  })

  test('a number above the limit is named with its place', () => {
    const reader = new Reader(fromHex('00ffffffffffffffffff01'))
    reader.byte('the type')
    expect(() => reader.uint('the size')).toThrow(
      `the size is ${MAX_U64}, the largest allowed is ${Number.MAX_SAFE_INTEGER} (at byte 1)`
    )
  })
})

describe('strings', () => {
  test('any text comes back, byte order marks too', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const writer = new Writer()
        writer.string(text)
        expect(new Reader(writer.finish()).string('it')).toBe(text)
      })
    )
    const writer = new Writer()
    writer.string('\ufeffa')
    expect(new Reader(writer.finish()).string('it')).toBe('\ufeffa')
  })

  test('half a surrogate pair is not written as something else', () => {
    expect(() => new Writer().string('a\ud800')).toThrow(RangeError)
  })

  test('bytes that are not UTF-8 are refused, with their place', () => {
    const reader = new Reader(fromHex('02c328'))
    expect(() => reader.string('a name')).toThrow(MalformedError)
    expect(() => new Reader(fromHex('02c328')).string('a name')).toThrow('a name is not UTF-8 (at byte 1)')
  })
})

test('a writer grows with what is written', () => {
  const writer = new Writer()
  for (let i = 0; i < 1000; i++) {
    writer.byte(i & 255)
    writer.raw(Uint8Array.of(1, 2, 3))
  }
  const bytes = writer.finish()
  expect(bytes.length).toBe(4000)
  expect(Array.from(bytes.subarray(3996))).toEqual([999 & 255, 1, 2, 3])
})
