/** Object stores to test, and storages that can be looked into, slowed down, made to fail and damaged. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { Decoder, encode } from '../../../src/bao/index.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import type { Hash } from '../../../src/hash.ts'
import type { BlobStore, BlobWriter } from '../../../src/store/index.ts'
import type { ObjectStoreOptions } from '../../../src/store/object/options.ts'
import { PART_BYTES } from '../../../src/store/object/parts.ts'
import type {
  ListOptions,
  ObjectInfo,
  ObjectStorage,
  Slice,
  StorageOptions,
  Upload
} from '../../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'
import { encodeAll, memorySource } from '../../helpers/bao.ts'
import { randomData } from '../../helpers/data.ts'

export const MIB = 1024 * 1024

const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A folder that is removed after the test. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'object-store-'))
  cleanups.push(async () => await rm(folder, { recursive: true }))
  return folder
}

/** A store with a new database, or one in a file, that is closed after the test. */
export async function testStore(
  storage: ObjectStorage,
  { dbPath, ...options }: ObjectStoreOptions & { dbPath?: string } = {}
): Promise<ObjectStore> {
  const store =
    dbPath === undefined
      ? await ObjectStore.inMemory(storage, options)
      : await ObjectStore.open({ dbPath, storage, ...options })
  cleanups.push(async () => await store.close().catch(() => undefined))
  return store
}

export type Method =
  | 'put'
  | 'upload'
  | 'part'
  | 'complete'
  | 'read'
  | 'stat'
  | 'list'
  | 'delete'
  | 'copy'
  | 'compose'
  | 'move'

export interface Call {
  readonly method: Method
  /** Of `delete`, the first key; of `list`, the prefix. */
  readonly key: string
}

/** What is done before a call reaches the storage. May wait, and may throw. */
export type Hook = (call: Call, signal: AbortSignal | undefined) => Promise<void> | void

/**
 * Passes on to a storage in memory, which outlives it: closing a store closes only this. Notes all calls, and what is to be done
 * before each.
 */
export class WatchedStorage implements ObjectStorage {
  readonly name: string
  readonly calls: Call[] = []
  before: Hook | undefined
  isClosed = false
  readonly inner: ObjectStorage

  constructor(inner: ObjectStorage = new MemoryStorage()) {
    this.inner = inner
    this.name = inner.name
  }

  /** How often a method was called, of keys that match. */
  count(method: Method, key = /^/): number {
    return this.calls.filter(call => call.method === method && key.test(call.key)).length
  }

  async put(key: string, pieces: readonly Uint8Array[], options: StorageOptions = {}): Promise<void> {
    await this.#enter('put', key, options)
    await this.inner.put(key, pieces, options)
  }

  async upload(key: string, partBytes: number, options: StorageOptions = {}): Promise<Upload> {
    await this.#enter('upload', key, options)
    const upload = await this.inner.upload(key, partBytes, options)
    return {
      put: async (number, pieces, partOptions = {}) => {
        await this.#enter('part', key, partOptions)
        await upload.put(number, pieces, partOptions)
      },
      copy: async (number, slice, partOptions = {}) => {
        await this.#enter('copy', slice.key, partOptions)
        await upload.copy(number, slice, partOptions)
      },
      complete: async (size, completeOptions = {}) => {
        await this.#enter('complete', key, completeOptions)
        await upload.complete(size, completeOptions)
      },
      abort: async () => await upload.abort()
    }
  }

  async *read(slice: Slice, options: StorageOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    await this.#enter('read', slice.key, options)
    yield* this.inner.read(slice, options)
  }

  async stat(key: string, options: StorageOptions = {}): Promise<ObjectInfo | undefined> {
    await this.#enter('stat', key, options)
    return await this.inner.stat(key, options)
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    await this.#enter('list', options.prefix ?? '', options)
    yield* this.inner.list(options)
  }

  async delete(keys: readonly string[], options: StorageOptions = {}): Promise<void> {
    if (keys.length > 0) await this.#enter('delete', keys[0]!, options)
    await this.inner.delete(keys, options)
  }

  async compose(key: string, slices: readonly Slice[], options: StorageOptions = {}): Promise<void> {
    await this.#enter('compose', key, options)
    await this.inner.compose(key, slices, options)
  }

