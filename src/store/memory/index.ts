/**
 * A store in memory: for tests, browsers, and blobs that need not last. `libp2p-blobs/store/memory`.
 *
 * Loads in a browser; `addPath` and `exportPath` need Node.
 *
 * @packageDocumentation
 */
import { EMPTY_HASH, Hash } from '../../hash.ts'
import { BlobNotFoundError, SizeMismatchError, StoreFullError } from '../errors.ts'
import type {
  AddOptions,
  AddResult,
  BlobInfo,
  BlobReader,
  BlobStatus,
  BlobStore,
  BlobWriter,
  ExportOptions,
  Lease,
  OpenOptions,
  Sweep,
  Usage,
  UsageOptions,
  WaitOptions
} from '../index.ts'
import { Lifetime } from '../lifetime.ts'
import { Progress } from '../progress.ts'
import { ABSENT, heldBytes, provesSize } from '../status.ts'
import { abortableItems } from '../waiting.ts'
import { StatusWatchers } from '../watchers.ts'
import { MemoryBlob, MemoryReader } from './blob.ts'
import { Collector } from './collector.ts'
import { Keeping } from './keeping.ts'
import { PagePool } from './page-pool.ts'
import { Pages } from './pages.ts'
import { MemoryTags } from './tags.ts'
import { MemoryWriter, type WriterHome } from './writer.ts'

/** The empty blob is there without being kept. */
const EMPTY = MemoryBlob.complete(new Pages(0, new PagePool()), new Pages(0, new PagePool()))

export interface MemoryStoreOptions {
  /**
   * Most bytes of memory to use for blobs and outboards, counted in pages of at most 1 MiB; when there is no room left,
   * StoreFullError is thrown. Memory of blobs that are deleted is kept for others.
   *
   * @default Infinity
   */
  readonly maxBytes?: number | undefined
}

export class MemoryStore implements BlobStore {
  readonly tags: MemoryTags
  readonly #maxBytes: number
  readonly #lifetime = new Lifetime()
  readonly #watchers = new StatusWatchers()
  readonly #pool = new PagePool()
  readonly #blobs = new Map<string, MemoryBlob>()
  readonly #home: WriterHome
  readonly #keeping: Keeping
  #usedBytes = 0

