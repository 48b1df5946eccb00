/**
 * Objects in memory: for tests, and for nodes that need not remember.
 *
 * Nothing limits what it takes. `close` gives up what is being uploaded and keeps the objects, which live as long as the
 * MemoryStorage does: a store that is closed can be opened again on the same one.
 */
import { setImmediate } from 'node:timers/promises'
import {
  checkComplete,
  checkCompose,
  checkCopy,
  checkInside,
  checkKey,
  checkPart,
  checkPut,
  checkSlice,
  checkUpload
} from '../checks.ts'
import { ObjectNotFoundError, StorageError } from '../errors.ts'
import type {
  ListOptions,
  ObjectInfo,
  ObjectStorage,
  Slice,
  StorageOptions,
  SweepOptions,
  Upload
} from '../index.ts'
import { SortedKeys } from './sorted-keys.ts'

/** Most bytes that a reader is given at once. */
const PIECE_BYTES = 256 * 1024

/** Objects listed until others have their turn. */
const LISTED_AT_ONCE = 1000

/** The bytes never change: objects share them when one is composed of others. */
interface StoredObject {
  readonly pieces: readonly Uint8Array[]
  readonly size: number
  readonly modifiedAt: number
}

export class MemoryStorage implements ObjectStorage {
  readonly name = 'memory'
  readonly #objects = new Map<string, StoredObject>()
  readonly #keys = new SortedKeys(this.#objects)
  readonly #uploads = new Set<MemoryUpload>()

  async put(key: string, pieces: readonly Uint8Array[], options: StorageOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    const size = checkPut(key, pieces)
    this.#set(key, [joined(pieces, size)], size)
  }

  async upload(key: string, partBytes: number, options: StorageOptions = {}): Promise<Upload> {
    options.signal?.throwIfAborted()
    checkUpload(key, partBytes)
    const upload = new MemoryUpload(key, partBytes, {
      copy: slice => joined(cut(this.#get(slice.key), slice, this.name), slice.length),
      complete: (pieces, size) => this.#set(key, pieces, size),
      end: () => this.#uploads.delete(upload)
    })
    this.#uploads.add(upload)
    return upload
  }

  async *read(slice: Slice, options: StorageOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    options.signal?.throwIfAborted()
    checkSlice(slice)
    for (const view of cut(this.#get(slice.key), slice, this.name)) {
      for (let at = 0; at < view.length; at += PIECE_BYTES) {
        options.signal?.throwIfAborted()
        // Copied: whoever reads may do with the bytes what he likes.
        yield view.slice(at, at + PIECE_BYTES)
      }
    }
  }

  async stat(key: string, options: StorageOptions = {}): Promise<ObjectInfo | undefined> {
    options.signal?.throwIfAborted()
    checkKey(key)
    return this.#info(key)
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    const { prefix = '', after = '', signal } = options
    signal?.throwIfAborted()
    let listed = 0
    for (const key of this.#keys.from(prefix, after)) {
      if (++listed % LISTED_AT_ONCE === 0) await setImmediate()
      signal?.throwIfAborted()
      const info = this.#info(key)
      if (info !== undefined) yield info
    }
    signal?.throwIfAborted()
  }

  async delete(keys: readonly string[], options: StorageOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    keys.forEach(checkKey)
    for (const key of keys) this.#remove(key)
  }

  async compose(key: string, slices: readonly Slice[], options: StorageOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    checkCompose(key, slices)
    const pieces = slices.flatMap(slice => cut(this.#get(slice.key), slice, this.name))
    const size = slices.reduce((sum, { length }) => sum + length, 0)
    this.#set(key, pieces, size)
  }

  async move(from: string, to: string, options: StorageOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    checkKey(from)
    checkKey(to)
    const { pieces, size } = this.#get(from)
    if (from === to) return
    this.#set(to, pieces, size)
    this.#remove(from)
  }

  async sweepUploads(before: number, options: SweepOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    for (const upload of this.#uploads) {
      if (upload.begunAt < before && (options.of?.(upload.key) ?? true)) await upload.abort()
    }
  }

  async close(): Promise<void> {
    for (const upload of this.#uploads) await upload.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #get(key: string): StoredObject {
    const object = this.#objects.get(key)
    if (object === undefined) throw new ObjectNotFoundError(key, this.name)
    return object
  }

  #info(key: string): ObjectInfo | undefined {
    const object = this.#objects.get(key)
    return object && { key, size: object.size, modifiedAt: object.modifiedAt }
  }

  #set(key: string, pieces: readonly Uint8Array[], size: number): void {
    if (!this.#objects.has(key)) this.#keys.changed()
    this.#objects.set(key, { pieces, size, modifiedAt: Date.now() })
  }

  #remove(key: string): void {
    if (this.#objects.delete(key)) this.#keys.changed()
  }
}

interface UploadOwner {
  copy(slice: Slice): Uint8Array
  complete(pieces: readonly Uint8Array[], size: number): void
  end(): void
}

class MemoryUpload implements Upload {
  readonly begunAt = Date.now()
  readonly key: string
  readonly #partBytes: number
  readonly #owner: UploadOwner
  readonly #parts = new Map<number, Uint8Array>()
  #hasEnded = false

  constructor(key: string, partBytes: number, owner: UploadOwner) {
    this.key = key
    this.#partBytes = partBytes
    this.#owner = owner
  }

  async put(number: number, pieces: readonly Uint8Array[], options: StorageOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#checkOpen()
    const size = checkPart(this.key, number, pieces, this.#partBytes)
    this.#parts.set(number, joined(pieces, size))
  }

  async copy(number: number, slice: Slice, options: StorageOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#checkOpen()
    checkCopy(this.key, number, slice, this.#partBytes)
    this.#parts.set(number, this.#owner.copy(slice))
  }

  async complete(size: number, options: StorageOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#checkOpen()
    const lengths = new Map(Array.from(this.#parts, ([number, part]) => [number, part.length]))
    checkComplete(this.key, lengths, this.#partBytes, size)
    const parts = Array.from(lengths.keys(), (_, number) => this.#parts.get(number)!)
    this.#end()
    this.#owner.complete(parts, size)
  }

  async abort(): Promise<void> {
    this.#end()
  }

  #end(): void {
    this.#hasEnded = true
    this.#parts.clear()
    this.#owner.end()
  }

  #checkOpen(): void {
    if (this.#hasEnded) throw new StorageError(`the upload of ${this.key} has ended; begin another one`)
  }
}

/** A copy of the pieces in one. */
function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let end = 0
  for (const piece of pieces) {
    bytes.set(piece, end)
    end += piece.length
  }
  return bytes
}

/** Views of an object's bytes. @throws StorageError when it ends before */
function cut(object: StoredObject, slice: Slice, storage: string): Uint8Array[] {
  checkInside(slice, object.size, storage)
  const views: Uint8Array[] = []
  let start = 0
  for (const piece of object.pieces) {
    const from = Math.max(0, slice.offset - start)
    const to = Math.min(piece.length, slice.offset + slice.length - start)
    if (from < to) views.push(piece.subarray(from, to))
    start += piece.length
  }
  return views
}
