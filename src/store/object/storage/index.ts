/**
 * Where the object store keeps bytes: a flat space of immutable objects under keys, as S3 has it. `s3/`, `filesystem/` and
 * `memory/` keep it, held to it by one suite in the tests.
 *
 * An object is there whole or not at all: whatever fails or is killed, half of one is never seen, but for those that grow in place
 * (`local-files.ts`). Keys consist of `a-z`,
 * `0-9`, `.`, `_`, `-` and, between non-empty parts that do not begin with a dot, `/`; no key is a folder of another one. A
 * backend's own prefix is not part of them.
 */

import type { LocalFiles } from './local-files.ts'

export interface StorageOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ObjectInfo {
  readonly key: string
  /** Bytes. */
  readonly size: number
  /** When it was written, in ms since 1970. */
  readonly modifiedAt: number
}

export interface ListOptions extends StorageOptions {
  /** Only keys that begin so. */
  readonly prefix?: string | undefined
  /** Only keys after this one. */
  readonly after?: string | undefined
}

export interface SweepOptions extends StorageOptions {
  /** Only uploads of keys for which this holds: there may be those of others. A folder of ours has none. */
  readonly of?: ((key: string) => boolean) | undefined
}

/** Bytes of an object. */
export interface Slice {
  readonly key: string
  /** Bytes from the object's start. */
  readonly offset: number
  /** Bytes. */
  readonly length: number
}

/** An object that is being written in parts. Nobody sees it until it is complete. */
export interface Upload {
  /**
   * Writes part `number`, counted from 0. Parts come in any order, several at once; all but the last have the length that the
   * upload was begun with. The buffers are the caller's again when the promise resolves.
   */
  put(number: number, pieces: readonly Uint8Array[], options?: StorageOptions): Promise<void>

  /**
   * Makes part `number` out of bytes of another object, without moving them through this process if they are 5 MiB or more.
   * Otherwise as `put`.
   *
   * @throws ObjectNotFoundError when the other object is not there; StorageError when it ends before, or when this storage
   *   cannot copy by itself: `compose` always can
   */
  copy(number: number, slice: Slice, options?: StorageOptions): Promise<void>

  /**
   * Makes the object visible, in place of one that is there already, when parts 0 to the highest are all there and are `size`
   * bytes together. When it has failed, `abort` is what is left to do.
   */
  complete(size: number, options?: StorageOptions): Promise<void>

  /** Gives up what was written. Nothing happens when the upload is complete or was given up. */
  abort(): Promise<void>
}

/**
 * All methods throw StorageError or one of its kinds (`errors.ts`), StoreFullError when there is no room, and the signal's
 * reason when theirs aborts. What may succeed at another try, they have tried again already.
 */
export interface ObjectStorage extends AsyncDisposable {
  /** What to call it in messages, without secrets: `bucket blobs at http://127.0.0.1:9000`, `folder /data/blobs`. */
  readonly name: string

  /** Only of a storage whose objects are files of this machine. */
  readonly files?: LocalFiles | undefined

  /** Writes a small object, at most 16 MiB, in place of one that is there already. */
  put(key: string, pieces: readonly Uint8Array[], options?: StorageOptions): Promise<void>

  /** Begins to write an object in parts. @param partBytes length of all parts but the last: 5 MiB or more */
  upload(key: string, partBytes: number, options?: StorageOptions): Promise<Upload>

  /**
   * Reads an object's bytes from `offset` on, `length` of them. Pieces come as they arrive, and no faster than they are taken;
   * leaving the loop ends the reading.
   *
   * @throws ObjectNotFoundError when there is no such object; StorageError when it ends before
   */
  read(slice: Slice, options?: StorageOptions): AsyncIterable<Uint8Array>

  /** @returns undefined when there is no such object */
  stat(key: string, options?: StorageOptions): Promise<ObjectInfo | undefined>

  /** Objects in ascending order of their keys' bytes, in bounded memory, however many there are. */
  list(options?: ListOptions): AsyncIterable<ObjectInfo>

  /** Deletes objects; those that are not there count as deleted. */
  delete(keys: readonly string[], options?: StorageOptions): Promise<void>

  /**
   * Makes an object, in place of one that is there already, out of slices of others, one after the other, without moving the
   * bytes through this process where the storage can do so. Nobody sees it until it is whole. Each slice but the last has
   * 5 MiB or more.
   *
   * @throws ObjectNotFoundError when one of the others is not there
   */
  compose(key: string, slices: readonly Slice[], options?: StorageOptions): Promise<void>

  /**
   * Gives an object another key, in place of one that is there already. When it is interrupted, it may be under both.
   *
   * @throws ObjectNotFoundError
   */
  move(from: string, to: string, options?: StorageOptions): Promise<void>

  /** Gives up uploads that were begun before a time (in ms since 1970) and never completed, whoever began them. */
  sweepUploads(before: number, options?: SweepOptions): Promise<void>

  /** Gives up all that is held open. May be called again. */
  close(): Promise<void>
}
