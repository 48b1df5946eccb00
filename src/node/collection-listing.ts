/** What a store holds of each blob of a collection, told one after the other: however many there are, few are in memory. */
import type { Hash } from '../hash.ts'
import { Links } from '../protocol/links.ts'
import type { BlobStatus, BlobStore, WaitOptions } from '../store/index.ts'
import { collectionEntries, isCollection } from './collections.ts'

/** Blobs whose status is asked for at the same time. */
const WINDOW = 64

export interface ListedLink {
  readonly hash: Hash
  readonly status: BlobStatus
}

export interface ListedEntry extends ListedLink {
  /** As it came: see `safe-name.ts`. */
  readonly name: string
}

/**
 * The names of a collection, in its order, with what is held of each. A hash sequence without names has numbers for them.
 *
 * @throws what `collectionEntries` throws: its own blob and its names have to be in the store
 */
export async function* listCollection(
  store: BlobStore,
  hash: Hash,
  options: WaitOptions = {}
): AsyncGenerator<ListedEntry, void, undefined> {
  yield* withStatus(store, collectionEntries(store, hash, options), options)
}

/**
 * The same without the names, which need not be there.
 *
 * @throws NotAHashSequenceError, CorruptSourceError
 */
export async function* listLinks(
  store: BlobStore,
  hash: Hash,
  options: WaitOptions = {}
): AsyncGenerator<ListedLink, void, undefined> {
  const isNamed = await isCollection(store, hash, options)
  await using links = await Links.open(store, hash, options)
  yield* withStatus(store, linksFrom(links, isNamed ? 1 : 0), options)
}

async function* linksFrom(
  links: Links,
  first: number
): AsyncGenerator<{ readonly hash: Hash }, void, undefined> {
  for (let i = first; i < links.count; i++) yield { hash: await links.link(i) }
}

/** Looks some up at a time, and keeps their order. */
async function* withStatus<T extends { readonly hash: Hash }>(
  store: BlobStore,
  items: AsyncIterable<T>,
  options: WaitOptions
): AsyncGenerator<T & ListedLink, void, undefined> {
  let window: T[] = []
  const look = async (): Promise<(T & ListedLink)[]> =>
    await Promise.all(window.map(async item => ({ ...item, status: await store.status(item.hash, options) })))
  for await (const item of items) {
    window.push(item)
    if (window.length < WINDOW) continue
    yield* await look()
    window = []
  }
  yield* await look()
}
