/** What `serve` and `send` have in common: a node that tells where it is, and serves until it is told to stop. */

import type { Hash } from '../hash.ts'
import type { PushedBlobs, ServedRequest } from '../libp2p/index.ts'
import type { Config } from '../node/config.ts'
import type { BlobsNode } from '../node/create-node.ts'
import type { BlobFormat, BlobStore } from '../store/index.ts'
import type { Context } from './context.ts'
import { formatBytes, plural, quoted } from './format.ts'
import { OutputClosedError } from './interrupted.ts'

/** The node cannot listen where it was told to. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code = 'ERR_LISTEN'

  constructor(addrs: readonly string[], cause: Error) {
    super(`cannot listen at ${addrs.join(', ')}: ${whyNotListening(cause.message)}`, { cause })
  }
}

const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use already; choose another one, or 0 for a free one',
  EADDRNOTAVAIL: 'this machine does not have this address; 0.0.0.0 stands for all that it has',
  EACCES: 'permission denied; ports below 1024 are for the administrator'
}

/** libp2p tells of all addresses in one text, with the stack of each. */
function whyNotListening(message: string): string {
  const [, code, rest] = /\b(E[A-Z]{4,})\b:?([^\n]*)/.exec(message) ?? []
  return LISTEN_REASONS[code ?? ''] ?? `${code ?? ''}${rest ?? message.split('\n')[0]}`
}

/** A thing that is shared. */
export interface Shared {
  readonly hash: Hash
  readonly format: BlobFormat
  /** Bytes of it and of all that it links to. */
  readonly size: number
  /** What to call it. */
  readonly name: string
}

/** Starts the home's node on a store that is open already, and tells where it can be reached. */
export async function startServing(context: Context, config: Config, store: BlobStore): Promise<BlobsNode> {
  const { home, output } = context
  // Loaded when it is needed: libp2p takes longer to load than most commands to run.
  const { createNode } = await import('../node/create-node.ts')
  const node = await createNode({
    ...config,
    home,
    store,
    onWarning: text => output.warn(text),
    onGarbage: ({ blobs, bytes }) => {
      if (blobs > 0) output.note(`collected garbage: ${plural(blobs, 'blob')}, ${formatBytes(bytes)}`)
    }
  }).catch((error: unknown) => {
    throw isListenFailure(error) ? new ListenError(config.listen, error) : error
  })
  node.blobs.addEventListener('request', ({ detail }) => output.detail(describe(detail)))
  node.blobs.addEventListener('pushed', ({ detail }) => tellPushed(context, detail))
  const { peerId, addrs } = node
  output.result(
    { event: 'listening', peerId, addrs },
    [
      `peer id    ${peerId}`,
      ...addrs.map((addr, i) => `${i === 0 ? 'listening' : ''}`.padEnd(11) + addr)
    ].join('\n')
  )
  return node
}

/** Prints a ticket, and how to use it. */
export function printTicket({ output }: Context, ticket: string, { hash, format, size, name }: Shared): void {
  output.result(
    { event: 'ticket', ticket, hash, format, size, name },
    [
      '',
      `${quoted(name)} (${formatBytes(size)}) can be fetched with:`,
      '',
      `  npx blobs receive ${ticket}`
    ].join('\n')
  )
}

/** Resolves when the program is told to stop, which is how serving ends. @throws OutputClosedError */
export async function untilStopped({ signal }: Context): Promise<void> {
  if (!signal.aborted) {
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
  }
  if (signal.reason instanceof OutputClosedError) throw signal.reason
}

/** It changes what the store holds, so it is told without being asked for. */
function tellPushed({ output }: Context, { peer, hash, format, bytes, blobs }: PushedBlobs): void {
  output.result({ event: 'pushed', peer: peer.toString(), hash, format, bytes, blobs })
  const what = format === 'raw' ? `${hash}` : `${hash} and ${plural(blobs, 'blob')} of it`
  output.note(`${peer} has pushed ${what} (${formatBytes(bytes)})`)
}

function describe({ peer, request, bytes, ms, error }: ServedRequest): string {
  const what = request === undefined ? 'something that cannot be read' : request.type
  const hash = request !== undefined && 'hash' in request ? ` ${request.hash.toShortString()}` : ''
  const failure =
    error === undefined || error === null
      ? ''
      : `, not in full: ${error instanceof Error ? error.message : error}`
  return `${peer}: ${what}${hash}, ${formatBytes(bytes)} in ${Math.round(ms)} ms${failure}`
}

/** libp2p tells by the name alone. */
function isListenFailure(error: unknown): error is Error {
  return error instanceof Error && /Listen|NoValidAddresses|EADDR/.test(`${error.name} ${error.message}`)
}
