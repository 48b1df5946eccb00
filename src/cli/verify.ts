/** `blobs verify`: reads blobs through to find damage. */
import type { Hash } from '../hash.ts'
import { parseWanted } from '../node/provider-list.ts'
import { type Verified, verifyBlob } from '../node/verify-blob.ts'
import { Links } from '../protocol/links.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobStore } from '../store/index.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { formatBytes, plural, unwrapped } from './format.ts'
import { LOCAL_MIN_BYTES, ProgressView } from './progress.ts'

const DESCRIPTION = `Read blobs in the home's store through, and tell which are damaged. Without a hash all are read.

Each is checked twice: against the tree of hashes it is served with, and as a whole by another implementation of BLAKE3.
A blob whose data is damaged is set aside: it is no longer served, and adding or getting it again brings it back; --remove
removes what was set aside, too. Without a hash it is also told which blobs are missing that a tag names. The exit code is 1
when anything is damaged or missing.`

interface VerifyFlags {
  readonly all?: boolean
  readonly remove?: boolean
}

export function verifyCommand({ program, run }: Cli): void {
  program
    .command('verify')
    .summary('look for damaged blobs')
    .description(unwrapped(DESCRIPTION))
    .argument('[hash...]', 'hashes or tickets')
    .option('--all', 'all blobs, which is what happens without a hash')
    .option('--remove', 'remove what is damaged')
    .addHelpText(
      'after',
      examples(
        ['blobs verify', 'all blobs'],
        ['blobs verify 5abb6c4e…', 'one blob'],
        ['blobs verify --remove', 'and remove what is damaged'],
        ['blobs verify --json', 'events for scripts: verified (one per blob), summary']
      )
    )
    .action((texts: string[], flags: VerifyFlags, command) =>
      run(command, context => verify(context, texts, flags))
    )
}

async function verify(context: Context, texts: readonly string[], flags: VerifyFlags): Promise<number> {
  const { output, signal } = context
  const hashes = texts.map(text => parseWanted(text).hash)
  await using opened = await openHome(context)
  const { store } = opened
  let blobs = 0
  let damaged = 0
  let mended = 0
  /** Blobs that are gone, although the store says that it has them. */
  const gone = new Set<string>()
  const isAll = flags.all || hashes.length === 0
  for await (const hash of isAll ? everyHash(store, signal) : hashes) {
    blobs++
    const state = await verifyOne(context, store, hash)
    if (state === 'mended') mended++
    if (state === 'missing') gone.add(hash.toString())
    if (state !== 'damaged') continue
    damaged++
    if (flags.remove) await store.delete(hash)
  }
  const missing = gone.size + (isAll ? await tellMissing(context, store, gone) : 0)
  const found =
    damaged === 0 ? 'none is damaged' : `${damaged} damaged${flags.remove ? ', removed' : ', set aside'}`
  const repaired = mended === 0 ? '' : `, ${mended} mended`
  const lost = missing === 0 ? '' : `, ${missing} missing`
  output.result(
    { event: 'summary', blobs, damaged, mended, missing },
    `${plural(blobs, 'blob')} read, ${found}${repaired}${lost}`
  )
  return damaged + missing === 0 ? EXIT.ok : EXIT.failed
}

/**
 * Tells of blobs that a tag names, itself or by a hash sequence, and that are not there.
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
    if (state !== 'absent') return state === 'complete'
    if (told.has(hash.toString())) return false
    missing++
    const event = { event: 'verified', hash, state: 'missing', bytes: 0, reason: `tag "${tag}" names it` }
    output.result(event, `${hash}  missing: tag "${tag}" names it`)
    return false
  }
  for await (const { name, hash, format } of store.tags.list({ signal })) {
    if (!(await look(hash, name)) || format === 'raw') continue
    await using links = await Links.open(store, hash, { signal })
    for await (const child of links) await look(child, name)
  }
  return missing
}

/** @returns what it is found to be; `missing` when it is gone although the store says that it has it */
async function verifyOne(
  { output, signal }: Context,
  store: BlobStore,
  hash: Hash
): Promise<Verified['state'] | 'missing'> {
  const view = new ProgressView(output, `verifying ${hash.toShortString()}`, { minBytes: LOCAL_MIN_BYTES })
  const status = await store.status(hash, { signal })
  const total = status.state === 'absent' ? undefined : status.size
  try {
    const { state, bytes, reason } = await verifyBlob(store, hash, {
      signal,
      onProgress: read => view.update({ bytes: read, total })
    })
    view.end()
    const event = { event: 'verified', hash, state, bytes, reason: reason ?? null }
    const why = reason === undefined ? '' : `: ${reason}`
    output.result(event, `${hash}  ${state}${why}${state === 'damaged' ? '' : `  ${formatBytes(bytes)}`}`)
    return state
  } catch (error) {
    if (!(error instanceof BlobNotFoundError) || status.state === 'absent') throw error
    view.end()
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

async function* everyHash(store: BlobStore, signal: AbortSignal): AsyncGenerator<Hash> {
  for await (const { hash } of store.list({ signal })) yield hash
}
