/** What both kinds of ticket share: their format byte, their alphabet, and the error of those that cannot be read. */
import { base32 } from 'multiformats/bases/base32'
import { MAX_TICKET_CHARS } from './constants.ts'
import { MalformedError, type Reader } from './postcard.ts'

/** Whether a ticket is for one blob, or for a hash sequence with all that it links to. */
export type TicketFormat = 'raw' | 'hash_seq'

/** The text is no ticket, or holds what a ticket must not. */
export class InvalidTicketError extends Error {
  override readonly name = 'InvalidTicketError'
  readonly code = 'ERR_INVALID_TICKET'
}

const FORMATS: readonly TicketFormat[] = ['raw', 'hash_seq']
const NOT_BASE32 = /[^a-zA-Z2-7]/

export function formatByte(format: TicketFormat): number {
  return FORMATS.indexOf(format)
}

export function readFormat(reader: Reader): TicketFormat {
  const position = reader.position
  const byte = reader.byte('the format')
  const format = FORMATS[byte]
  if (format === undefined) {
    throw new MalformedError(`format ${byte} is neither 0 (raw) nor 1 (hash sequence)`, position)
  }
  return format
}

export function ticketText(prefix: string, body: Uint8Array): string {
  return prefix + base32.baseEncode(body)
}

/**
 * The bytes behind the prefix, whose letters may be of either case.
 *
 * @throws InvalidTicketError
 */
export function ticketBody(prefix: string, text: string): Uint8Array {
  if (text.length > MAX_TICKET_CHARS) {
    throw new InvalidTicketError(
      `a ticket has at most ${MAX_TICKET_CHARS} characters, this text has ${text.length}`
    )
  }
  const wrong = NOT_BASE32.exec(text.slice(prefix.length))
  if (wrong) {
    const position = prefix.length + wrong.index + 1
    throw new InvalidTicketError(
      `ticket is damaged: ${JSON.stringify(wrong[0])}, its character ${position}, does not occur in tickets`
    )
  }
  try {
    return base32.baseDecode(text.slice(prefix.length).toLowerCase())
  } catch (cause) {
    throw new InvalidTicketError('ticket is damaged: it was cut off, or has a character too many', { cause })
  }
}

/** Turns what a reader throws into an error about the ticket. */
export function readTicket<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof MalformedError) {
      throw new InvalidTicketError(`${what}: ${cause.message}`, { cause })
    }
    throw cause
  }
}
