/** `blobs rm`: removes from the home. */
import { type Removed, removeBlob, removeTag } from '../node/remove.ts'
import { findTagOrHash } from '../node/tags.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobStore } from '../store/index.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { plural, unwrapped } from './format.ts'

const DESCRIPTION = `Remove from the home's store what a tag names, with all files of a collection; or one blob by its hash.

What another tag names, or has in its collection, stays. A blob that a tag holds is not removed by its hash, unless with --force,
which removes the tags that name it too. What a transfer or another command is using is removed all the same.`

interface RmFlags {
  readonly force?: boolean
}

export function rmCommand({ program, run }: Cli): void {
  program
    .command('rm')
    .summary('remove tags with what they name, or blobs')
    .description(unwrapped(DESCRIPTION))
    .argument('<tag|hash...>', 'names of tags, hashes or tickets')
    .option('--force', 'remove a blob also when a tag holds it')
    .addHelpText(
      'after',
      examples(
        ['blobs rm photos', 'what was added as "photos"'],
        ['blobs rm 5abb6c4e…', 'a blob that no tag holds'],
        ['blobs rm --force 5abb6c4e…', 'a blob, whoever holds it']
      )
    )
    .action((targets: string[], flags: RmFlags, command) =>
      run(command, context => rm(context, targets, flags))
    )
}

async function rm(context: Context, targets: readonly string[], flags: RmFlags): Promise<undefined> {
  const { output } = context
  await using opened = await openHome(context)
  for (const target of targets) {
    const { tags, blobs } = await remove(context, opened.store, target, flags)
    const names = tags.length === 0 ? '' : ` and the ${tags.length === 1 ? 'tag' : 'tags'} ${tags.join(', ')}`
    output.result({ event: 'removed', target, tags, blobs }, `removed ${plural(blobs, 'blob')}${names}`)
  }
}

async function remove(
  { signal }: Context,
  store: BlobStore,
  target: string,
  { force = false }: RmFlags
): Promise<Removed> {
  const found = await findTagOrHash(store, target)
  if ('name' in found) return await removeTag(store, found, { signal })
  const { hash } = found
  const removed = await removeBlob(store, hash, { signal, isForced: force })
  if (removed.blobs === 0 && removed.tags.length === 0) throw new BlobNotFoundError(hash)
  return removed
}