  constructor(options: MemoryStoreOptions = {}) {
    this.#maxBytes = options.maxBytes ?? Infinity
    this.tags = new MemoryTags(this.#lifetime, ({ name: tag, hash, format }) =>
      this.#keeping.keep({ hash, format, tag })
    )
    this.#keeping = new Keeping({
      lifetime: this.#lifetime,
      tags: () => Array.from(this.tags.all(), ({ name: tag, hash, format }) => ({ hash, format, tag })),
      remove: hash => this.#blobs.get(hash.toString())?.isBeingWritten !== true && this.#remove(hash)
    })
    this.#home = {
      lifetime: this.#lifetime,
      find: hash => this.#find(hash),
      findOrMake: (hash, size) => this.#findOrMake(hash, size),
      write: (hash, blob, verified) => {
        if (blob.write(verified, this.#reserve)) this.#watchers.notify(hash)
      },
      release: (hash, blob) => this.#release(hash, blob)
    }
  }

  async status(hash: Hash, options: WaitOptions = {}): Promise<BlobStatus> {
    this.#lifetime.check(options.signal)
    return this.#find(hash)?.status ?? ABSENT
  }

  /** Memory does not rot: there is nothing to mend. */
  async reportDamage(hash: Hash): Promise<BlobStatus> {
    return await this.status(hash)
  }

  async open(hash: Hash, options: OpenOptions = {}): Promise<BlobReader | undefined> {
    this.#lifetime.check(options.signal)
    const blob = this.#find(hash)
    if (blob === undefined || blob.status.state === 'absent') return undefined
    return new MemoryReader(hash, blob, this.#lifetime)
  }

  async writer(hash: Hash, size: number, options: WaitOptions = {}): Promise<BlobWriter> {
    this.#lifetime.check(options.signal)
    this.#checkSize(hash, size)
    return new MemoryWriter(hash, size, this.#home)
  }

  async addBytes(bytes: Uint8Array, options: AddOptions = {}): Promise<AddResult> {
    return await this.#add([bytes], options)
  }

  async addStream(source: AsyncIterable<Uint8Array>, options: AddOptions = {}): Promise<AddResult> {
    return await this.#lifetime.run(options.signal, signal =>
      this.#add(abortableItems(source, signal), { ...options, signal })
    )
  }

  async addPath(path: string, options: AddOptions = {}): Promise<AddResult> {
    return await this.#lifetime.run(options.signal, async signal => {
      const { readInputFile } = await import('../input-file.ts')
      return await this.#add(readInputFile(path, signal), { ...options, signal })
    })
  }

  async exportPath(hash: Hash, target: string, options: ExportOptions = {}): Promise<void> {
    await this.#lifetime.run(options.signal, async signal => {
      const { exportFile, requireCopying } = await import('../export-file.ts')
      await using reader = await this.open(hash, { signal })
      if (reader === undefined) throw new BlobNotFoundError(hash)
      if (reader.held !== undefined) throw new BlobNotFoundError(hash, 'is not complete')
      requireCopying(target, options)
      await exportFile(reader, target, { ...options, signal })
      if (options.mode === 'move') this.#remove(hash)
    })
  }

  async *list(options: WaitOptions = {}): AsyncGenerator<BlobInfo, void, undefined> {
    this.#lifetime.check(options.signal)
    for (const [hash, { status, changedAt }] of this.#blobs) {
      if (status.state !== 'absent') yield { hash: Hash.parse(hash), status, changedAt }
      this.#lifetime.check(options.signal)
    }
  }

  async delete(hash: Hash): Promise<boolean> {
    this.#lifetime.check()
    return this.#remove(hash)
  }

  async *observe(hash: Hash, options: WaitOptions = {}): AsyncGenerator<BlobStatus, void, undefined> {
    this.#lifetime.check()
    yield* this.#watchers.observe(hash, () => this.status(hash), options)
  }

  async lease(options: WaitOptions = {}): Promise<Lease> {
    this.#lifetime.check(options.signal)
    return this.#keeping.lease()
  }

  async sweep(options: WaitOptions = {}): Promise<Sweep> {
    this.#lifetime.check(options.signal)
    return this.#keeping.sweep()
  }

  async usage(options: UsageOptions = {}): Promise<Usage> {
    this.#lifetime.check(options.signal)
    let bytes = 0
    let partialBytes = 0
    for (const { status } of this.#blobs.values()) {
      const held = heldBytes(status)
      bytes += held
      if (status.state === 'partial') partialBytes += held
    }
    return { bytes, partialBytes }
  }

  async close(): Promise<void> {
    await this.#lifetime.end()
    this.#watchers.notifyAll()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  readonly #reserve = (bytes: number): void => {
    if (this.#usedBytes + bytes > this.#maxBytes) {
      throw new StoreFullError(
        `no room for ${bytes} more bytes: ${this.#usedBytes} of ${this.#maxBytes} are in use; delete blobs or raise maxBytes`
      )
    }
    this.#usedBytes += bytes
  }

  async #add(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: AddOptions
  ): Promise<AddResult> {
    this.#lifetime.check(options.signal)
    const collector = new Collector(this.#pool, this.#reserve)
    const progress = new Progress(options.onProgress)
    try {
      for await (const bytes of source) {
        this.#lifetime.check(options.signal)
        collector.push(bytes)
        progress.add(bytes.length)
      }
      const { hash, blob } = collector.finish()
      progress.end()
      await options.lease?.protect({ hash, format: 'raw' })
      this.#publish(hash, blob)
      return { hash, size: blob.size }
    } catch (error) {
      collector.discard()
      throw error
    } finally {
      this.#usedBytes -= collector.reserved
    }
  }

  #publish(hash: Hash, blob: MemoryBlob): void {
    const before = this.#find(hash)
    if (before?.status.state === 'complete') {
      blob.discard()
      return
    }
    this.#drop(hash)
    this.#blobs.set(hash.toString(), blob)
    this.#usedBytes += blob.allocated
    this.#watchers.notify(hash)
  }

  #find(hash: Hash): MemoryBlob | undefined {
    return hash.equals(EMPTY_HASH) ? EMPTY : this.#blobs.get(hash.toString())
  }

  #findOrMake(hash: Hash, size: number): MemoryBlob {
    const before = this.#find(hash)
    if (before?.size === size) return before
    this.#checkSize(hash, size)
    this.#remove(hash)
    const blob = MemoryBlob.empty(size, this.#pool)
    this.#blobs.set(hash.toString(), blob)
    return blob
  }

  /** @throws SizeMismatchError */
  #checkSize(hash: Hash, size: number): void {
    const blob = this.#find(hash)
    if (blob === undefined || blob.size === size) return
    if (provesSize(blob.held, blob.size)) throw new SizeMismatchError(hash, size, blob.size)
  }

  /** @returns whether anything was held */
  #remove(hash: Hash): boolean {
    const blob = this.#drop(hash)
    if (blob === undefined) return false
    this.#watchers.notify(hash)
    return blob.status.state !== 'absent'
  }

  #drop(hash: Hash): MemoryBlob | undefined {
    const blob = this.#blobs.get(hash.toString())
    if (blob === undefined) return undefined
    this.#blobs.delete(hash.toString())
    this.#usedBytes -= blob.allocated
    blob.discard()
    return blob
  }

  #release(hash: Hash, blob: MemoryBlob | undefined): BlobStatus {
    // Parents without a group below them are of no use to anybody.
    const isUseless = blob !== undefined && !blob.isBeingWritten && blob.held.isEmpty
    if (isUseless && this.#find(hash) === blob) this.#remove(hash)
    return this.#find(hash)?.status ?? ABSENT
  }
}
