/**
 * Streams into objects: small ones in one piece, large ones in parts, several at once. Memory is bounded by the parts in
 * flight and one that is being filled.
 */
import { Progress } from '../../progress.ts'
import { abortableItems } from '../../waiting.ts'
import { StorageError } from './errors.ts'
import type { ObjectStorage, Upload } from './index.ts'
import { MAX_PARTS, PART_BYTES, partBytesFor } from './part-size.ts'

/** Up to so many bytes, an object is put in one piece: one request instead of three. */
const PUT_BYTES = PART_BYTES

/** Parts that are on their way at once. */
const IN_FLIGHT = 2

/** Bytes of the first buffer of a stream that may turn out to be short. */
const FIRST_BYTES = 64 * 1024

const NONE = new Uint8Array(0)

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes that the storage has taken, at most once per MiB. */
  readonly onProgress?: ((bytes: number) => void) | undefined
  /** Bytes of each part but the last. Each part in flight, and one more, takes so much memory. */
  readonly partBytes?: number | undefined
  /** How many parts may be on their way at once, by default 2. More hide a longer way to the storage. */
  readonly inFlight?: number | undefined
}

/**
 * Writes an object of `size` bytes. It is visible when it is whole. Each piece is copied before the next is asked for.
 *
 * @throws StorageError when the source has another number of bytes; what the source throws; the signal's reason. Nothing
 *   stays then.
 */
export async function putStream(
  storage: ObjectStorage,
  key: string,
  size: number,
  source: AsyncIterable<Uint8Array>,
  options: StreamOptions = {}
): Promise<void> {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new StorageError(`${key} cannot have ${size} bytes`)
  }
  await using sink = new Sink(storage, key, { ...options, size })
  await sink.take(source)
}

/**
 * Writes an object whose size the source tells by ending. As {@link putStream} otherwise.
 *
 * @returns the size in bytes
 * @throws StorageError when it is more than 10,000 parts
 */
export async function uploadStream(
  storage: ObjectStorage,
  key: string,
  source: AsyncIterable<Uint8Array>,
  options: StreamOptions = {}
): Promise<number> {
  await using sink = new Sink(storage, key, options)
  return await sink.take(source)
}

class Sink {
  readonly #storage: ObjectStorage
  readonly #key: string
  readonly #size: number | undefined
  readonly #partBytes: number
  readonly #inFlight: number
  readonly #progress: Progress
  readonly #signal: AbortSignal | undefined
  readonly #stop = new AbortController()
  readonly #onAbort = () => this.#stop.abort(this.#signal?.reason)
  readonly #sending = new Set<Promise<void>>()
  readonly #free: Uint8Array[] = []
  #upload: Upload | undefined
  #block: Uint8Array
  #filled = 0
  #parts = 0
  #taken = 0

  constructor(storage: ObjectStorage, key: string, options: StreamOptions & { readonly size?: number }) {
    this.#storage = storage
    this.#key = key
    this.#size = options.size
    this.#partBytes = options.partBytes ?? partBytesFor(options.size ?? 0)
    this.#inFlight = options.inFlight ?? IN_FLIGHT
    this.#progress = new Progress(options.onProgress)
    this.#block = new Uint8Array(Math.min(options.size ?? FIRST_BYTES, this.#partBytes))
    this.#signal = options.signal
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (this.#signal?.aborted) this.#onAbort()
  }

  /** @returns the number of bytes */
  async take(source: AsyncIterable<Uint8Array>): Promise<number> {
    // A part that fails aborts the waiting for the source, with its error as the reason.
    for await (const piece of abortableItems(source, this.#stop.signal)) {
      this.#taken += piece.length
      if (this.#taken > (this.#size ?? Infinity)) throw this.#wrongSize('more')
      for (let rest = piece; rest.length > 0; ) {
        if (this.#filled === this.#partBytes) await this.#send()
        const taken = this.#fill(rest)
        rest = rest.subarray(taken)
      }
    }
    if (this.#taken < (this.#size ?? 0)) throw this.#wrongSize(`only ${this.#taken}`)
    await this.#finish()
    this.#progress.end()
    return this.#taken
  }

  /** Waits for what is in flight. Gives up what is not complete. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#stop.abort(new StorageError(`writing ${this.#key} has ended`))
    await Promise.allSettled(this.#sending)
    // What has failed is being told already. What stays of the upload is swept some day.
    await this.#upload?.abort().catch(() => undefined)
  }

  /** @returns how many bytes there was room for */
  #fill(bytes: Uint8Array): number {
    const end = Math.min(this.#filled + bytes.length, this.#partBytes)
    if (end > this.#block.length) {
      // The first one grows, because there may not be much. Behind it, they are as large as parts are.
      const wanted = this.#parts > 0 ? this.#partBytes : Math.max(end, 2 * this.#block.length)
      const grown = new Uint8Array(Math.min(wanted, this.#partBytes))
      grown.set(this.#block.subarray(0, this.#filled))
      this.#block = grown
    }
    const taken = end - this.#filled
    this.#block.set(bytes.subarray(0, taken), this.#filled)
    this.#filled = end
    return taken
  }

  /** Sends the block on its way, when there are not too many on theirs, and takes another one. */
  async #send(): Promise<void> {
    if (this.#parts === MAX_PARTS) {
      throw new StorageError(
        `${this.#key} has more than ${MAX_PARTS} parts of ${this.#partBytes} bytes; tell its size, or use larger parts`
      )
    }
    const { signal } = this.#stop
    this.#upload ??= await this.#storage.upload(this.#key, this.#partBytes, { signal })
    while (this.#sending.size >= this.#inFlight) await Promise.race(this.#sending)
    signal.throwIfAborted()
    const sending = this.#sendPart(this.#upload, this.#parts++, this.#block, this.#filled).finally(() =>
      this.#sending.delete(sending)
    )
    this.#sending.add(sending)
    this.#block = this.#free.pop() ?? NONE
    this.#filled = 0
  }

  /** Never fails: a failure stops the whole. */
  async #sendPart(upload: Upload, number: number, block: Uint8Array, bytes: number): Promise<void> {
    try {
      await upload.put(number, [block.subarray(0, bytes)], { signal: this.#stop.signal })
      this.#free.push(block)
      this.#progress.add(bytes)
    } catch (error) {
      this.#stop.abort(error)
    }
  }

  async #finish(): Promise<void> {
    const { signal } = this.#stop
    if (this.#upload === undefined && this.#filled <= PUT_BYTES) {
      await this.#storage.put(this.#key, [this.#block.subarray(0, this.#filled)], { signal })
      this.#progress.add(this.#filled)
      return
    }
    if (this.#filled > 0) await this.#send()
    await Promise.all(this.#sending)
    signal.throwIfAborted()
    await this.#upload?.complete(this.#taken, { signal })
  }

  #wrongSize(found: string): StorageError {
    return new StorageError(
      `cannot write ${this.#key}: ${this.#size} bytes were announced, but ${found} came`
    )
  }
}
