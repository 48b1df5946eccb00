import { createHash } from 'blake3-wasm'
import { describe, expect, test } from 'vitest'
import { hashFromCid, hashToCid } from '../../src/cid.ts'
import { Hash } from '../../src/hash.ts'
import { encodeStatus, type Status, tryDecodeStatus } from '../../src/protocol/status.ts'
import { decodeTicket, encodeTicket, type TicketFormat } from '../../src/protocol/ticket.ts'
import { fromHex, toHex, vectors } from './support.ts'

const { tickets, statuses, cids } = vectors<{
  tickets: {
    name: string
    hash: string
    format: TicketFormat
    peerId: string
    addrs: string[]
    ticket: string
    bytes: string
  }[]
  statuses: { status: Status; hex: string }[]
  cids: { hash: string; cid: string }[]
}>('libp2p-blobs.json')

describe('tickets', () => {
  test.each(tickets)('$name', ({ hash, format, peerId, addrs, ticket, bytes }) => {
    expect(encodeTicket({ hash: Hash.parse(hash), format, peerId, addrs })).toBe(ticket)
    const decoded = decodeTicket(ticket)
    expect({ ...decoded, hash: decoded.hash.toString() }).toEqual({ hash, format, peerId, addrs })

    const content = fromHex(bytes).subarray(0, -4)
    expect(bytes.slice(-8)).toBe(createHash().update(content).digest('hex').slice(0, 8))
  })
})

test.each(statuses)('status $hex', ({ status, hex }) => {
  expect(toHex(encodeStatus(status))).toBe(hex)
  expect(tryDecodeStatus(fromHex(hex), true)).toEqual({ status, length: hex.length / 2 })
})

test.each(cids)('$cid', ({ hash, cid }) => {
  expect(hashToCid(Hash.parse(hash)).toString()).toBe(cid)
  expect(hashFromCid(cid).toString()).toBe(hash)
})
