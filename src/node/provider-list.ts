/** Whom to ask for a blob: the addresses that a ticket and a user name. */
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Hash } from '../hash.ts'
import { parseHashOrTicket } from '../protocol/hash-or-ticket.ts'
import type { IrohTicket } from '../protocol/iroh-ticket.ts'
import type { BlobFormat } from '../store/index.ts'

/** Nobody is named whom to ask. */
export class NoProviderError extends Error {
  override readonly name = 'NoProviderError'
  readonly code = 'ERR_NO_PROVIDER'
}

/** The address of a provider is none, or cannot be dialled by this node. */
export class InvalidPeerError extends Error {
  override readonly name = 'InvalidPeerError'
  readonly code = 'ERR_INVALID_PEER'
}

/** A path was named in what is a single blob. */
export class NotACollectionError extends Error {
  override readonly name = 'NotACollectionError'
  readonly code = 'ERR_NOT_A_COLLECTION'

  constructor(hash: Hash, path: string) {
    super(`blob ${hash} is a single blob: there is no ${JSON.stringify(path)} in it`)
  }
}

/** What a user names: a blob, and maybe who has it. */
export interface Wanted {
  readonly hash: Hash
  /** Undefined when a hash alone was given, which does not tell. */
  readonly format: BlobFormat | undefined
  /** In the order in which they are to be asked. */
  readonly providers: readonly Multiaddr[]
  /** Who made the ticket. */
  readonly peerId: string | undefined
  /** Why there may be no provider. */
  readonly note: string | undefined
}

/**
 * Reads a hash or a ticket, and the peers named besides it. These are asked first.
 *
 * @param peers multiaddrs, which should end in `/p2p/` and the peer's id
 * @throws InvalidHashError, InvalidTicketError, InvalidCidError, InvalidHashOrTicketError, InvalidPeerError
 */
export function parseWanted(text: string, peers: readonly string[] = []): Wanted {
  const named = peers.map(parsePeer)
  const parsed = parseHashOrTicket(text)
  switch (parsed.kind) {
    case 'hash':
      return { hash: parsed.hash, format: undefined, providers: named, peerId: undefined, note: undefined }
    case 'ticket': {
      const { hash, format, peerId, addrs } = parsed.ticket
      const own = addrs.map(addr => multiaddr(addr.includes('/p2p/') ? addr : `${addr}/p2p/${peerId}`))
      const note = own.length === 0 ? 'the ticket has no address' : undefined
      return { hash, format, providers: [...named, ...own], peerId, note }
    }
    case 'iroh-ticket': {
      const { hash, format } = parsed.ticket
      return { hash, format, providers: named, peerId: undefined, note: whyNotDialled(parsed.ticket) }
    }
  }
}

/** What a user names, and maybe what of it. */
export interface WantedPath extends Wanted {
  /** A file or folder in the collection; undefined for all of it. */
  readonly path: string | undefined
}

/**
 * Reads a hash or a ticket that a path in the collection may follow: `blobsaeafvo3m…/photos/a.jpg`. None of their forms has a
 * slash in it.
 *
 * @throws NotACollectionError when there is a path, and the ticket is for a single blob; what {@link parseWanted} throws
 */
export function parseWantedPath(text: string, peers: readonly string[] = []): WantedPath {
  const slash = text.indexOf('/')
  if (slash < 0) return { ...parseWanted(text, peers), path: undefined }
  const wanted = parseWanted(text.slice(0, slash), peers)
  const path = text.slice(slash).replace(/^\/+|\/+$/g, '')
  if (path === '') return { ...wanted, path: undefined }
  if (wanted.format === 'raw') throw new NotACollectionError(wanted.hash, path)
  // Only what has files in it has paths.
  return { ...wanted, format: 'hash_seq', path }
}

/** @throws NoProviderError when there is nobody to ask */
export function requireProvider({ hash, note, providers }: Wanted): void {
  if (providers.length > 0) return
  throw new NoProviderError(
    `nobody is named who may have blob ${hash}: ${note ?? 'a hash alone does not say who has it'}; name a peer with --peer MULTIADDR`
  )
}

/** Node ids and relays are of another network stack, whatever their addresses look like. */
function whyNotDialled({ nodeId, addresses, relayUrl }: IrohTicket): string {
  const places = [...addresses, ...(relayUrl === undefined ? [] : [`the relay ${relayUrl}`])]
  const where = places.length === 0 ? '' : ` (at ${places.join(', ')})`
  return `this is a ticket of iroh, whose node ${nodeId.slice(0, 10)}…${where} is reached by iroh's own QUIC, which libp2p cannot dial`
}

/** The address of a peer, which should end in `/p2p/` and its id. @throws InvalidPeerError */
export function parsePeer(text: string): Multiaddr {
  let addr: Multiaddr
  try {
    addr = multiaddr(text)
  } catch (cause) {
    throw new InvalidPeerError(
      `"${text}" is no multiaddr; one looks like /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…`,
      { cause }
    )
  }
  const names = addr.getComponents().map(({ name }) => name)
  if (!names.includes('tcp')) throw new InvalidPeerError(`"${text}" cannot be dialled: this node speaks TCP`)
  return addr
}
