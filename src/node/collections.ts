/** Collections in a store. */
import { readVerified } from '../bao/encoder.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import { HASH_BYTES, type Hash } from '../hash.ts'
import {
  type CollectionEntry,
  decodeCollection,
  encodeCollection,
  encodeCollectionMeta,
  InvalidCollectionError,
  isCollectionMeta
} from '../protocol/collection.ts'
import { MAX_COLLECTION_META_BYTES } from '../protocol/constants.ts'
import { HashSequence } from '../protocol/hash-sequence.ts'
import { Links } from '../protocol/links.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { AddOptions, AddResult, BlobStore, WaitOptions } from '../store/index.ts'

/** The collection's own blob, and that of its names. */
export interface StoredCollection {
  readonly root: AddResult
  readonly meta: AddResult
}

/** Adds the two blobs that make a collection of blobs. */
export async function addCollection(
  store: BlobStore,
  entries: readonly CollectionEntry[],
  options: WaitOptions & Pick<AddOptions, 'lease'> = {}
): Promise<StoredCollection> {
  const meta = await store.addBytes(encodeCollectionMeta(entries.map(({ name }) => name)), options)
  const root = await store.addBytes(encodeCollection(meta.hash, entries).bytes, options)
  return { root, meta }
}

/**
 * The names and blobs of a collection whose own blob and names are in the store; undefined when it is a hash sequence of
 * another kind. The names are as they came: see `safe-name.ts`.
 *
 * @throws NotAHashSequenceError, BlobNotFoundError, CorruptSourceError
 * @throws InvalidCollectionError when it begins as a collection does, and then is none
 */
export async function readCollection(
  store: BlobStore,
  hash: Hash,
  options: WaitOptions = {}
): Promise<CollectionEntry[] | undefined> {
  await using links = await Links.open(store, hash, options)
  if (links.count === 0) return undefined
  const metaHash = await links.link(0)
  if (!(await isMeta(store, metaHash, options))) return undefined
  const status = await store.status(metaHash, options)
  const size = status.state === 'absent' ? 0 : status.size
  // Each link but the first has a name, of at least one byte: more links than that cannot be right, whatever is claimed.
  if (size > MAX_COLLECTION_META_BYTES || links.count > size) {
    throw new InvalidCollectionError(`not a collection: ${links.count} links, ${size} bytes of names`, 0)
  }
  if (status.state !== 'complete') throw new BlobNotFoundError(metaHash, 'is not complete')
  const sequence = await readBlob(store, hash, links.count * HASH_BYTES, options)
  return decodeCollection(HashSequence.fromBytes(sequence), await readBlob(store, metaHash, size, options))
}

/** Whether a blob begins as the names of a collection do. */
async function isMeta(store: BlobStore, hash: Hash, options: WaitOptions): Promise<boolean> {
  await using reader = await store.open(hash, { ...options, ranges: ChunkRanges.range(0, 1) })
  if (reader === undefined) throw new BlobNotFoundError(hash)
  for await (const { bytes } of readVerified(hash, reader, ChunkRanges.range(0, 1), options)) {
    return isCollectionMeta(bytes)
  }
  return false
}

async function readBlob(
  store: BlobStore,
  hash: Hash,
  size: number,
  options: WaitOptions
): Promise<Uint8Array> {
  await using reader = await store.open(hash, options)
  if (reader === undefined) throw new BlobNotFoundError(hash)
  const blob = new Uint8Array(size)
  for await (const { offset, bytes } of readVerified(hash, reader, ChunkRanges.all, options))
    blob.set(bytes, offset)
  return blob
}
