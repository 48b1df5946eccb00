import fc from 'fast-check'
import { base32 } from 'multiformats/bases/base32'
import { describe, expect, test } from 'vitest'
import { EMPTY_HASH, Hash } from '../../src/hash.ts'
import { decodeIrohTicket, encodeIrohTicket, type IrohTicket } from '../../src/protocol/iroh-ticket.ts'
import { decodeTicket, InvalidTicketError, isTicket } from '../../src/protocol/ticket.ts'
import { arbitraryDamage, arbitraryHash, fromHex, readsOrThrows, toHex, vectors } from './support.ts'

interface Golden {
  name: string
  ticket: string
  bytes: string
  parsed: {
    nodeId: string
    relayUrl: string | null
    addresses: string[]
    format: 'Raw' | 'HashSeq'
    hash: string
  }
}

const { tickets, ticketForms } = vectors<{
  tickets: Golden[]
  ticketForms: { name: string; ticket: string; accepted: boolean }[]
}>('tickets.json')

describe('golden tickets', () => {
  test.each(tickets)('$name', ({ ticket: text, bytes, parsed }) => {
    const ticket = decodeIrohTicket(text)
    expect({ ...ticket, hash: ticket.hash.toString() }).toEqual({
      hash: parsed.hash,
      format: parsed.format === 'Raw' ? 'raw' : 'hash_seq',
      nodeId: parsed.nodeId,
      ...(parsed.relayUrl !== null && { relayUrl: parsed.relayUrl }),
      addresses: parsed.addresses
    })
    expect(encodeIrohTicket(ticket)).toBe(text)
    expect(text.slice(4)).toBe(base32.baseEncode(fromHex(bytes)))
  })

  test.each(ticketForms)('$name', ({ ticket, accepted }) => {
    if (accepted) {
      expect(decodeIrohTicket(ticket).hash.toString()).toBe(tickets[0]!.parsed.hash)
    } else {
      expect(() => decodeIrohTicket(ticket)).toThrow(InvalidTicketError)
    }
  })
})

const port = fc.integer({ min: 0, max: 65535 })
const arbitraryAddress = fc.oneof(
  fc.tuple(fc.ipV4(), port).map(([ip, n]) => `${ip}:${n}`),
  fc
    .tuple(fc.array(fc.integer({ min: 1, max: 0xffff }), { minLength: 8, maxLength: 8 }), port)
    .map(([groups, n]) => `[${groups.map(group => group.toString(16)).join(':')}]:${n}`)
)
const arbitraryIrohTicket: fc.Arbitrary<IrohTicket> = fc
  .record({
    hash: arbitraryHash,
    format: fc.constantFrom('raw', 'hash_seq'),
    nodeId: arbitraryHash.map(String),
    relayUrl: fc.option(fc.webUrl(), { nil: undefined }),
    addresses: fc.array(arbitraryAddress, { maxLength: 4 })
  })
  .map(({ relayUrl, ...rest }) => ({ ...rest, ...(relayUrl !== undefined && { relayUrl }) }))

test('any ticket comes back, its addresses sorted', () => {
  fc.assert(
    fc.property(arbitraryIrohTicket, ticket => {
      const back = decodeIrohTicket(encodeIrohTicket(ticket))
      expect({ ...back, hash: back.hash.toString(), addresses: new Set(back.addresses) }).toEqual({
        ...ticket,
        hash: ticket.hash.toString(),
        addresses: new Set(ticket.addresses)
      })
      expect(encodeIrohTicket(back)).toBe(encodeIrohTicket(ticket))
    })
  )
})

test('addresses are written IPv4 first, by address, then by port, each once', () => {
  const addresses = ['[::1]:2', '9.0.0.1:1', '10.0.0.1:5', '10.0.0.1:40', '[::]:9', '9.0.0.1:1']
  const ticket: IrohTicket = { hash: EMPTY_HASH, format: 'raw', nodeId: EMPTY_HASH.toString(), addresses }
  expect(decodeIrohTicket(encodeIrohTicket(ticket)).addresses).toEqual([
    '9.0.0.1:1',
    '10.0.0.1:5',
    '10.0.0.1:40',
    '[::]:9',
    '[::1]:2'
  ])
})

