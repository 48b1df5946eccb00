import { peerIdFromString } from '@libp2p/peer-id'
import fc from 'fast-check'
import { base32 } from 'multiformats/bases/base32'
import { base36 } from 'multiformats/bases/base36'
import { describe, expect, test } from 'vitest'
import { kernel } from '../../src/bao/kernel/index.ts'
import { EMPTY_HASH } from '../../src/hash.ts'
import { MAX_TICKET_ADDRS, MAX_TICKET_CHARS } from '../../src/protocol/constants.ts'
import {
  decodeTicket,
  encodeTicket,
  InvalidTicketError,
  type Ticket,
  type TicketFormat
} from '../../src/protocol/ticket.ts'
import { arbitraryHash, fromHex, readsOrThrows, toHex } from './support.ts'

const PEERS = [
  '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8',
  '16Uiu2HAm4v86W3bmT1BiH6oSPzcsSr24iDQpSN5Qa992BCjjwgrD',
  'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N'
] as const

const ADDRS = [
  '/ip4/127.0.0.1/tcp/4001',
  '/ip6/2001:db8::1/tcp/4001/ws',
  '/dns4/example.org/tcp/443/tls/ws',
  `/ip4/10.0.0.1/udp/4001/quic-v1/p2p/${PEERS[0]}/p2p-circuit`
] as const

const TICKET: Ticket = {
  hash: EMPTY_HASH,
  format: 'hash_seq',
  peerId: PEERS[0],
  addrs: [ADDRS[0], ADDRS[1]]
}

const arbitraryTicket: fc.Arbitrary<Ticket> = fc.record({
  hash: arbitraryHash,
  format: fc.constantFrom<TicketFormat>('raw', 'hash_seq'),
  peerId: fc.constantFrom(...PEERS),
  addrs: fc.array(fc.constantFrom(...ADDRS), { maxLength: 4 })
})

/** A ticket of these bytes with a checksum that is right. */
function sealed(hex: string): string {
  const content = fromHex(hex)
  const hash = new Uint8Array(32)
  kernel.subtree(content, 0, true, hash)
  return `blobs${base32.baseEncode(Buffer.concat([content, hash.subarray(0, 4)]))}`
}

/** An ed25519 key in an identity multihash, as libp2p writes it: 38 bytes. */
const peerHex = toHex(peerIdFromString(PEERS[0]).toMultihash().bytes)

test('any ticket comes back', () => {
  fc.assert(
    fc.property(arbitraryTicket, ticket => {
      const text = encodeTicket(ticket)
      expect(text).toMatch(/^blobsa[a-z2-7]+$/)
      const back = decodeTicket(text)
      expect({ ...back, hash: back.hash.toString() }).toEqual({ ...ticket, hash: ticket.hash.toString() })
      expect(encodeTicket(back)).toBe(text)
    })
  )
})

test('the bytes are those of the specification', () => {
  const text = encodeTicket({ ...TICKET, addrs: [ADDRS[0]] })
  const body = toHex(base32.baseDecode(text.slice('blobs'.length)))
  expect(peerHex).toMatch(/^002408011220/)
  expect(body.slice(0, -8)).toBe(`0101${EMPTY_HASH}26${peerHex}0108047f000001060fa1`)
  expect(sealed(body.slice(0, -8))).toBe(text)
})

test('white space around it and capitals do not matter', () => {
  const text = encodeTicket(TICKET)
  for (const form of [` ${text}\n`, text.toUpperCase(), `BLOBS${text.slice(5)}`]) {
    expect(decodeTicket(form)).toEqual(decodeTicket(text))
  }
})

test('a peer id in its other text forms gives the same ticket', () => {
  const cid = peerIdFromString(PEERS[0]).toCID()
  for (const peerId of [cid.toString(), cid.toString(base36)]) {
    expect(encodeTicket({ ...TICKET, peerId })).toBe(encodeTicket(TICKET))
  }
})

