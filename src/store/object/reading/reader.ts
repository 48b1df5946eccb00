/** Reads a complete blob out of object storage. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { outboardBytes } from '../../../bao/geometry.ts'
import type { ChunkRanges } from '../../../bao/ranges.ts'
import type { Hash } from '../../../hash.ts'
import { BlobDamagedError, BlobNotFoundError, HandleClosedError } from '../../errors.ts'
import type { BlobReader } from '../../index.ts'
import { ObjectNotFoundError, ObjectTooShortError } from '../storage/errors.ts'
import type { ObjectStorage } from '../storage/index.ts'
import type { OutboardCache } from './outboard-cache.ts'
import { ReadAhead } from './read-ahead.ts'
import type { ReadBudget } from './read-budget.ts'
import { dataSpans, outboardSpans, type Spans } from './spans.ts'

export interface ObjectReaderOptions {
  readonly hash: Hash
  /** Bytes. */
  readonly size: number
  readonly storage: ObjectStorage
  readonly dataKey: string
  /** Not looked at when the blob is a single chunk group. */
  readonly outboardKey: string
  readonly cache: OutboardCache
  readonly budget: ReadBudget
  /** What will be read. */
  readonly ranges?: ChunkRanges | undefined
  /** Called once, when the reader is closed and all its GETs have ended. */
  readonly onClose?: ((reader: ObjectReader) => void) | undefined
  /** Called when one of the objects turns out not to be there. */
  readonly onMissing: () => void
}

export class ObjectReader implements BlobReader {
  readonly hash: Hash
  readonly size: number
  readonly held: undefined = undefined
  readonly isFar = true
  readonly #options: ObjectReaderOptions
  readonly #data: ReadAhead
  readonly #dataPlan: Spans | undefined
  readonly #closing = new AbortController()
  readonly #outboardReads = new Set<Promise<void>>()
  #outboardPlan: Spans | undefined
  /** The end of the last read of the outboard: where there is no plan, one that begins here is taken for the next of many. */
  #outboardEnd = -1
  #closed: Promise<void> | undefined

  constructor(options: ObjectReaderOptions) {
    this.#options = options
    this.hash = options.hash
    this.size = options.size
    this.#dataPlan = options.ranges && dataSpans(options.ranges, options.size)
    this.#data = new ReadAhead({
      storage: options.storage,
      key: options.dataKey,
      size: options.size,
      budget: options.budget,
      plan: this.#dataPlan
    })
  }

  async readData(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#check('data', this.size, offset, target, signal)
    if (target.length > 0) await this.#orDamaged(this.#data.read(offset, target, signal))
  }

  async readOutboard(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    const total = outboardBytes(this.size)
    this.#check('outboard', total, offset, target, signal)
    if (target.length === 0) return
    const { cache, outboardKey } = this.#options
    const until = this.#outboardUntil(offset, target.length, total)
    const closing = this.#closing.signal
    const either = signal === undefined ? closing : AbortSignal.any([closing, signal])
    const reading = cache.read(outboardKey, total, offset, target, { signal: either, until })
    this.#outboardReads.add(reading)
    try {
      await this.#orDamaged(reading)
    } finally {
      this.#outboardReads.delete(reading)
    }
  }

  async askAhead(): Promise<void> {
    this.#data.begin()
    // A request is handed to its socket at the end of a turn: whatever is done in this one, it would wait for.
    await nextTurn()
  }

  async close(): Promise<void> {
    this.#closed ??= this.#end()
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #end(): Promise<void> {
    const reason = new HandleClosedError('reader', this.hash)
    this.#closing.abort(reason)
    await Promise.all([this.#data.close(reason), Promise.allSettled(this.#outboardReads)])
    this.#options.onClose?.(this)
  }

  #check(kind: string, size: number, offset: number, target: Uint8Array, signal?: AbortSignal): void {
    signal?.throwIfAborted()
    if (this.#closed !== undefined) throw new HandleClosedError('reader', this.hash)
    if (offset < 0 || offset + target.length > size) {
      throw new RangeError(`cannot read ${target.length} bytes at ${offset} of the ${kind}: it has ${size}`)
    }
  }

  /** Up to where the outboard will be read in order. */
  #outboardUntil(offset: number, length: number, total: number): number {
    const end = offset + length
    const isNext = offset === this.#outboardEnd
    this.#outboardEnd = end
    if (this.#dataPlan === undefined) return isNext ? total : 0
    this.#outboardPlan ??= outboardSpans(this.#dataPlan, this.size)
    return this.#outboardPlan.endAt(end - 1) ?? 0
  }

  /** Says what an object means for the blob that is not there, or not all of it. */
  async #orDamaged(reading: Promise<void>): Promise<void> {
    try {
      await reading
    } catch (error) {
      if (error instanceof ObjectTooShortError) throw new BlobDamagedError(this.hash, error.message)
      if (!(error instanceof ObjectNotFoundError)) throw error
      this.#options.onMissing()
      if (error.key === this.#options.outboardKey) throw new BlobDamagedError(this.hash, error.message)
      throw new BlobNotFoundError(this.hash, `is gone from the storage: ${error.message}`)
    }
  }
}
