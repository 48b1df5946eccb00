/**
 * Tags that keep what has come of a collection from being taken for garbage until the rest comes: its files are blobs of their own,
 * and many of them are complete when a fetch is cut off.
 *
 * Such a tag is called `unfinished/<hash>/<ms since 1970>`. It is no longer heeded, and deleted, when it is older than partial
 * blobs may become.
 */
import type { Hash } from '../hash.ts'
import type { BlobStore, WaitOptions } from '../store/index.ts'

const NAME = /^unfinished\/[0-9a-f]{64}\/(\d{1,15})$/

/** When the fetch was begun, in ms since 1970; undefined when the tag is another one. */
export function unfinishedSince(tag: string): number | undefined {
  const [, since] = NAME.exec(tag) ?? []
  return since === undefined ? undefined : Number(since)
}

/** Says that a hash sequence with its children is being fetched. */
export async function markUnfinished(store: BlobStore, hash: Hash, options: WaitOptions = {}): Promise<void> {
  const name = `${prefixOf(hash)}${Date.now()}`
  await store.tags.set(name, { hash, format: 'hash_seq' })
  for (const other of await namesOf(store, hash, options)) if (other !== name) await store.tags.delete(other)
}

/** Says that it is there, or that nothing is. */
export async function unmarkUnfinished(store: BlobStore, hash: Hash): Promise<void> {
  for (const name of await namesOf(store, hash)) await store.tags.delete(name)
}

function prefixOf(hash: Hash): string {
  return `unfinished/${hash}/`
}

async function namesOf(store: BlobStore, hash: Hash, options: WaitOptions = {}): Promise<string[]> {
  const tags = store.tags.list({ ...options, prefix: prefixOf(hash) })
  return await Array.fromAsync(tags, ({ name }) => name)
}
