/** Removing blobs, without taking from others what they hold. */
import type { Hash } from '../hash.ts'
import type { BlobFormat, BlobStore, Tag, WaitOptions } from '../store/index.ts'
import { findHolders, linksOf, tagsOf, untag } from './tags.ts'

/** A tag says that the blob is to be kept. */
export class BlobHeldError extends Error {
  override readonly name = 'BlobHeldError'
  readonly code = 'ERR_BLOB_HELD'

  constructor(hash: Hash | string, tag: string) {
    const word = /^[\w./-]+$/.test(tag) ? tag : JSON.stringify(tag)
    super(`blob ${hash} is held by the tag "${tag}"; remove that with: blobs rm ${word} (or use --force)`)
  }
}

/** What was removed. */
export interface Removed {
  readonly tags: readonly string[]
  readonly blobs: number
}

/** Blobs that are compared with what is held by tags at a time, so that memory is bounded. */
const WINDOW = 8192

/** Removes a tag, and of the blobs it held those that no other tag holds. */
export async function removeTag(store: BlobStore, tag: Tag, options: WaitOptions = {}): Promise<Removed> {
  // The tag goes last: when this is interrupted, it can be done again.
  const blobs = await removeTree(store, tag.hash, tag.format, tag.name, options)
  await untag(store, tag)
  return { tags: [tag.name], blobs }
}

/**
 * Removes one blob.
 *
 * @param isForced removes the tags that name it as well, and what only they held
 * @throws BlobHeldError when a tag holds it and it is not forced
 */
export async function removeBlob(
  store: BlobStore,
  hash: Hash,
  options: WaitOptions & { readonly isForced?: boolean } = {}
): Promise<Removed> {
  const holder = (await findHolders(store, new Set([hash.toString()]), options)).get(hash.toString())
  if (holder !== undefined && options.isForced !== true) throw new BlobHeldError(hash, holder.name)
  const tags = await tagsOf(store, hash, options)
  let blobs = 0
  for (const tag of tags) blobs += (await removeTag(store, tag, options)).blobs
  if (await store.delete(hash)) blobs++
  return { tags: tags.map(({ name }) => name), blobs }
}

async function removeTree(
  store: BlobStore,
  hash: Hash,
  format: BlobFormat,
  tag: string,
  options: WaitOptions
): Promise<number> {
  let removed = 0
  let window = new Map<string, Hash>()
  const removeWindow = async (): Promise<void> => {
    const held = await findHolders(store, new Set(window.keys()), { ...options, except: tag })
    for (const [hex, blob] of window) if (!held.has(hex) && (await store.delete(blob))) removed++
    window = new Map()
  }
  if (format === 'hash_seq') {
    for await (const link of linksOf(store, hash, options)) {
      window.set(link.toString(), link)
      if (window.size === WINDOW) await removeWindow()
    }
  }
  await removeWindow()
  // Without the list nobody would know the rest.
  window.set(hash.toString(), hash)
  await removeWindow()
  return removed
}
