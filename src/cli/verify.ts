/** `blobs verify`: reads blobs through to find damage. */
import { CHUNK_BYTES } from '../bao/constants.ts'
import { groupCount } from '../bao/geometry.ts'
import type { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { parseWanted } from '../node/provider-list.ts'
import { unfinishedSince } from '../node/unfinished.ts'
import { type Lost, type Verified, verifyBlob } from '../node/verify-blob.ts'
import { Links } from '../protocol/links.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobStore } from '../store/index.ts'
import { countGroups } from '../store/wrong-groups.ts'
import type { VerifyFlags } from './commands/verify.ts'
import type { Context } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { formatBytes, plural } from './format.ts'
import { openHome } from './open-home.ts'
import { LOCAL_MIN_BYTES, ProgressView } from './progress.ts'

/** Byte ranges that are printed of a damaged blob. */
const MOST_TOLD = 4

/** What to verify is named in two ways. */
class VerifyUsageError extends Error {
  override readonly name = 'VerifyUsageError'
  readonly code = 'ERR_USAGE'

  constructor() {
    super('--all reads all blobs: name hashes or give --all, not both')
  }
}

export async function verify(
  context: Context,
  texts: readonly string[],
  flags: VerifyFlags
): Promise<number> {
  const { output, signal } = context
  if (flags.all && texts.length > 0) throw new VerifyUsageError()
  const hashes = texts.map(text => parseWanted(text).hash)
  await using opened = await openHome(context)
  const { store } = opened
  let blobs = 0
  let damaged = 0
  let mended = 0
  /** Blobs that are gone, although the store says that it has them. */
  let gone = 0
  /** Blobs of which something bad has been said. */
  const told = new Set<string>()
  const isAll = hashes.length === 0
  for await (const hash of isAll ? everyHash(store, signal) : hashes) {
    const state = await verifyOne(context, store, hash, isAll)
    if (state === 'deleted') continue
    blobs++
    if (state === 'mended') mended++
    if (state !== 'missing' && state !== 'damaged') continue
    told.add(hash.toString())
    if (state === 'missing') gone++
    if (state !== 'damaged') continue
    damaged++
    if (flags.remove) await store.delete(hash)
  }
  const missing = gone + (isAll ? await tellMissing(context, store, told) : 0)
  const found =
    damaged === 0
      ? 'none is damaged'
      : `${damaged} damaged${flags.remove ? ', removed' : ', to be fetched again'}`
  const repaired = mended === 0 ? '' : `, ${mended} mended`
  const lost = missing === 0 ? '' : `, ${missing} missing`
  output.result(
    { event: 'summary', blobs, damaged, mended, missing },
    `${plural(blobs, 'blob')} read, ${found}${repaired}${lost}`
  )
  if (damaged > 0) return EXIT.badData
  return missing > 0 ? EXIT.failed : EXIT.ok
}

/**
 * Tells of blobs that a tag names, itself or by a hash sequence, and that are not there, or not all there.
 *
 * @param told blobs of which it has been said already
 * @returns how many
 */
async function tellMissing(
  { output, signal }: Context,
  store: BlobStore,
  told: ReadonlySet<string>
): Promise<number> {
  let missing = 0
  const look = async (hash: Hash, tag: string): Promise<boolean> => {
    const { state } = await store.status(hash, { signal })
    if (state === 'complete') return true
    if (told.has(hash.toString())) return false
    missing++
    const found = state === 'absent' ? 'missing' : 'incomplete'
    const event = { event: 'verified', hash, state: found, bytes: 0, reason: `tag "${tag}" names it` }
    output.result(event, `${hash}  ${found}: tag "${tag}" names it; get it again`)
    return false
  }
  for await (const { name, hash, format } of store.tags.list({ signal })) {
    // Of that it is known that it is not all there.
    if (unfinishedSince(name) !== undefined) continue
    if (!(await look(hash, name)) || format === 'raw') continue
    await using links = await Links.open(store, hash, { signal })
    for await (const child of links) await look(child, name)
  }
  return missing
}

/**
 * @param wasListed whether the store had it a moment ago
 * @returns what it is found to be; `missing` when it is gone although the store says that it has it, `deleted` when it was listed and
 *   the store has it no more
 */
async function verifyOne(
  { output, signal }: Context,
  store: BlobStore,
  hash: Hash,
  wasListed: boolean
): Promise<Verified['state'] | 'missing' | 'deleted'> {
  const view = new ProgressView(output, `verifying ${hash.toShortString()}`, { minBytes: LOCAL_MIN_BYTES })
  const status = await store.status(hash, { signal })
  const total = status.state === 'absent' ? undefined : status.size
  try {
    const verified = await verifyBlob(store, hash, {
      signal,
      onProgress: read => view.update({ bytes: read, total })
    })
    view.end()
    const { state, bytes, reason, lost } = verified
    const event = { event: 'verified', hash, state, bytes, reason: reason ?? null }
    if (lost === undefined) {
      const why = reason === undefined ? '' : `: ${reason}`
      output.result(event, `${hash}  ${state}${why}  ${formatBytes(bytes)}`)
    } else tellLost(output, event, lost)
    return state
  } catch (error) {
    if (!(error instanceof BlobNotFoundError)) throw error
    view.end()
    if (wasListed && (await store.status(hash, { signal })).state === 'absent') return 'deleted'
    if (status.state === 'absent') throw error
    const { message: reason } = error
    output.result(
      { event: 'verified', hash, state: 'missing', bytes: 0, reason },
      `${hash}  missing: ${reason}`
    )
    return 'missing'
  } finally {
    view.end()
  }
}

function tellLost(
  output: Context['output'],
  event: { readonly event: string; readonly hash: Hash; readonly reason: string | null },
  lost: Lost | 'all'
): void {
  const { hash, reason } = event
  const what = `${hash}  damaged: ${reason}`
  if (lost === 'all') {
    const told = `${what}; nothing of it can be used: add or get it again`
    output.result({ ...event, wrong: 'all', wrongGroups: null }, told)
    return
  }
  const { ranges, size } = lost
  const wrongGroups = countGroups(ranges)
  const told =
    `${what}; ${wrongGroups} of ${plural(groupCount(size), 'group')} wrong (bytes ${tellBytes(ranges, size)}); ` +
    `to repair it: blobs get ${hash} --peer …`
  output.result({ ...event, wrong: ranges.toString(), wrongGroups }, told)
}

function tellBytes(ranges: ChunkRanges, size: number): string {
  const told = Array.from(ranges.first(MOST_TOLD), ([start, end]) => {
    const stop = Math.min(Number(end ?? start) * CHUNK_BYTES, size)
    return `${Number(start) * CHUNK_BYTES}..${stop}`
  })
  return `${told.join(', ')}${ranges.boundaries.length > 2 * MOST_TOLD ? ', …' : ''}`
}

async function* everyHash(store: BlobStore, signal: AbortSignal): AsyncGenerator<Hash> {
  for await (const { hash } of store.list({ signal })) yield hash
}
