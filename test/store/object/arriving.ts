/** What the tests of arriving blobs share: a storage that can be watched and held up, and ways to bring blobs in. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import type { Verified } from '../../../src/bao/decoder.ts'
import { encode, encodeVerified } from '../../../src/bao/encoder.ts'
import { chunkCount } from '../../../src/bao/geometry.ts'
import { hashBytes } from '../../../src/bao/outboard.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import type { Hash } from '../../../src/hash.ts'
import type { BlobStore } from '../../../src/store/index.ts'
import { dataKey, outboardKey, partialPrefix } from '../../../src/store/object/layout.ts'
import { readInto } from '../../../src/store/object/read-into.ts'
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
import { memorySource } from '../../helpers/bao.ts'
import { randomData } from '../../helpers/data.ts'

const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A database's file, which is removed after the test. */
export async function testDatabase(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'arriving-'))
  cleanups.push(async () => await rm(folder, { recursive: true }))
  return join(folder, 'blobs.db')
}

/** A store that is closed after the test, if it is not before. Without a path, its database is in memory. */
export async function testStore(storage: ObjectStorage, dbPath?: string): Promise<ObjectStore> {
  const store =
    dbPath === undefined ? await ObjectStore.inMemory(storage) : await ObjectStore.open({ dbPath, storage })
  cleanups.push(async () => await store.close().catch(() => undefined))
  return store
}

export type Method =
  | 'put'
  | 'upload'
  | 'copy'
  | 'complete'
  | 'abort'
  | 'read'
  | 'stat'
  | 'list'
  | 'delete'
  | 'compose'
  | 'move'

export interface Call {
  readonly method: Method
  readonly key: string
}

/** Does what a storage in memory does, after `before` has had its say: it may look, wait or throw. */
export class WatchedStorage implements ObjectStorage {
  readonly name = 'watched memory'
  readonly inner: MemoryStorage
  readonly calls: Call[] = []
  before: (call: Call) => Promise<void> | void = () => undefined

  /** @param inner to use again what was stored before */
  constructor(inner = new MemoryStorage()) {
    this.inner = inner
  }

  /** How often a method was called for a key with this in it. */
  count(method: Method, part = ''): number {
    return this.calls.filter(call => call.method === method && call.key.includes(part)).length
  }

  async put(key: string, pieces: readonly Uint8Array[], options?: StorageOptions): Promise<void> {
    await this.#before('put', key)
    await this.inner.put(key, pieces, options)
  }

  async upload(key: string, partBytes: number, options?: StorageOptions): Promise<Upload> {
    await this.#before('upload', key)
    const upload = await this.inner.upload(key, partBytes, options)
    return {
      put: async (...args) => await upload.put(...args),
      copy: async (number, slice, copyOptions) => {
        await this.#before('copy', slice.key)
        await upload.copy(number, slice, copyOptions)
      },
      complete: async (size, completeOptions) => {
        await this.#before('complete', key)
        await upload.complete(size, completeOptions)
      },
      abort: async () => {
        await this.#before('abort', key)
        await upload.abort()
      }
    }
  }

  async *read(slice: Slice, options?: StorageOptions): AsyncGenerator<Uint8Array, void, undefined> {
    await this.#before('read', slice.key)
    yield* this.inner.read(slice, options)
  }

  async stat(key: string, options?: StorageOptions): Promise<ObjectInfo | undefined> {
    await this.#before('stat', key)
    return await this.inner.stat(key, options)
  }

  async *list(options?: ListOptions): AsyncGenerator<ObjectInfo, void, undefined> {
    await this.#before('list', options?.prefix ?? '')
    yield* this.inner.list(options)
  }

  async delete(keys: readonly string[], options?: StorageOptions): Promise<void> {
    for (const key of keys) await this.#before('delete', key)
    await this.inner.delete(keys, options)
  }

  async compose(key: string, slices: readonly Slice[], options?: StorageOptions): Promise<void> {
    await this.#before('compose', key)
    await this.inner.compose(key, slices, options)
  }

  async move(from: string, to: string, options?: StorageOptions): Promise<void> {
    await this.#before('move', from)
    await this.inner.move(from, to, options)
  }

