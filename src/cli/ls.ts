/** `blobs ls`: what is in the home, or in a collection. */
import { listCollection } from '../node/collection-listing.ts'
import { formatOf } from '../node/local.ts'
import { findTagOrHash } from '../node/tags.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobInfo, BlobStore, Tag } from '../store/index.ts'
import type { LsFlags } from './commands/ls.ts'
import type { Context } from './context.ts'
import { formatBytes, printableName } from './format.ts'
import { describeStatus, formatRanges, formatState, heldRanges } from './held.ts'
import { openHome } from './open-home.ts'

/** Of `partial 100 %`. */
const STATE_CHARS = 12

export async function ls(
  context: Context,
  collection: string | undefined,
  flags: LsFlags
): Promise<undefined> {
  await using opened = await openHome(context)
  const { store } = opened
  using _ = context.output.gatherResults()
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
  const ranges = hasRanges ? heldRanges(blob.status) : []
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
