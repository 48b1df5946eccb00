/**
 * Streams into objects: small ones in one piece, large ones in parts, several at once. Memory is bounded by the parts in
 * flight and one that is being filled.
 */
import { Progress } from '../../progress.ts'
import { abortableItems } from '../../waiting.ts'
import { StorageError } from './errors.ts'
import type { ObjectStorage, Slice, Upload } from './index.ts'
import { MAX_PARTS, PART_BYTES, partBytesFor } from './part-size.ts'

/** Up to so many bytes, an object is put in one piece: one request instead of three. */
const PUT_BYTES = PART_BYTES

/** Parts that are on their way at once. */
const IN_FLIGHT = 2

/**
 * How long deleting what an unfinished stream has left may take. It comes after a failure or after Ctrl-C too, when the storage
 * may be silent and somebody waits for the end.
 */
export const TIDY_MS = 2_000

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
 * Writes an object whose size the source tells by ending. As {@link putStream} otherwise, up to 10,000 parts, which are 78 GiB
 * by default. An upload has no more, and how long its parts are is decided when it begins: what follows goes into further
 * objects, `key-1`, `key-2` and so on, of which the whole is composed in the end.
 *
 * @param key which nobody else uses: of a stream that is so long, it has the beginning before it has the whole
 * @returns the size in bytes
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
  /** Of a stream that is longer than an upload: the objects that its bytes are in so far. */
  readonly #slices: Slice[] = []
  #isSplit = false
  #isWhole = false
  #upload: Upload | undefined
  /** Sent to the upload. */
  #uploadBytes = 0
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
    this.#isWhole = true
    this.#progress.end()
    return this.#taken
  }

  /** Waits for what is in flight. Gives up what is not complete. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#stop.abort(new StorageError(`writing ${this.#key} has ended`))
    await Promise.allSettled(this.#sending)
    // What has failed is being told already. What stays of the upload, and of objects, is swept some day.
    const tidying = [this.#upload?.abort(), this.#isSplit ? this.#deleteSlices() : undefined]
    await Promise.allSettled(tidying)
  }

  async #deleteSlices(): Promise<void> {
    // One more than is known to be there: the answer to its completing may have been lost.
    const keys = Array.from({ length: this.#slices.length + 1 }, (_, number) => this.#keyOf(number))
    const unwanted = this.#isWhole ? keys.slice(1) : keys
    await this.#storage.delete(unwanted, { signal: AbortSignal.timeout(TIDY_MS) })
  }

  /** Of the object that is behind so many others. */
  #keyOf(number: number): string {
    return number === 0 ? this.#key : `${this.#key}-${number}`
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
    const { signal } = this.#stop
    if (this.#parts === MAX_PARTS) await this.#split()
    this.#upload ??= await this.#storage.upload(this.#keyOf(this.#slices.length), this.#partBytes, { signal })
    while (this.#sending.size >= this.#inFlight) await Promise.race(this.#sending)
    signal.throwIfAborted()
    const sending = this.#sendPart(this.#upload, this.#parts++, this.#block, this.#filled).finally(() =>
      this.#sending.delete(sending)
    )
    this.#sending.add(sending)
    this.#uploadBytes += this.#filled
    this.#block = this.#free.pop() ?? NONE
    this.#filled = 0
  }

  /** The upload has all the parts that it can have: what follows goes into another one. */
  async #split(): Promise<void> {
    // Whose size is known has a key that others may look at: it must not have the beginning only.
    if (this.#size !== undefined) {
      throw new StorageError(
        `${this.#key} has more than ${MAX_PARTS} parts of ${this.#partBytes} bytes; use larger parts`
      )
    }
    this.#isSplit = true
    await this.#complete()
    this.#upload = undefined
    this.#uploadBytes = 0
    this.#parts = 0
  }

  /** Makes an object of what was sent. */
  async #complete(): Promise<void> {
    const { signal } = this.#stop
    await Promise.all(this.#sending)
    signal.throwIfAborted()
    await this.#upload?.complete(this.#uploadBytes, { signal })
    this.#slices.push({ key: this.#keyOf(this.#slices.length), offset: 0, length: this.#uploadBytes })
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
    await this.#complete()
    if (this.#isSplit) await this.#storage.compose(this.#key, this.#slices, { signal })
  }

  #wrongSize(found: string): StorageError {
    return new StorageError(
      `cannot write ${this.#key}: ${this.#size} bytes were announced, but ${found} came`
    )
  }
}
