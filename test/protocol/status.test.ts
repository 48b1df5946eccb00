import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  encodeStatus,
  MalformedStatusError,
  type Status,
  tryDecodeStatus,
  UnknownStatusError
} from '../../src/protocol/status.ts'
import { arbitraryDamage, fromHex, readsOrThrows, toHex } from './support.ts'

const message = fc.option(fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }), { nil: undefined })

const arbitraryStatus: fc.Arbitrary<Status> = fc.oneof(
  fc.constant<Status>({ type: 'ok' }),
  fc
    .record({ retryAfterMs: fc.nat(0xffff_ffff), text: message })
    .map(
      ({ retryAfterMs, text }): Status => ({ type: 'busy', retryAfterMs, ...(text && { message: text }) })
    ),
  fc
    .record({
      type: fc.constantFrom('not_found', 'permission_denied', 'bad_request', 'internal'),
      text: message
    })
    .map(({ type, text }): Status => ({ type, ...(text && { message: text }) }))
)

test.each<[Status, string]>([
  [{ type: 'ok' }, '00'],
  [{ type: 'not_found' }, '01'],
  [{ type: 'permission_denied', message: 'no' }, '02 02 6e6f'],
  [{ type: 'busy', retryAfterMs: 1500 }, '03 dc050000'],
  [{ type: 'busy', retryAfterMs: 0xffffffff, message: 'é' }, '03 ffffffff 02 c3a9'],
  [{ type: 'bad_request' }, '04'],
  [{ type: 'internal' }, '05']
])('%o', (status, hex) => {
  expect(toHex(encodeStatus(status))).toBe(hex.replaceAll(' ', ''))
  expect(tryDecodeStatus(fromHex(hex), true)).toEqual({ status, length: fromHex(hex).length })
})

test('after ok the response follows at once', () => {
  expect(tryDecodeStatus(fromHex('00 0400'), false)).toEqual({ status: { type: 'ok' }, length: 1 })
})

test('any status comes back; while it is incomplete, more is asked for', () => {
  fc.assert(
    fc.property(arbitraryStatus, status => {
      const bytes = encodeStatus(status)
      expect(tryDecodeStatus(bytes, true)).toEqual({ status, length: bytes.length })
      const hasMessage = status.type !== 'ok' && status.message !== undefined
      expect(tryDecodeStatus(bytes, false)).toEqual(
        hasMessage || status.type === 'ok' ? { status, length: bytes.length } : undefined
      )
      for (let length = 0; length < bytes.length; length++) {
        expect(tryDecodeStatus(bytes.subarray(0, length), false)).toBe(undefined)
      }
    })
  )
})

test('a message of no bytes is no message', () => {
  expect(tryDecodeStatus(fromHex('01 00'), false)).toEqual({ status: { type: 'not_found' }, length: 2 })
  expect(toHex(encodeStatus({ type: 'not_found', message: '' }))).toBe('01')
})

test('a long message is cut between two characters', () => {
  const bytes = encodeStatus({ type: 'internal', message: `x${'é'.repeat(1000)}` })
  expect(tryDecodeStatus(bytes, true)?.status).toEqual({
    type: 'internal',
    message: `x${'é'.repeat(511)}`
  })
})

test('a status without a meaning is an error of its own', () => {
  expect(() => tryDecodeStatus(fromHex('06'), false)).toThrow(UnknownStatusError)
  expect(() => tryDecodeStatus(fromHex('ff'), true)).toThrow('status 255')
})

test.each([
  ['no byte at all', ''],
  ['no time to wait', '03 0000'],
  ['message cut off', '01 05 61'],
  ['message too long', `01 8108 ${'61'.repeat(1025)}`],
  ['message is no text', '01 02 c328']
])('refused at the end of the stream: %s', (_, hex) => {
  expect(() => tryDecodeStatus(fromHex(hex), true)).toThrow(MalformedStatusError)
})

test('a message that will be too long is not waited for', () => {
  expect(() => tryDecodeStatus(fromHex('01 8108'), false)).toThrow('largest allowed is 1024')
})

test('a time to wait that does not fit is not sent', () => {
  for (const retryAfterMs of [-1, 0.5, 2 ** 32, Number.NaN]) {
    expect(() => encodeStatus({ type: 'busy', retryAfterMs })).toThrow(RangeError)
  }
})

test('whatever comes is a status, unknown, or malformed', () => {
  fc.assert(
    fc.property(arbitraryDamage(arbitraryStatus.map(encodeStatus)), fc.boolean(), (bytes, ended) => {
      const decoded = readsOrThrows(
        () => tryDecodeStatus(bytes, ended),
        MalformedStatusError,
        UnknownStatusError
      )
      if (decoded) {
        expect(tryDecodeStatus(encodeStatus(decoded.status), true)?.status).toEqual(decoded.status)
      }
    }),
    { numRuns: 2000 }
  )
})
