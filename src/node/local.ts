/** What a store holds of a blob, with what it links to. */
import { EMPTY_HASH, type Hash } from '../hash.ts'
import type { BlobFormat, BlobStore, WaitOptions } from '../store/index.ts'
import { isCollection } from './collections.ts'
import { linksOf } from './tags.ts'

export interface Local {
  /** Whether the blob and, of a hash sequence, all its children are whole. */
  readonly isComplete: boolean
  /** Bytes of those that are whole, each counted once. */
  readonly size: number
  /** Blobs that are whole, each counted once. */
  readonly blobs: number
}

export async function localState(
  store: BlobStore,
  hash: Hash,
  format: BlobFormat,
  options: WaitOptions = {}
): Promise<Local> {
  const seen = new Set<string>()
  let isComplete = true
  let size = 0
  let blobs = 0
  const look = async (blob: Hash): Promise<void> => {
    const hex = blob.toString()
    if (seen.has(hex)) return
    seen.add(hex)
    const status = await store.status(blob, options)
    if (status.state !== 'complete') {
      isComplete = false
      return
    }
    size += status.size
    blobs++
  }
  await look(hash)
  if (format === 'hash_seq') for await (const link of linksOf(store, hash, options)) await look(link)
  return { isComplete, size, blobs }
}

/** What a hash means that comes without a format: what a tag says, else a collection if it is held and is one, else one blob. */
export async function formatOf(store: BlobStore, hash: Hash, options: WaitOptions = {}): Promise<BlobFormat> {
  if (hash.equals(EMPTY_HASH)) return 'raw'
  for await (const tag of store.tags.list(options)) if (tag.hash.equals(hash)) return tag.format
  return (await isCollection(store, hash, options)) ? 'hash_seq' : 'raw'
}
