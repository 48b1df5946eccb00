/** Naming what is meant to be kept, and finding who holds what. */
import type { Hash } from '../hash.ts'
import { InvalidHashOrTicketError } from '../protocol/hash-or-ticket.ts'
import { Links } from '../protocol/links.ts'
import { InvalidTagNameError } from '../store/errors.ts'
import type { BlobStore, HashAndFormat, Tag, WaitOptions } from '../store/index.ts'
import { nameOfHash } from './export-plan.ts'
import { parseWanted, type Wanted } from './provider-list.ts'

/**
 * Sets a tag, called as `name` if that is free or means the same already, else with the hash behind it. Setting the same again
 * changes nothing.
 *
 * @returns the name
 */
export async function addTag(store: BlobStore, name: string, value: HashAndFormat): Promise<string> {
  const suffix = nameOfHash(value.hash)
  const wanted = name === '' ? suffix : name
  const before = await store.tags.get(wanted)
  const isFree = before === undefined || before.hash.equals(value.hash)
  const chosen = isFree ? wanted : `${wanted}-${suffix}`
  await store.tags.set(chosen, value)
  return chosen
}

/** The tags of one blob, in the order of their names. */
export async function tagsOf(store: BlobStore, hash: Hash, options: WaitOptions = {}): Promise<Tag[]> {
  const tags: Tag[] = []
  for await (const tag of store.tags.list(options)) if (tag.hash.equals(hash)) tags.push(tag)
  return tags
}

/** Deletes a tag of a blob, unless others have given its name to another one meanwhile. */
export async function untag(store: BlobStore, { name, hash }: Pick<Tag, 'name' | 'hash'>): Promise<void> {
  const tag = await store.tags.get(name)
  if (tag?.hash.equals(hash)) await store.tags.delete(name)
}

/**
 * Which of some blobs are held by a tag: named by it, or linked to by the hash sequence that it names.
 *
 * @param hashes in hex
 * @param options `except` names a tag that does not count
 * @returns the tag by the hash
 */
export async function findHolders(
  store: BlobStore,
  hashes: ReadonlySet<string>,
  options: WaitOptions & { readonly except?: string } = {}
): Promise<Map<string, Tag>> {
  const holders = new Map<string, Tag>()
  const note = (hash: Hash, tag: Tag): void => {
    const hex = hash.toString()
    if (hashes.has(hex) && !holders.has(hex)) holders.set(hex, tag)
  }
  for await (const tag of store.tags.list(options)) {
    if (holders.size === hashes.size) break
    if (tag.name === options.except) continue
    note(tag.hash, tag)
    if (tag.format === 'raw') continue
    for await (const link of linksOf(store, tag.hash, options)) note(link, tag)
  }
  return holders
}

/** The links of a hash sequence as far as they are there: nobody holds what nobody knows. */
export async function* linksOf(
  store: BlobStore,
  hash: Hash,
  options: WaitOptions = {}
): AsyncGenerator<Hash> {
  const status = await store.status(hash, options)
  if (status.state !== 'complete') return
  await using links = await Links.open(store, hash, options)
  yield* links
}

/** A text is no name of a tag, and nothing else that names a blob. */
export class NoSuchTagError extends Error {
  override readonly name = 'NoSuchTagError'
  readonly code = 'ERR_NO_SUCH_TAG'

  constructor(text: string, cause: unknown) {
    super(`there is no tag ${JSON.stringify(text)} in this home, and it is no hash or ticket either`, {
      cause
    })
  }
}

/**
 * What a user means by the name of a tag, a hash or a ticket.
 *
 * @throws NoSuchTagError; InvalidHashError, InvalidTicketError, InvalidCidError when it looks like one of these
 */
export async function findTagOrHash(store: BlobStore, text: string): Promise<Tag | Wanted> {
  const tag = await findTag(store, text)
  if (tag !== undefined) return tag
  try {
    return parseWanted(text)
  } catch (error) {
    if (error instanceof InvalidHashOrTicketError) throw new NoSuchTagError(text, error)
    throw error
  }
}

/** The tag of a name; undefined when there is none, or the text cannot be a tag's name. */
async function findTag(store: BlobStore, name: string): Promise<Tag | undefined> {
  try {
    return await store.tags.get(name)
  } catch (error) {
    if (error instanceof InvalidTagNameError) return undefined
    throw error
  }
}
