/** `blobs status`: what is held of some blobs, here or at a peer. */
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Hash } from '../hash.ts'
import { listLinks } from '../node/collection-listing.ts'
import { formatOf } from '../node/local.ts'
import { parsePeer, parseWanted } from '../node/provider-list.ts'
import { tagsOf } from '../node/tags.ts'
import { NotAvailableError } from '../protocol/errors.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobInfo, BlobStore } from '../store/index.ts'
import { statusOf, wholeRange } from '../store/status.ts'
import { startClient } from './client-node.ts'
import type { StatusFlags } from './commands/status.ts'
import type { Context } from './context.ts'
import { formatBytes } from './format.ts'
import { describeStatus, formatRanges, formatState, type HeldFields, heldRanges } from './held.ts'
import { type OpenHome, openHome } from './open-home.ts'

/** The peer's software is older than this question, or another one. */
export class NotToldError extends Error {
  override readonly name = 'NotToldError'
  readonly code = 'ERR_NOT_TOLD'

  constructor(peer: string) {
    super(`${peer} does not tell what it holds: it does not know the request for it (Observe)`)
  }
}

export async function status(
  context: Context,
  texts: readonly string[],
  { peer }: StatusFlags
): Promise<undefined> {
  const hashes = texts.map(text => parseWanted(text).hash)
  const from = peer === undefined ? undefined : parsePeer(peer)
  await using opened = await openHome(context)
  if (from === undefined) await tellHeldHere(context, opened, hashes)
  else await tellHeldThere(context, opened, hashes, from)
}

async function tellHeldHere(
  { output, signal }: Context,
  { store }: OpenHome,
  hashes: readonly Hash[]
): Promise<void> {
  for (const hash of hashes) {
    const found = await store.status(hash, { signal })
    if (found.state === 'absent') throw new BlobNotFoundError(hash)
    const tags = (await tagsOf(store, hash, { signal })).map(({ name }) => name)
    const { fields, lines } = described({ hash, status: found })
    const children = await countChildren(store, hash, signal)
    output.result(
      { event: 'status', ...fields, children: children ?? null, tags },
      [...lines, ...files(children), `tags    ${tags.join(', ') || 'none'}`].join('\n')
    )
  }
}

async function tellHeldThere(
  context: Context,
  opened: OpenHome,
  hashes: readonly Hash[],
  from: Multiaddr
): Promise<void> {
  const { output, signal } = context
  const peer = from.toString()
  await using client = await startClient(context, opened)
  for (const hash of hashes) {
    const item = await client.node.blobs.observeOnce(hash, { from, signal })
    if (item === undefined) throw new NotToldError(peer)
    const { size, ranges } = item
    const found = statusOf(size, ranges.intersect(wholeRange(size)))
    if (found.state === 'absent') throw new NotAvailableError(hash, 0)
    const { fields, lines } = described({ hash, status: found })
    output.result({ event: 'status', ...fields, peer }, [...lines, `peer    ${peer}`].join('\n'))
  }
}

/** What is the same wherever the blob is. */
function described(info: Pick<BlobInfo, 'hash' | 'status'>): {
  fields: HeldFields & { ranges: ReturnType<typeof heldRanges> }
  lines: string[]
} {
  const fields = describeStatus(info)
  const { state, size } = fields
  const ranges = heldRanges(info.status)
  const proven = fields.isSizeProven ? '' : ', as somebody claims'
  const held = state === 'complete' ? 'all' : `${formatBytes(fields.held)} in ${formatRanges(ranges, size)}`
  const lines = [
    `hash    ${info.hash}`,
    `state   ${formatState(fields)}`,
    `size    ${size} (${formatBytes(size)}${proven})`,
    `held    ${held}`
  ]
  return { fields: { ...fields, ranges }, lines }
}

/** Files of a collection by what is held of them, as often as they are in it. */
interface Children {
  complete: number
  partial: number
  absent: number
}

/** Undefined for what is no collection, as far as the store knows. */
async function countChildren(
  store: BlobStore,
  hash: Hash,
  signal: AbortSignal
): Promise<Children | undefined> {
  const { state } = await store.status(hash, { signal })
  if (state !== 'complete' || (await formatOf(store, hash, { signal })) === 'raw') return undefined
  const children = { complete: 0, partial: 0, absent: 0 }
  for await (const { status } of listLinks(store, hash, { signal })) children[status.state]++
  return children
}

function files(children: Children | undefined): string[] {
  if (children === undefined) return []
  const { complete, partial, absent } = children
  return [`files   ${complete} complete, ${partial} partial, ${absent} absent`]
}
