/**
 * A store that takes no more than so many bytes: another store, with a look at what it holds before anything is let in.
 *
 * Several processes that write to one store at the same time each look for themselves, and may together let in a little more.
 */
import type { Hash } from '../hash.ts'
import { StoreFullError } from './errors.ts'
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
  TagStore,
  Usage,
  UsageOptions,
  WaitOptions
} from './index.ts'
import { heldBytes } from './status.ts'

export interface QuotaOptions {
  /** Most bytes of data to hold, of complete and partial blobs; outboards come on top, 1/256 of it. */
  readonly maxBytes: number
  /** Tries to free so many bytes when there is no room, before anything is refused. */
  readonly makeRoom?: ((bytes: number) => Promise<void>) | undefined
}

/** How many bytes one look at what is free is good for, when it is not known how many will come. */
const STREAM_STEP_BYTES = 1024 * 1024

export class QuotaStore implements BlobStore {
  readonly #store: BlobStore
  readonly #options: QuotaOptions
  /** Bytes that are let in and may not be counted by the store yet. */
  #arriving = 0
  /** Bytes that have come in since the last answer of the store. */
  #arrived = 0
  #usage: Usage | undefined

  constructor(store: BlobStore, options: QuotaOptions) {
    if (!(options.maxBytes >= 0))
      throw new RangeError(`maxBytes is a number of bytes, not ${options.maxBytes}`)
    this.#store = store
    this.#options = options
  }

  get tags(): TagStore {
    return this.#store.tags
  }

  async status(hash: Hash, options?: WaitOptions): Promise<BlobStatus> {
    return await this.#store.status(hash, options)
  }

  async open(hash: Hash, options?: OpenOptions): Promise<BlobReader | undefined> {
    return await this.#store.open(hash, options)
  }

  async writer(hash: Hash, size: number, options: WaitOptions = {}): Promise<BlobWriter> {
    const status = await this.#store.status(hash, options)
    const missing = status.state === 'complete' ? 0 : size - heldBytes(status)
    const release = await this.#reserve(Math.max(0, missing), options)
    try {
      const writer = await this.#store.writer(hash, size, options)
      return releasing(writer, release)
    } catch (error) {
      release()
      throw error
    }
  }

  async addBytes(bytes: Uint8Array, options: AddOptions = {}): Promise<AddResult> {
    return await this.#within(bytes.length, options, () => this.#store.addBytes(bytes, options))
  }

  /** How long the stream is shows while it comes: when there is no more room, what has come of it is dropped. */
  async addStream(source: AsyncIterable<Uint8Array>, options: AddOptions = {}): Promise<AddResult> {
    const releases: (() => void)[] = []
    const reserve = async (bytes: number): Promise<void> => {
      releases.push(await this.#reserve(bytes, options))
    }
    try {
      return await this.#store.addStream(counted(source, reserve), options)
    } finally {
      for (const release of releases) release()
    }
  }

  async addPath(path: string, options: AddOptions = {}): Promise<AddResult> {
    const { stat } = await import('node:fs/promises')
    // What cannot be read is the store's to tell.
    const size = await stat(path).then(
      stats => stats.size,
      () => 0
    )
    return await this.#within(size, options, () => this.#store.addPath(path, options))
  }

  async exportPath(hash: Hash, target: string, options?: ExportOptions): Promise<void> {
    await this.#store.exportPath(hash, target, options)
  }

  list(options?: WaitOptions): AsyncIterable<BlobInfo> {
    return this.#store.list(options)
  }

  async delete(hash: Hash): Promise<boolean> {
    return await this.#store.delete(hash)
  }

  async reportDamage(hash: Hash): Promise<BlobStatus> {
    return await this.#store.reportDamage(hash)
  }

  observe(hash: Hash, options?: WaitOptions): AsyncIterable<BlobStatus> {
    return this.#store.observe(hash, options)
  }

  async lease(options?: WaitOptions): Promise<Lease> {
    return await this.#store.lease(options)
  }

  async sweep(options?: WaitOptions): Promise<Sweep> {
    return await this.#store.sweep(options)
  }

  async usage(options?: UsageOptions): Promise<Usage> {
    return await this.#store.usage(options)
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #within<T>(bytes: number, options: WaitOptions, action: () => Promise<T>): Promise<T> {
    const release = await this.#reserve(bytes, options)
    try {
      return await action()
    } finally {
      release()
    }
  }

  /**
   * @returns gives the room back to what the store counts itself
   * @throws StoreFullError
   */
  async #reserve(bytes: number, options: WaitOptions): Promise<() => void> {
    if (bytes > 0 && !(await this.#hasRoom(bytes, options, false))) {
      if (!(await this.#hasRoom(bytes, options, true))) {
        await this.#options.makeRoom?.(bytes)
        if (!(await this.#hasRoom(bytes, options, true))) throw this.#full(bytes)
      }
    }
    this.#arriving += bytes
    let isReleased = false
    return () => {
      if (isReleased) return
      isReleased = true
      this.#arriving -= bytes
      this.#arrived += bytes
    }
  }

  async #hasRoom(bytes: number, options: WaitOptions, isFresh: boolean): Promise<boolean> {
    const usage = await this.#store.usage({ ...options, isFresh })
    if (usage !== this.#usage) {
      this.#usage = usage
      this.#arrived = 0
    }
    return usage.bytes + this.#arrived + this.#arriving + bytes <= this.#options.maxBytes
  }

  #full(bytes: number): StoreFullError {
    const used = this.#usage?.bytes ?? 0
    const partial = this.#usage?.partialBytes ?? 0
    const arriving = this.#arriving === 0 ? '' : `, ${this.#arriving} are on their way`
    return new StoreFullError(
      `no room for ${bytes} more bytes: of ${this.#options.maxBytes} (max_size) ${used} are in use${arriving}; ` +
        `delete tags and collect garbage${partial === 0 ? '' : ` (partial blobs hold ${partial} bytes)`}, or raise max_size`
    )
  }
}

function releasing(writer: BlobWriter, release: () => void): BlobWriter {
  const close = async (): Promise<BlobStatus> => {
    try {
      return await writer.close()
    } finally {
      release()
    }
  }
  return {
    hash: writer.hash,
    size: writer.size,
    write: (verified, options) => writer.write(verified, options),
    close,
    [Symbol.asyncDispose]: async () => {
      await close()
    }
  }
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  reserve: (bytes: number) => Promise<void>
): AsyncGenerator<Uint8Array, void, undefined> {
  let room = 0
  for await (const piece of source) {
    if (piece.length > room) {
      const more = Math.max(STREAM_STEP_BYTES, piece.length)
      await reserve(more)
      room += more
    }
    room -= piece.length
    yield piece
  }
}