describe('damage', () => {
  test('any one wrong character is noticed', () => {
    const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
    fc.assert(
      fc.property(arbitraryTicket, fc.nat(), fc.constantFrom(...alphabet), (ticket, n, char) => {
        const text = encodeTicket(ticket)
        const at = 5 + (n % (text.length - 5))
        const wrong = text.slice(0, at) + char + text.slice(at + 1)
        if (wrong === text) return
        expect(() => decodeTicket(wrong)).toThrow(InvalidTicketError)
        expect(() => decodeTicket(wrong)).toThrow('ticket is damaged')
      }),
      { numRuns: 500 }
    )
  })

  test('any cut and any addition is noticed', () => {
    const text = encodeTicket(TICKET)
    for (let length = 5; length < text.length; length++) {
      expect(() => decodeTicket(text.slice(0, length))).toThrow('ticket is damaged')
    }
    for (const more of ['a', 'aa', 'aaaaaaaa', text]) {
      expect(() => decodeTicket(text + more)).toThrow('ticket is damaged')
    }
  })

  test('two characters that changed places are noticed', () => {
    const text = encodeTicket(TICKET)
    for (let at = 5; at + 1 < text.length; at++) {
      if (text[at] !== text[at + 1]) {
        const swapped = text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2)
        expect(() => decodeTicket(swapped)).toThrow('ticket is damaged')
      }
    }
  })

  test.each(['1', '0', '=', ' ', '-', 'é', '\u212a'])('a character %j is named with its place', char => {
    const text = encodeTicket(TICKET)
    const wrong = text.slice(0, 20) + char + text.slice(21)
    expect(() => decodeTicket(wrong)).toThrow(`${JSON.stringify(char)}, its character 21, does not occur`)
  })

  test('whatever text comes is a ticket or refused', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string().map(rest => `blobs${rest}`),
      fc.uint8Array({ maxLength: 200 }).map(bytes => sealed(toHex(bytes))),
      fc.uint8Array({ maxLength: 100 }).map(bytes => sealed(`0101${EMPTY_HASH}26${peerHex}${toHex(bytes)}`)),
      fc
        .tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(40))
        .map(([bytes, length]) =>
          sealed(`0100${EMPTY_HASH}${length.toString(16).padStart(2, '0')}${toHex(bytes)}00`)
        )
    )
    fc.assert(
      fc.property(text, candidate => {
        const ticket = readsOrThrows(() => decodeTicket(candidate), InvalidTicketError)
        if (ticket) expect(decodeTicket(encodeTicket(ticket))).toEqual(ticket)
      }),
      { numRuns: 2000 }
    )
  })
})

describe('what a ticket must not say', () => {
  const start = `0101${EMPTY_HASH}`
  test.each([
    ['nothing', '', 'ends before the version'],
    ['a newer version', `0201${EMPTY_HASH}26${peerHex}00`, 'version 2 of tickets is newer'],
    ['format 2', `0102${EMPTY_HASH}26${peerHex}00`, 'format 2 is neither'],
    ['half a hash', `0101${EMPTY_HASH.toString().slice(32)}`, 'the hash should have 32 bytes'],
    ['no peer', `${start}0000`, 'no peer id'],
    ['a peer id that is none', `${start}0412026162 00`, 'no peer id'],
    [
      'a peer id that is a web address',
      `${start}15 0013 68747470733a2f2f6578616d706c652e6f7267 00`,
      'no peer id'
    ],
    ['a peer id too long', `${start}8101`, 'largest allowed is 128'],
    ['too many addresses', `${start}26${peerHex}21`, 'largest allowed is 32'],
    ['a huge number of addresses', `${start}26${peerHex}ffffffffffffffffff01`, 'largest allowed is 32'],
    ['an address too long', `${start}26${peerHex}018104`, 'largest allowed is 512'],
    ['an empty address', `${start}26${peerHex}0100`, 'address that cannot be read'],
    ['an address of no kind', `${start}26${peerHex}0104ffffff7f`, 'address that cannot be read'],
    ['an address cut off', `${start}26${peerHex}0108047f0000`, 'an address should have 8 bytes'],
    ['more than a ticket', `${start}26${peerHex}0000`, '1 bytes too many']
  ])('%s', (_, hex, message) => {
    expect(() => decodeTicket(sealed(hex.replaceAll(' ', '')))).toThrow(InvalidTicketError)
    expect(() => decodeTicket(sealed(hex.replaceAll(' ', '')))).toThrow(message)
  })

  test.each<[string, Partial<Ticket>, string]>([
    ['no peer id', { peerId: 'nobody' }, '"nobody" is no peer id'],
    ['an empty peer id', { peerId: '' }, 'is no peer id'],
    ['an endless peer id', { peerId: `Q${'m'.repeat(100_000)}` }, 'is no peer id'],
    ['no multiaddr', { addrs: ['127.0.0.1:4001'] }, '"127.0.0.1:4001" is no multiaddr'],
    ['an empty multiaddr', { addrs: ['/'] }, '"/" has 0'],
    ['too long a multiaddr', { addrs: [`/dns4/${'a'.repeat(600)}`] }, 'has 6'],
    [
      'too many addresses',
      { addrs: Array.from({ length: MAX_TICKET_ADDRS + 1 }, () => ADDRS[0]) },
      'at most 32 addresses, not 33'
    ]
  ])('cannot be made with %s', (_, change, message) => {
    expect(() => encodeTicket({ ...TICKET, ...change })).toThrow(InvalidTicketError)
    expect(() => encodeTicket({ ...TICKET, ...change })).toThrow(message)
  })

  test('the largest ticket can be read, an endless text is refused', () => {
    const addrs = Array.from({ length: MAX_TICKET_ADDRS }, () => `/dns4/${'a'.repeat(509)}`)
    const text = encodeTicket({ ...TICKET, addrs })
    expect(decodeTicket(text).addrs).toEqual(addrs)
    expect(() => decodeTicket(`blobs${'a'.repeat(MAX_TICKET_CHARS)}`)).toThrow('at most')
  })

  test('other texts are told to be none', () => {
    for (const text of ['', 'blob', 'bloba', 'hello']) {
      expect(() => decodeTicket(text)).toThrow('does not begin with "blobs"')
    }
  })
})
