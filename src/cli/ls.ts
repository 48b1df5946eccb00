/** `blobs ls`: what is in the home, or in a collection. */
import { listCollection } from '../node/collection-listing.ts'
import { formatOf } from '../node/local.ts'
import { findTagOrHash } from '../node/tags.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobInfo, BlobStore, Tag } from '../store/index.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { formatBytes, printableName, unwrapped } from './format.ts'
import { describeStatus, formatRanges, formatState, heldRanges } from './held.ts'

const DESCRIPTION = `List the blobs in the home's store, each with its size, what is held of it, and its tags.

With --partial list only those of which a part is held, and which part: ranges of bytes, "…" being the end.

With --tags list the tags instead: what they are called, and what they name.

With COLLECTION (the name of a tag, a hash or a ticket) list the names in it, with the size and what is held of each. Nobody is
asked: its own blob and its names have to be in the store. Nobody knows the size of what is absent: it is shown as "-".`

/** Of `partial 100 %`. */
const STATE_CHARS = 12

interface LsFlags {
  readonly tags?: boolean
  readonly partial?: boolean
}

export function lsCommand({ program, run }: Cli): void {
  const command = program.command('ls')
  command
    .summary('list blobs, tags, or what is in a collection')
    .description(unwrapped(DESCRIPTION))
    .argument('[collection]', 'list what is in this')
    .addOption(command.createOption('--tags', 'list the tags').conflicts('partial'))
    .option('--partial', 'list only what is held in part')
    .addHelpText(
      'after',
      examples(
        ['blobs ls', 'hash, size, state, tags'],
        ['blobs ls --partial', 'what is still to be fetched'],
        ['blobs ls --tags', 'what was added or fetched'],
        ['blobs ls photos', 'the files in it: size, state, name'],
        ['blobs ls --json', 'events for scripts: blob; with --tags: tag; of a collection: entry']
      )
    )
    .action((collection: string | undefined, flags: LsFlags, self) =>
      run(self, context => ls(context, collection, flags))
    )
}

async function ls(context: Context, collection: string | undefined, flags: LsFlags): Promise<undefined> {
  await using opened = await openHome(context)
  const { store } = opened
  if (collection !== undefined) await listEntries(context, store, collection, flags)
  else if (flags.tags) await listTags(context, store)
  else await listBlobs(context, store, flags)
}

async function listTags({ output, signal }: Context, store: BlobStore): Promise<void> {
  for await (const { name, hash, format } of store.tags.list({ signal })) {
    output.result({ event: 'tag', name, hash, format }, `${hash}  ${format.padEnd(8)}  ${name}`)
  }
}

async function listBlobs({ output, signal }: Context, store: BlobStore, { partial }: LsFlags): Promise<void> {
  const tags = Map.groupBy(await Array.fromAsync(store.tags.list({ signal })), ({ hash }) => hash.toString())
  for await (const blob of store.list({ signal })) {
    if (partial && blob.status.state !== 'partial') continue
    const names = (tags.get(blob.hash.toString()) ?? []).map(({ name }: Tag) => name)
    tellBlob(output, blob, names, partial)
  }
}

function tellBlob(
  output: Context['output'],
  blob: Pick<BlobInfo, 'hash' | 'status'>,
  tags: readonly string[],
  hasRanges = false
): void {
  const fields = describeStatus(blob)
  const ranges = heldRanges(blob.status)
  const columns = [
    fields.hash,
    formatBytes(fields.size).padStart(10),
    formatState(fields).padEnd(STATE_CHARS),
    ...(hasRanges ? [formatRanges(ranges, fields.size)] : []),
    tags.join(', ')
  ]
  output.result(
    { event: 'blob', ...fields, ...(hasRanges ? { ranges } : {}), tags },
    columns.join('  ').trimEnd()
  )
}

async function listEntries(
  { output, signal }: Context,
  store: BlobStore,
  text: string,
  { partial }: LsFlags
): Promise<void> {
  const found = await findTagOrHash(store, text)
  const { hash } = found
  const format = found.format ?? (await formatOf(store, hash, { signal }))
  if (format === 'raw') {
    const status = await store.status(hash, { signal })
    if (status.state === 'absent') throw new BlobNotFoundError(hash)
    output.note(`${hash} is a single blob, with no names in it`)
    tellBlob(output, { hash, status }, [], partial)
    return
  }
  for await (const { name, hash: blob, status } of listCollection(store, hash, { signal })) {
    if (partial && status.state !== 'partial') continue
    const fields = describeStatus({ hash: blob, status })
    const ranges = heldRanges(status)
    const { size } = fields
    const columns = [
      (size === null ? '-' : formatBytes(size)).padStart(10),
      formatState(fields).padEnd(STATE_CHARS),
      ...(partial && size !== null ? [formatRanges(ranges, size)] : []),
      printableName(name)
    ]
    const event = { event: 'entry', name, ...fields, ...(partial ? { ranges } : {}) }
    output.result(event, columns.join('  '))
  }
}