  async move(from: string, to: string, options: StorageOptions = {}): Promise<void> {
    await this.#enter('move', from, options)
    await this.inner.move(from, to, options)
  }

  async sweepUploads(before: number, options: StorageOptions = {}): Promise<void> {
    await this.inner.sweepUploads(before, options)
  }

  async close(): Promise<void> {
    this.isClosed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #enter(method: Method, key: string, { signal }: StorageOptions): Promise<void> {
    this.calls.push({ method, key })
    await this.before?.({ method, key }, signal)
  }
}

export function sampleBlob(size: number, seed = 1) {
  const data = randomData(size, seed)
  const source = memorySource(data)
  return { data, size, hash: source.hash, source }
}

export type SampleBlob = ReturnType<typeof sampleBlob>

/** Groups from `first` up to, not including, `end`. */
export function groups(first: number, end = first + 1): ChunkRanges {
  return ChunkRanges.range(first * 16, end * 16)
}

/** Brings some of a blob into a store, as a getter does. @returns the writer, still open */
export async function startReceiving(
  store: BlobStore,
  blob: SampleBlob,
  ranges: ChunkRanges
): Promise<BlobWriter> {
  const writer = await store.writer(blob.hash, blob.size)
  const bytes = await encodeAll(blob.source, ranges)
  const decoder = new Decoder(blob.hash, blob.size, ranges)
  for (let at = 0; !decoder.isDone; ) {
    const verified = decoder.decode(bytes.subarray(at))
    at += verified.consumed
    await writer.write(verified)
  }
  return writer
}

export async function receive(store: BlobStore, blob: SampleBlob, ranges: ChunkRanges): Promise<void> {
  await (await startReceiving(store, blob, ranges)).close()
}

/** All that a store has of a blob, as a peer gets it, checked. @returns how many bytes */
export async function serve(store: BlobStore, hash: Hash): Promise<number> {
  await using reader = await store.open(hash)
  if (reader === undefined) throw new Error(`${hash} cannot be opened`)
  let bytes = 0
  for await (const piece of encode(hash, reader, reader.held ?? ChunkRanges.all)) bytes += piece.length
  return bytes
}

export async function keysOf(storage: ObjectStorage, prefix = ''): Promise<string[]> {
  return (await Array.fromAsync(storage.list({ prefix }))).map(({ key }) => key)
}

export async function contentOf(storage: ObjectStorage, key: string): Promise<Uint8Array> {
  const info = await storage.stat(key)
  if (info === undefined) throw new Error(`there is no ${key}`)
  const pieces = await Array.fromAsync(storage.read({ key, offset: 0, length: info.size }))
  return Buffer.concat(pieces)
}

/** Not by `toEqual`, which takes seconds for some MiB. */
export async function hasContent(storage: ObjectStorage, key: string, bytes: Uint8Array): Promise<boolean> {
  return Buffer.compare(await contentOf(storage, key), bytes) === 0
}

/** Flips a bit of the byte at `offset`, counted from the end when it is negative. */
export async function flipByte(storage: ObjectStorage, key: string, offset: number): Promise<void> {
  const bytes = await contentOf(storage, key)
  bytes[offset < 0 ? bytes.length + offset : offset]! ^= 1
  // More than fits one `put` comes in parts.
  if (bytes.length < PART_BYTES) return await storage.put(key, [bytes])
  const upload = await storage.upload(key, PART_BYTES)
  for (let at = 0; at < bytes.length; at += PART_BYTES)
    await upload.put(at / PART_BYTES, [bytes.subarray(at, at + PART_BYTES)])
  await upload.complete(bytes.length)
}

/** Cuts bytes off an object's end. */
export async function cutOff(storage: ObjectStorage, key: string, bytes: number): Promise<void> {
  const content = await contentOf(storage, key)
  await storage.put(key, [content.subarray(0, content.length - bytes)])
}

/** Waits until something is so, for as long as the test may take. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(resolve => setTimeout(resolve, 5))
}

/** Something that can be waited for and lets go when told. */
export function gate() {
  const reached = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  return {
    /** Resolves when somebody stands before it. */
    reached: reached.promise,
    open: () => opened.resolve(),
    pass: async () => {
      reached.resolve()
      await opened.promise
    }
  }
}
