/** Tickets for what a node has. */
import type { Hash } from '../hash.ts'
import { MAX_TICKET_ADDRS } from '../protocol/constants.ts'
import { encodeTicket } from '../protocol/ticket.ts'
import type { BlobFormat } from '../store/index.ts'

/**
 * A ticket for a blob at a peer.
 *
 * @param addrs multiaddrs, with or without the peer id at their end; more than a ticket holds are left out
 * @throws InvalidTicketError when there is no address, or one is none
 */
export function ticketOf(hash: Hash, format: BlobFormat, peerId: string, addrs: readonly string[]): string {
  const suffix = `/p2p/${peerId}`
  const bare = addrs.map(addr => (addr.endsWith(suffix) ? addr.slice(0, -suffix.length) : addr))
  return encodeTicket({ hash, format, peerId, addrs: [...new Set(bare)].slice(0, MAX_TICKET_ADDRS) })
}
