/** Everything by which a person may name a blob (protocol/README.md, "Text forms"). */
import { hashFromCid, InvalidCidError } from '../cid.ts'
import { Hash } from '../hash.ts'
import { decodeIrohTicket, IROH_TICKET_PREFIX, type IrohTicket } from './iroh-ticket.ts'
import { decodeTicket, isTicket, type Ticket } from './ticket.ts'

export type HashOrTicket =
  | { readonly kind: 'hash'; readonly hash: Hash }
  | { readonly kind: 'ticket'; readonly ticket: Ticket }
  | { readonly kind: 'iroh-ticket'; readonly ticket: IrohTicket }

/** The text names no blob in any form. */
export class InvalidHashOrTicketError extends Error {
  override readonly name = 'InvalidHashOrTicketError'
  readonly code = 'ERR_INVALID_HASH_OR_TICKET'
}

const HEX_CHARS = 64
const BASE32_CHARS = 52

/**
 * Reads a hash (64 hex digits, 52 base32 characters, a CID), one of our tickets or one of iroh's. White space around it does
 * not matter.
 *
 * The length decides first, since no whole ticket and no CID of a blob is as long as a hash; then the prefix.
 *
 * @throws InvalidHashError when it is as long as a hash
 * @throws InvalidTicketError when it begins as a ticket does
 * @throws InvalidCidError when it is a CID, of something else
 * @throws InvalidHashOrTicketError when it is nothing of that
 */
export function parseHashOrTicket(text: string): HashOrTicket {
  const trimmed = text.trim()
  if (trimmed.length === HEX_CHARS || trimmed.length === BASE32_CHARS) {
    return { kind: 'hash', hash: Hash.parse(trimmed) }
  }
  if (isTicket(trimmed)) {
    return { kind: 'ticket', ticket: decodeTicket(trimmed) }
  }
  if (trimmed.slice(0, IROH_TICKET_PREFIX.length).toLowerCase() === IROH_TICKET_PREFIX) {
    return { kind: 'iroh-ticket', ticket: decodeIrohTicket(trimmed) }
  }
  return { kind: 'hash', hash: cidHash(trimmed) }
}

function cidHash(text: string): Hash {
  try {
    return hashFromCid(text)
  } catch (cause) {
    if (cause instanceof InvalidCidError && cause.cause !== undefined) {
      throw new InvalidHashOrTicketError(
        `${JSON.stringify(shorten(text))} is neither a hash (64 hex digits, 52 base32 characters, or a CID) nor a ticket`,
        { cause }
      )
    }
    throw cause
  }
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`
}
