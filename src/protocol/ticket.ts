/**
 * Tickets: all that is needed to fetch a blob, as one word that can be pasted (protocol/README.md, "Our ticket").
 *
 * A checksum tells a mistyped ticket from one whose provider lacks the blob.
 */
import type { PeerId } from '@libp2p/interface'
import { peerIdFromMultihash, peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import * as Digest from 'multiformats/hashes/digest'
import { kernel } from '../bao/kernel/index.ts'
import { HASH_BYTES, Hash } from '../hash.ts'
import { MAX_TICKET_ADDR_BYTES, MAX_TICKET_ADDRS, MAX_TICKET_PEER_BYTES } from './constants.ts'
import { MalformedError, Reader, Writer } from './postcard.ts'
import {
  formatByte,
  InvalidTicketError,
  readFormat,
  readTicket,
  type TicketFormat,
  ticketBody,
  ticketText
} from './ticket-text.ts'

export { InvalidTicketError, type TicketFormat } from './ticket-text.ts'

/** What to fetch, and from whom. */
export interface Ticket {
  readonly hash: Hash
  readonly format: TicketFormat
  /** The provider, in the text form of libp2p. */
  readonly peerId: string
  /** Where it listens: multiaddrs as text, at most {@link MAX_TICKET_ADDRS}. */
  readonly addrs: readonly string[]
}

export const TICKET_PREFIX = 'blobs'

const VERSION = 1
const CHECKSUM_BYTES = 4
const SHA256_BYTES = 32
/** Longest text of a peer id that is read: more than any needs. */
const MAX_PEER_CHARS = 256

/** Whether a text says that it is one of our tickets. Nothing that iroh accepts does: see `iroh-ticket.ts`. */
export function isTicket(text: string): boolean {
  return text.slice(0, TICKET_PREFIX.length).toLowerCase() === TICKET_PREFIX
}

/** @throws InvalidTicketError when the peer id or an address is none, or there are more addresses than a ticket holds */
export function encodeTicket(ticket: Ticket): string {
  if (ticket.addrs.length > MAX_TICKET_ADDRS) {
    throw new InvalidTicketError(
      `a ticket holds at most ${MAX_TICKET_ADDRS} addresses, not ${ticket.addrs.length}`
    )
  }
  const writer = new Writer()
  writer.byte(VERSION)
  writer.byte(formatByte(ticket.format))
  writer.raw(ticket.hash.bytes)
  writer.sized(peerIdBytes(ticket.peerId))
  writer.varint(ticket.addrs.length)
  for (const addr of ticket.addrs) {
    writer.sized(addrBytes(addr))
  }
  writer.raw(checksum(writer.finish()))
  return ticketText(TICKET_PREFIX, writer.finish())
}

/**
 * Reads a ticket; white space around it and capital letters do not matter.
 *
 * @throws InvalidTicketError saying whether it was damaged on its way, is of a newer version, or says what cannot be
 */
export function decodeTicket(text: string): Ticket {
  const trimmed = text.trim()
  if (!isTicket(trimmed)) {
    throw new InvalidTicketError(`not a ticket: it does not begin with "${TICKET_PREFIX}"`)
  }
  const body = ticketBody(TICKET_PREFIX, trimmed)
  const content = body.subarray(0, -CHECKSUM_BYTES)
  const sum = checksum(content)
  if (
    content.length + CHECKSUM_BYTES !== body.length ||
    sum.some((byte, i) => byte !== body[content.length + i])
  ) {
    throw new InvalidTicketError('ticket is damaged: a character was mistyped or it was cut off')
  }
  return readTicket('invalid ticket', () => readContent(content))
}

function readContent(content: Uint8Array): Ticket {
  const reader = new Reader(content)
  const version = reader.byte('the version')
  if (version !== VERSION) {
    throw new MalformedError(`version ${version} of tickets is newer than this software`, 0)
  }
  const format = readFormat(reader)
  const hash = Hash.fromBytes(reader.take(HASH_BYTES, 'the hash'))
  const peerId = peerIdText(
    reader.take(reader.uint('length of the peer id', MAX_TICKET_PEER_BYTES), 'the peer id')
  )
  const count = reader.uint('number of addresses', MAX_TICKET_ADDRS)
  const addrs = Array.from({ length: count }, () =>
    addrText(reader.take(reader.uint('length of an address', MAX_TICKET_ADDR_BYTES), 'an address'))
  )
  if (reader.remaining > 0) {
    throw new MalformedError(`${reader.remaining} bytes too many`, reader.position)
  }
  return { hash, format, peerId, addrs }
}

/** First bytes of the BLAKE3 hash. */
function checksum(content: Uint8Array): Uint8Array {
  const hash = new Uint8Array(HASH_BYTES)
  kernel.subtree(content, 0, true, hash)
  return hash.subarray(0, CHECKSUM_BYTES)
}

function peerIdBytes(text: string): Uint8Array {
  try {
    if (text.length > MAX_PEER_CHARS) {
      throw new RangeError(`${text.length} characters`)
    }
    return keyed(peerIdFromString(text)).toMultihash().bytes
  } catch (cause) {
    throw new InvalidTicketError(`"${text.slice(0, MAX_PEER_CHARS)}" is no peer id`, { cause })
  }
}

function peerIdText(bytes: Uint8Array): string {
  try {
    return keyed(peerIdFromMultihash(Digest.decode(bytes))).toString()
  } catch (cause) {
    throw new InvalidTicketError('invalid ticket: it holds no peer id where one should be', { cause })
  }
}

/** Refuses what libp2p lets pass: web addresses in place of a key, and hashes of a key that are too short to be any. */
function keyed(peerId: PeerId): PeerId {
  if (peerId.type === 'url') {
    throw new TypeError('the peer id stands for a URL')
  }
  const { digest } = peerId.toMultihash()
  if (peerId.type === 'RSA' && digest.length !== SHA256_BYTES) {
    throw new TypeError(`the peer id has a SHA-256 of ${digest.length} bytes`)
  }
  return peerId
}

function addrBytes(text: string): Uint8Array {
  let bytes: Uint8Array
  try {
    bytes = multiaddr(text).bytes
  } catch (cause) {
    throw new InvalidTicketError(`"${text}" is no multiaddr`, { cause })
  }
  if (bytes.length === 0 || bytes.length > MAX_TICKET_ADDR_BYTES) {
    throw new InvalidTicketError(
      `an address in a ticket has 1 to ${MAX_TICKET_ADDR_BYTES} bytes, "${text}" has ${bytes.length}`
    )
  }
  return bytes
}

function addrText(bytes: Uint8Array): string {
  try {
    if (bytes.length === 0) {
      throw new RangeError('no bytes')
    }
    return multiaddr(bytes).toString()
  } catch (cause) {
    throw new InvalidTicketError(
      'invalid ticket: it holds an address that cannot be read, perhaps of a newer kind',
      { cause }
    )
  }
}
