/**
 * Collections: named blobs (protocol/README.md, "Collections").
 *
 * A collection is a hash sequence. Its first link is the metadata blob, which holds the names; link j is the blob of name
 * j-1. Nothing on the wire marks a hash sequence as a collection, only that its first blob begins like metadata.
 */
import type { Hash } from '../hash.ts'
import { MAX_COLLECTION_META_BYTES } from './constants.ts'
import { HashSequence } from './hash-sequence.ts'
import { MalformedError, Reader, Writer } from './postcard.ts'

/** A named blob. The name is any text: see `safe-name.ts` before it becomes a file's. */
export interface CollectionEntry {
  readonly name: string
  readonly hash: Hash
}

/** The metadata cannot be read, or does not fit the links. The position is one in the metadata blob. */
export class InvalidCollectionError extends MalformedError {
  override readonly name = 'InvalidCollectionError'
  override readonly code = 'ERR_INVALID_COLLECTION'
}

/** The names need more than {@link MAX_COLLECTION_META_BYTES}. */
export class CollectionTooLargeError extends Error {
  override readonly name = 'CollectionTooLargeError'
  readonly code = 'ERR_COLLECTION_TOO_LARGE'
}

/** `CollectionV0.` */
const MARK = new TextEncoder().encode('CollectionV0.')

/** Whether a blob begins as metadata does; its first 13 bytes are enough to tell. */
export function isCollectionMeta(bytes: Uint8Array): boolean {
  return bytes.length >= MARK.length && MARK.every((byte, i) => byte === bytes[i])
}

/**
 * The content of the metadata blob.
 *
 * @throws CollectionTooLargeError
 * @throws RangeError when a name has half a surrogate pair
 */
export function encodeCollectionMeta(names: readonly string[]): Uint8Array {
  const encoder = new CollectionMetaEncoder(names.length)
  for (const name of names) encoder.add(name)
  return encoder.finish()
}

/** The same, one name after the other: of millions, others may have their turn in between. */
export class CollectionMetaEncoder {
  readonly #writer = new Writer()

  /** @param count how many names there will be */
  constructor(count: number) {
    this.#writer.raw(MARK)
    this.#writer.varint(count)
  }

  /** @throws CollectionTooLargeError, RangeError as {@link encodeCollectionMeta} does */
  add(name: string): void {
    this.#writer.string(name)
    if (this.#writer.length > MAX_COLLECTION_META_BYTES) {
      throw new CollectionTooLargeError(
        `the names of the collection take more than ${MAX_COLLECTION_META_BYTES} bytes: make several collections of it`
      )
    }
  }

  /** To be called when all have been added. */
  finish(): Uint8Array {
    return this.#writer.finish()
  }
}

/** The content of the collection's own blob: link 0 is the metadata, the rest the entries in their order. */
export function encodeCollection(meta: Hash, entries: readonly CollectionEntry[]): HashSequence {
  return HashSequence.fromHashes([meta, ...entries.map(entry => entry.hash)])
}

/**
 * Puts the names to the links.
 *
 * @param meta content of the blob that link 0 names
 * @throws InvalidCollectionError when it is no metadata, or has another number of names than there are links
 */
export function decodeCollection(sequence: HashSequence, meta: Uint8Array): CollectionEntry[] {
  const names = decodeCollectionNames(meta, sequence.count - 1)
  return Array.from(names, (name, i) => ({ name, hash: sequence.link(i + 1)! }))
}

/**
 * The names alone, one after the other, so that nobody has to have all of them.
 *
 * @param meta content of the blob that link 0 names
 * @param expected how many names there have to be: one for each further link
 * @throws InvalidCollectionError at the name that is wrong; before the first one when there are fewer or more than expected
 */
export function* decodeCollectionNames(
  meta: Uint8Array,
  expected: number
): Generator<string, void, undefined> {
  try {
    yield* readNames(meta, expected)
  } catch (cause) {
    if (cause instanceof MalformedError) {
      throw new InvalidCollectionError(`not a collection: ${cause.reason}`, cause.position, { cause })
    }
    throw cause
  }
}

function* readNames(meta: Uint8Array, expected: number): Generator<string, void, undefined> {
  if (meta.length > MAX_COLLECTION_META_BYTES) {
    throw new MalformedError(
      `metadata of ${meta.length} bytes, at most ${MAX_COLLECTION_META_BYTES} are read`,
      0
    )
  }
  if (!isCollectionMeta(meta)) {
    throw new MalformedError('the first blob is no collection metadata', 0)
  }
  const reader = new Reader(meta, MARK.length)
  const count = reader.count('number of names', 1)
  if (count !== expected) {
    throw new MalformedError(`${count} names for ${expected} links`, MARK.length)
  }
  for (let i = 0; i < count; i++) yield reader.string(`name ${i}`)
}
