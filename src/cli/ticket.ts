/** `blobs ticket`: makes a ticket for what is in the home, or tells what is in one. */
import { resolve } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { loadOrCreateIdentity } from '../node/identity.ts'
import { formatOf, localState } from '../node/local.ts'
import { findServing } from '../node/running.ts'
import { findTagOrHash } from '../node/tags.ts'
import { ticketOf } from '../node/ticket-of.ts'
import { type HashOrTicket, parseHashOrTicket } from '../protocol/hash-or-ticket.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobFormat, HashAndFormat } from '../store/index.ts'
import type { TicketFlags } from './commands/ticket.ts'
import type { Context } from './context.ts'
import { type OpenHome, openHome } from './open-home.ts'

/** Nobody is serving the home: a ticket would lead nowhere. */
export class NotServingError extends Error {
  override readonly name = 'NotServingError'
  readonly code = 'ERR_NOT_SERVING'

  constructor(home: string) {
    super(
      `nobody is serving ${home}, so that a ticket has no address: start "blobs serve", or give one with --addr`
    )
  }
}

export async function ticket(context: Context, what: string, flags: TicketFlags): Promise<undefined> {
  const parsed = parsedTicket(what)
  if (parsed !== undefined) {
    describe(context, parsed)
    return
  }
  await using opened = await openHome(context)
  const { store } = opened
  const { hash, format } = await find(opened, what, flags.format)
  const { isComplete, size } = await localState(store, hash, format, context)
  if (!isComplete) throw new BlobNotFoundError(hash, 'is not in the store, or not all of it')
  const { peerId, addrs } = await reachable(context, opened, flags.addr)
  const text = ticketOf(hash, format, peerId, addrs)
  context.output.result({ event: 'ticket', ticket: text, hash, format, size }, text)
}

/** Undefined for what may be a tag or a hash, even if it looks like a ticket: then a wrong one comes up again. */
function parsedTicket(text: string): Exclude<HashOrTicket, { kind: 'hash' }> | undefined {
  try {
    const parsed = parseHashOrTicket(text)
    return parsed.kind === 'hash' ? undefined : parsed
  } catch {
    return undefined
  }
}

function describe({ output }: Context, parsed: Exclude<HashOrTicket, { kind: 'hash' }>): void {
  const { hash, format } = parsed.ticket
  const isOurs = parsed.kind === 'ticket'
  const peer = isOurs ? parsed.ticket.peerId : parsed.ticket.nodeId
  const addrs = isOurs ? parsed.ticket.addrs : parsed.ticket.addresses
  const relay = isOurs ? undefined : parsed.ticket.relayUrl
  output.result(
    { event: 'parsed', kind: parsed.kind, hash, format, peerId: peer, addrs, relayUrl: relay ?? null },
    [
      `hash     ${hash}`,
      `format   ${format}`,
      `${isOurs ? 'peer id ' : 'node id '} ${peer}`,
      ...addrs.map(addr => `address  ${addr}`),
      ...(relay === undefined ? [] : [`relay    ${relay}`]),
      ...(isOurs
        ? []
        : ['', 'a ticket of iroh: its node cannot be dialled by libp2p; name a peer with --peer'])
    ].join('\n')
  )
}

async function find({ store }: OpenHome, what: string, format?: BlobFormat): Promise<HashAndFormat> {
  const found = await findTagOrHash(store, what)
  const { hash } = found
  return { hash, format: found.format ?? format ?? (await formatOf(store, hash)) }
}

async function reachable(
  { home, output }: Context,
  { config }: OpenHome,
  given: readonly string[] | undefined
): Promise<{ readonly peerId: string; readonly addrs: readonly string[] }> {
  const serving = await findServing(home)
  if (given === undefined) {
    if (serving === undefined) throw new NotServingError(home)
    return serving
  }
  const key = await loadOrCreateIdentity(resolve(home, config.identity), {
    onWarning: text => output.warn(text)
  })
  return { peerId: peerIdFromPrivateKey(key).toString(), addrs: given }
}
