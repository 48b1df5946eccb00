/**
 * Tickets of iroh-blobs (protocol/README.md, "The ticket of iroh").
 *
 * They begin with `blob`, ours with `blobs`. The two cannot be taken for each other: a ticket that iroh reads starts with
 * variant 0, which makes its fifth character an "a" (a "q" if spelt in several bytes), never an "s".
 */
import { multiaddr } from '@multiformats/multiaddr'
import { HASH_BYTES, Hash } from '../hash.ts'
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

/** What an iroh ticket tells. */
export interface IrohTicket {
  readonly hash: Hash
  readonly format: TicketFormat
  /** The ed25519 public key of the provider: 64 hex digits. */
  readonly nodeId: string
  /** The relay server where the provider can be met, if it has one. */
  readonly relayUrl?: string
  /** UDP addresses, `127.0.0.1:1234` or `[::1]:1234`. */
  readonly addresses: readonly string[]
}

export const IROH_TICKET_PREFIX = 'blob'

const VARIANT = 0
const NODE_ID_BYTES = 32
const NODE_ID = /^[0-9a-f]{64}$/
const MAX_PORT = 0xffff
/** Kind, IPv4 address, port. */
const MIN_ADDRESS_BYTES = 1 + 4 + 1
const SOCKET_ADDRESS = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/i

/** The kinds of address: the byte that tells them, their length in bytes, and their number as a multiaddr. */
const V4 = { tag: 0, bytes: 4, code: 4 } as const
const V6 = { tag: 1, bytes: 16, code: 41 } as const
const FAMILIES = [V4, V6] as const

interface SocketAddress {
  readonly family: (typeof FAMILIES)[number]
  readonly ip: Uint8Array
  readonly port: number
}

/**
 * Reads a ticket of iroh; white space around it does not matter, letters behind the prefix may be capitals.
 *
 * @throws InvalidTicketError
 */
export function decodeIrohTicket(text: string): IrohTicket {
  const trimmed = text.trim()
  if (!trimmed.startsWith(IROH_TICKET_PREFIX)) {
    throw new InvalidTicketError(
      `not a ticket of iroh: it does not begin with "${IROH_TICKET_PREFIX}" in small letters`
    )
  }
  const body = ticketBody(IROH_TICKET_PREFIX, trimmed)
  return readTicket('invalid ticket of iroh', () => readBody(new Reader(body)))
}

/**
 * The text that iroh prints for a ticket: addresses sorted, each once.
 *
 * @throws InvalidTicketError when the node id or an address is none
 */
export function encodeIrohTicket(ticket: IrohTicket): string {
  if (!NODE_ID.test(ticket.nodeId)) {
    throw new InvalidTicketError(`"${ticket.nodeId}" is no node id: expected 64 lower-case hex digits`)
  }
  const writer = new Writer()
  writer.byte(VARIANT)
  // A node id looks as a hash does.
  writer.raw(Hash.parse(ticket.nodeId).bytes)
  writer.byte(ticket.relayUrl === undefined ? 0 : 1)
  if (ticket.relayUrl !== undefined) {
    writer.string(ticket.relayUrl)
  }
  const addresses = sortedOnce(ticket.addresses.map(parseSocketAddress))
  writer.varint(addresses.length)
  for (const { family, ip, port } of addresses) {
    writer.byte(family.tag)
    writer.raw(ip)
    writer.varint(port)
  }
  writer.byte(formatByte(ticket.format))
  writer.raw(ticket.hash.bytes)
  return ticketText(IROH_TICKET_PREFIX, writer.finish())
}

/** Bytes behind the hash are ignored, as iroh does. */
function readBody(reader: Reader): IrohTicket {
  const variant = reader.u64('the variant')
  if (variant !== BigInt(VARIANT)) {
    throw new MalformedError(`variant ${variant} of the ticket is unknown`, 0)
  }
  const nodeId = Hash.fromBytes(reader.take(NODE_ID_BYTES, 'the node id')).toString()
  const relay = readRelay(reader)
  const count = reader.count('number of addresses', MIN_ADDRESS_BYTES)
  const addresses = Array.from({ length: count }, () => formatSocketAddress(readSocketAddress(reader)))
  const format = readFormat(reader)
  const hash = Hash.fromBytes(reader.take(HASH_BYTES, 'the hash'))
  return { hash, format, nodeId, ...relay, addresses }
}

function readRelay(reader: Reader): { relayUrl?: string } {
  const position = reader.position
  switch (reader.byte('whether there is a relay')) {
    case 0:
      return {}
    case 1:
      return { relayUrl: reader.string('the URL of the relay') }
    default:
      throw new MalformedError('whether there is a relay is neither 0 nor 1', position)
  }
}

function readSocketAddress(reader: Reader): SocketAddress {
  const position = reader.position
  const tag = reader.uint('kind of address')
  const family = FAMILIES[tag]
  if (family === undefined) {
    throw new MalformedError(`kind of address ${tag} is neither 0 (IPv4) nor 1 (IPv6)`, position)
  }
  return { family, ip: reader.take(family.bytes, 'an address'), port: reader.uint('a port', MAX_PORT) }
}

function formatSocketAddress({ family, ip, port }: SocketAddress): string {
  const text = multiaddr(Uint8Array.of(family.code, ...ip)).getComponents()[0]!.value
  return family === V6 ? `[${text}]:${port}` : `${text}:${port}`
}

function parseSocketAddress(text: string): SocketAddress {
  const [, v6, v4, port] = SOCKET_ADDRESS.exec(text) ?? []
  if ((v6 === undefined && v4 === undefined) || Number(port) > MAX_PORT) {
    throw new InvalidTicketError(`"${text}" is no address with a port: expected 127.0.0.1:1234 or [::1]:1234`)
  }
  try {
    const { bytes } = multiaddr(v6 === undefined ? `/ip4/${v4}` : `/ip6/${v6}`)
    return { family: v6 === undefined ? V4 : V6, ip: bytes.subarray(1), port: Number(port) }
  } catch (cause) {
    throw new InvalidTicketError(`"${text}" has no valid IP address`, { cause })
  }
}

/** IPv4 before IPv6, then by address, then by port. */
function sortedOnce(addresses: SocketAddress[]): SocketAddress[] {
  const sorted = addresses.sort(compare)
  return sorted.filter((address, i) => i === 0 || compare(sorted[i - 1]!, address) !== 0)
}

function compare(a: SocketAddress, b: SocketAddress): number {
  if (a.family !== b.family) {
    return a.family.tag - b.family.tag
  }
  const difference = a.ip.findIndex((byte, i) => byte !== b.ip[i])
  return difference < 0 ? a.port - b.port : a.ip[difference]! - b.ip[difference]!
}
