/** Collections in a store. */
import { readVerified } from '../bao/encoder.ts'
import { MissingChunksError } from '../bao/errors.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import {
  type CollectionEntry,
  decodeCollectionNames,
  encodeCollection,
  encodeCollectionMeta,
  InvalidCollectionError,
  isCollectionMeta
} from '../protocol/collection.ts'
import { MAX_COLLECTION_META_BYTES } from '../protocol/constants.ts'
import { isHashSequenceSize } from '../protocol/hash-sequence.ts'
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
 * @throws BlobNotFoundError, NotAHashSequenceError, CorruptSourceError
 * @throws InvalidCollectionError when it begins as a collection does, and then is none
 */
export async function readCollection(
  store: BlobStore,
  hash: Hash,
  options: WaitOptions = {}
): Promise<CollectionEntry[] | undefined> {
  await using links = await openLinks(store, hash, options)
  const names = await readNames(store, links, options)
  return names === undefined ? undefined : await Array.fromAsync(named(links, names))
}

/**
 * The same, one after the other, and with numbers for what has no names: `0.bin`, `1.bin`, in the order of a hash sequence.
 * In memory are the names as they came over the wire, and nothing else that grows with their number.
 *
 * @throws what {@link readCollection} throws
 */
export async function* collectionEntries(
  store: BlobStore,
  hash: Hash,
  options: WaitOptions = {}
): AsyncGenerator<CollectionEntry, void, undefined> {
  await using links = await openLinks(store, hash, options)
  const names = await readNames(store, links, options)
  yield* names === undefined ? numbered(links) : named(links, names)
}

/** What a blob without a name is called among `count` of them. */
export function numberedName(index: number, count: number): string {
  return `${index}`.padStart(`${Math.max(0, count - 1)}`.length, '0').concat('.bin')
}

/** Whether a blob is known to be a collection: by what the store holds, if only a part, of it and of its names. */
export async function isCollection(
  store: BlobStore,
  hash: Hash,
  options: WaitOptions = {}
): Promise<boolean> {
  const status = await store.status(hash, options)
  if (status.state === 'absent' || status.size === 0 || !isHashSequenceSize(status.size)) return false
  try {
    await using links = await Links.open(store, hash, options)
    return await isMeta(store, await links.link(0), options)
  } catch (error) {
    if (error instanceof MissingChunksError || error instanceof BlobNotFoundError) return false
    throw error
  }
}

/** @throws BlobNotFoundError when it is not in the store */
async function openLinks(store: BlobStore, hash: Hash, options: WaitOptions): Promise<Links> {
  const { state } = await store.status(hash, options)
  if (state !== 'complete') {
    throw new BlobNotFoundError(hash, state === 'absent' ? undefined : 'is not complete')
  }
  return await Links.open(store, hash, options)
}

async function* named(
  links: Links,
  names: Iterable<string>
): AsyncGenerator<CollectionEntry, void, undefined> {
  let link = 1
  for (const name of names) yield { name, hash: await links.link(link++) }
}

async function* numbered(links: Links): AsyncGenerator<CollectionEntry, void, undefined> {
  let index = 0
  for await (const hash of links) yield { name: numberedName(index++, links.count), hash }
}

/** Undefined when it has none. */
async function readNames(
  store: BlobStore,
  links: Links,
  options: WaitOptions
): Promise<Iterable<string> | undefined> {
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
  return decodeCollectionNames(await readBlob(store, metaHash, size, options), links.count - 1)
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
