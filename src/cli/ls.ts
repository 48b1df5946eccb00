/** `blobs ls`: what is in the home. */
import type { BlobInfo, BlobStore, Tag } from '../store/index.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { formatBytes, unwrapped } from './format.ts'
import { describeStatus } from './status.ts'

const DESCRIPTION = `List the blobs in the home's store, each with its size, what is held of it, and its tags.

With --tags list the tags instead: what they are called, and what they name.`

interface LsFlags {
  readonly tags?: boolean
}

export function lsCommand({ program, run }: Cli): void {
  program
    .command('ls')
    .summary('list blobs, or tags')
    .description(unwrapped(DESCRIPTION))
    .option('--tags', 'list the tags')
    .addHelpText(
      'after',
      examples(
        ['blobs ls', 'hash, size, state, tags'],
        ['blobs ls --tags', 'what was added or fetched'],
        ['blobs ls --json', 'events for scripts: blob; or with --tags: tag']
      )
    )
    .action((flags: LsFlags, command) => run(command, context => ls(context, flags)))
}

async function ls(context: Context, { tags }: LsFlags): Promise<undefined> {
  await using opened = await openHome(context)
  await (tags ? listTags(context, opened.store) : listBlobs(context, opened.store))
}

async function listTags({ output, signal }: Context, store: BlobStore): Promise<void> {
  for await (const { name, hash, format } of store.tags.list({ signal })) {
    output.result({ event: 'tag', name, hash, format }, `${hash}  ${format.padEnd(8)}  ${name}`)
  }
}

async function listBlobs({ output, signal }: Context, store: BlobStore): Promise<void> {
  const tags = Map.groupBy(await Array.fromAsync(store.tags.list({ signal })), ({ hash }) => hash.toString())
  for await (const blob of store.list({ signal })) {
    const names = (tags.get(blob.hash.toString()) ?? []).map(({ name }: Tag) => name)
    output.result({ event: 'blob', ...describeStatus(blob), tags: names }, line(blob, names))
  }
}

function line(blob: BlobInfo, tags: readonly string[]): string {
  const { size, state, held } = describeStatus(blob)
  const share = state === 'partial' && size > 0 ? ` ${Math.floor((held / size) * 100)} %` : ''
  const columns = [
    blob.hash.toString(),
    formatBytes(size).padStart(10),
    `${state}${share}`.padEnd(12),
    tags.join(', ')
  ]
  return columns.join('  ').trimEnd()
}