  async sweepUploads(before: number, options?: StorageOptions): Promise<void> {
    await this.inner.sweepUploads(before, options)
  }

  async close(): Promise<void> {
    await this.inner.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #before(method: Method, key: string): Promise<void> {
    this.calls.push({ method, key })
    await this.before({ method, key })
  }
}

/** Holds up what a storage is asked, until it is opened. */
export class Gate {
  #opened = Promise.withResolvers<void>()
  #reached = Promise.withResolvers<void>()
  waiting = 0

  /** When somebody has come to it. */
  get reached(): Promise<void> {
    return this.#reached.promise
  }

  async pass(): Promise<void> {
    this.waiting++
    this.#reached.resolve()
    await this.#opened.promise
  }

  open(): void {
    this.#opened.resolve()
  }
}

export function blobOf(size: number, seed = 1) {
  const data = randomData(size, seed)
  const source = memorySource(data)
  return { data, size, hash: source.hash, source }
}

export type Blob = ReturnType<typeof blobOf>

/** Groups from `first` up to, not including, `end`. */
export function groups(first: number, end = first + 1): ChunkRanges {
  return ChunkRanges.range(first * 16, end * 16)
}

/** Bytes from `start` to `end`, or to the blob's end if that comes before. */
export function bytes(blob: Blob, start: number, end: number): ChunkRanges {
  return ChunkRanges.range(start / 1024, Math.min(Math.ceil(end / 1024), chunkCount(blob.size)))
}

/** What a getter has proven of some of a blob. */
export function proven(
  { hash, source }: Blob,
  ranges: ChunkRanges,
  batchBytes?: number
): AsyncIterable<Verified> {
  return encodeVerified(hash, source, ranges, { batchBytes })
}

/** Brings some of a blob into a store, and closes its writer. */
export async function receive(
  store: BlobStore,
  blob: Blob,
  ranges = ChunkRanges.all,
  batchBytes?: number
): Promise<void> {
  await using writer = await store.writer(blob.hash, blob.size)
  for await (const verified of proven(blob, ranges, batchBytes)) await writer.write(verified)
}

/** What a store claims to hold of a blob, in bytes. Every byte and parent of it is read and verified. */
export async function claimed(store: BlobStore, { hash, data }: Blob): Promise<number> {
  const status = await store.status(hash)
  if (status.state === 'absent') return 0
  await using reader = await store.open(hash)
  expect(reader?.size).toBe(data.length)
  let bytes = 0
  const ranges = status.state === 'partial' ? status.ranges : ChunkRanges.all
  for await (const _piece of encode(hash, reader!, ranges));
  for (const [start, end] of status.state === 'partial' ? ranges : [[0n, undefined] as const]) {
    bytes += Math.min(Number(end ?? Infinity) * 1024, data.length) - Number(start) * 1024
  }
  return bytes
}

/** A blob is complete, in the store and byte for byte in the storage, and nothing else of it is left there. */
export async function expectComplete(store: BlobStore, storage: ObjectStorage, blob: Blob): Promise<void> {
  expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
  expect(await claimed(store, blob)).toBe(blob.size)
  expect(await isObject(storage, dataKey(blob.hash), blob.data)).toBe(true)
  expect(await isObject(storage, outboardKey(blob.hash), hashBytes(blob.data).outboard)).toBe(true)
  expect(await leftOvers(storage, blob.hash)).toEqual([])
}

/** Keys of a blob's fragments, and of temporary objects. */
export async function leftOvers(storage: ObjectStorage, hash: Hash): Promise<string[]> {
  const found: string[] = []
  for (const prefix of [partialPrefix(hash), 'temp/']) {
    for await (const { key } of storage.list({ prefix })) found.push(key)
  }
  return found
}

async function isObject(storage: ObjectStorage, key: string, right: Uint8Array): Promise<boolean> {
  const info = await storage.stat(key)
  if (info?.size !== right.length) return false
  const stored = new Uint8Array(right.length)
  await readInto(storage, key, 0, stored)
  return Buffer.compare(stored, right) === 0
}