test.each([
  '1.2.3.4',
  '1.2.3.4:',
  '1.2.3.4:65536',
  '1.2.3:4',
  '::1:5',
  '[1.2.3.4]:5',
  '[::1%eth0]:5',
  'host:5',
  '[:::]:5',
  '/ip4/1.2.3.4/udp/5'
])('%s is no address to be written', address => {
  const ticket: IrohTicket = {
    hash: EMPTY_HASH,
    format: 'raw',
    nodeId: EMPTY_HASH.toString(),
    addresses: [address]
  }
  expect(() => encodeIrohTicket(ticket)).toThrow(InvalidTicketError)
})

test('a node id that is none is not written', () => {
  const ticket: IrohTicket = { hash: EMPTY_HASH, format: 'raw', nodeId: 'x', addresses: [] }
  expect(() => encodeIrohTicket(ticket)).toThrow('"x" is no node id')
})

describe('refused', () => {
  const id = 'da'.repeat(32)
  test.each([
    ['nothing', '', 'within the variant'],
    ['another variant', `01${id}000000${id}`, 'variant 1 of the ticket is unknown'],
    ['half a node id', `00${id.slice(10)}`, 'the node id should have 32 bytes'],
    ['a relay that is neither there nor not', `00${id}020000${id}`, 'neither 0 nor 1 (at byte 33)'],
    ['a relay that is no text', `00${id}0102c3280000${id}`, 'the URL of the relay is not UTF-8'],
    ['a huge number of addresses', `00${id}00ffffffffffffff0f00${id}`, 'number of addresses'],
    ['an address of a third kind', `00${id}0001020000000000${id}`, 'neither 0 (IPv4) nor 1 (IPv6)'],
    ['a port above 65535', `00${id}0001007f000001808004 00${id}`, 'a port is 65536'],
    ['another format', `00${id}000002${id}`, 'format 2'],
    ['half a hash', `00${id}000000${id.slice(2)}`, 'the hash should have 32 bytes']
  ])('%s', (_, hex, message) => {
    const text = `blob${base32.baseEncode(fromHex(hex))}`
    expect(() => decodeIrohTicket(text)).toThrow(InvalidTicketError)
    expect(() => decodeIrohTicket(text)).toThrow(message)
  })

  test('other texts', () => {
    for (const text of ['', 'blo', 'BLOBaaaa', 'hello']) {
      expect(() => decodeIrohTicket(text)).toThrow('does not begin with "blob"')
    }
  })

  test('whatever else comes', () => {
    const body = arbitraryDamage(
      arbitraryIrohTicket.map(ticket => base32.baseDecode(encodeIrohTicket(ticket).slice(4)))
    )
    const text = fc.oneof(
      fc.string().map(rest => `blob${rest}`),
      body.map(bytes => `blob${base32.baseEncode(bytes)}`)
    )
    let good = 0
    fc.assert(
      fc.property(text, candidate => {
        const ticket = readsOrThrows(() => decodeIrohTicket(candidate), InvalidTicketError)
        if (ticket) {
          good++
          expect(toHex(Hash.parse(ticket.nodeId).bytes)).toBe(ticket.nodeId)
        }
      }),
      { numRuns: 2000 }
    )
    expect(good).toBeGreaterThan(20)
  })
})

test('no ticket that iroh reads is taken for ours, nor the other way round', () => {
  // Every first byte there is; of two bytes where the first says that a second follows.
  for (let first = 0; first < 256; first++) {
    const body = Buffer.concat([Uint8Array.of(first, 0), new Uint8Array(100)])
    const text = `blob${base32.baseEncode(body)}`
    const isIroh = readsOrThrows(() => decodeIrohTicket(text), InvalidTicketError) !== undefined
    expect(isIroh && isTicket(text)).toBe(false)
    expect(isIroh).toBe(first === 0 || first === 0x80)
  }
  for (const { ticket } of tickets) {
    expect(isTicket(ticket)).toBe(false)
    expect(() => decodeTicket(ticket)).toThrow(InvalidTicketError)
  }
})
