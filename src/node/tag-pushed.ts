/** Keeping what peers push. */
import type { Hash } from '../hash.ts'
import type { ReceivedPush } from '../protocol/respond.ts'
import type { BlobStore } from '../store/index.ts'
import { tagsOf } from './tags.ts'

/** What the tag of a pushed blob is called: `pushed/` and its hash. */
export function pushedTagName(hash: Hash): string {
  return `pushed/${hash}`
}

/**
 * Tags what has been pushed, unless a tag keeps it already. A blob of which only a part came is not tagged: nobody could use it.
 */
export async function tagPushed(
  store: BlobStore,
  { hash, format }: Pick<ReceivedPush, 'hash' | 'format'>
): Promise<void> {
  if ((await store.status(hash)).state !== 'complete') return
  const tags = await tagsOf(store, hash)
  // A tag for the blob alone does not keep what it links to.
  if (tags.some(tag => format === 'raw' || tag.format === 'hash_seq')) return
  await store.tags.set(pushedTagName(hash), { hash, format })
}
