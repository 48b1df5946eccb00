import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashToCid, InvalidCidError } from '../../src/cid.ts'
import { EMPTY_HASH, InvalidHashError } from '../../src/hash.ts'
import { InvalidHashOrTicketError, parseHashOrTicket } from '../../src/protocol/hash-or-ticket.ts'
import { encodeTicket, InvalidTicketError } from '../../src/protocol/ticket.ts'
import { arbitraryHash, readsOrThrows, vectors } from './support.ts'

const OURS = encodeTicket({
  hash: EMPTY_HASH,
  format: 'raw',
  peerId: '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8',
  addrs: ['/ip4/127.0.0.1/tcp/4001']
})
const IROH = vectors<{ tickets: { ticket: string; parsed: { hash: string } }[] }>('tickets.json').tickets[0]!

test('a hash is read from each of its forms', () => {
  fc.assert(
    fc.property(arbitraryHash, hash => {
      for (const form of [hash.toString(), hash.toBase32(), hash.toBase32().toUpperCase(), hashToCid(hash)]) {
        const parsed = parseHashOrTicket(` ${form}\n`)
        expect(parsed.kind === 'hash' && parsed.hash.toString()).toBe(hash.toString())
      }
    })
  )
})

test('both kinds of ticket are told apart', () => {
  const ours = parseHashOrTicket(` ${OURS}\n`)
  expect(ours.kind === 'ticket' && ours.ticket.addrs).toEqual(['/ip4/127.0.0.1/tcp/4001'])
  expect(parseHashOrTicket(OURS.toUpperCase())).toEqual(ours)
  const iroh = parseHashOrTicket(`\t${IROH.ticket} `)
  expect(iroh.kind === 'iroh-ticket' && iroh.ticket.hash.toString()).toBe(IROH.parsed.hash)
})

test('a hash that begins like a ticket is a hash', () => {
  for (const start of ['blobs', 'bloba']) {
    const text = `${start}${'a'.repeat(47)}`
    const parsed = parseHashOrTicket(text)
    expect(parsed.kind === 'hash' && parsed.hash.toBase32()).toBe(text)
  }
})

test.each<[string, string, new (message: string) => Error, string]>([
  ['our ticket, damaged', `${OURS.slice(0, -1)}`, InvalidTicketError, 'ticket is damaged'],
  ["iroh's ticket, damaged", `${IROH.ticket}a`, InvalidTicketError, 'ticket is damaged'],
  ["iroh's ticket in capitals", IROH.ticket.toUpperCase(), InvalidTicketError, 'in small letters'],
  ['upper-case hex', EMPTY_HASH.toString().toUpperCase(), InvalidHashError, 'not lower-case hex'],
  ['a hash cut off', EMPTY_HASH.toString().slice(1), InvalidHashOrTicketError, 'neither a hash'],
  ['a CID of something else', 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG', InvalidCidError, 'sha2-256'],
  ['a word', 'hello', InvalidHashOrTicketError, '"hello" is neither a hash'],
  ['nothing', ' ', InvalidHashOrTicketError, '"" is neither a hash']
])('%s is refused with a reason', (_, text, error, message) => {
  expect(() => parseHashOrTicket(text)).toThrow(error)
  expect(() => parseHashOrTicket(text)).toThrow(message)
})

test('whatever text comes names a blob or is refused', () => {
  const damaged = fc
    .tuple(
      fc.constantFrom(
        OURS,
        IROH.ticket,
        EMPTY_HASH.toString(),
        EMPTY_HASH.toBase32(),
        `${hashToCid(EMPTY_HASH)}`
      ),
      fc.nat(120),
      fc.string({ maxLength: 4 }),
      fc.nat(4)
    )
    .map(([text, at, insert, drop]) => text.slice(0, at) + insert + text.slice(at + drop))
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), damaged), text => {
      readsOrThrows(
        () => parseHashOrTicket(text),
        InvalidHashError,
        InvalidTicketError,
        InvalidCidError,
        InvalidHashOrTicketError
      )
    }),
    { numRuns: 3000 }
  )
})
