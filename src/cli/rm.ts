/** `blobs rm`: removes from the home. */
import { type Removed, removeBlob, removeTag } from '../node/remove.ts'
import { findTagOrHash } from '../node/tags.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobStore } from '../store/index.ts'
import type { RmFlags } from './commands/rm.ts'
import type { Context } from './context.ts'
import { plural } from './format.ts'
import { openHome } from './open-home.ts'

export async function rm(context: Context, targets: readonly string[], flags: RmFlags): Promise<undefined> {
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
