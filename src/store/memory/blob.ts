/** One blob of a MemoryStore, and who reads and writes it. */
import type { Verified } from '../../bao/decoder.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { HandleClosedError } from '../errors.ts'
import type { BlobReader, BlobStatus } from '../index.ts'
import { keepGroups } from '../kept-groups.ts'
import type { Lifetime } from '../lifetime.ts'
import { statusOf, wholeRange } from '../status.ts'
import type { PagePool } from './page-pool.ts'
import { Pages } from './pages.ts'

export class MemoryBlob {
  /** Bytes, as claimed. */
  readonly size: number
  readonly data: Pages
  readonly outboard: Pages
  held: ChunkRanges
  /** When something came in last, in ms since 1970. */
  changedAt = Date.now()
  #readers = 0
  #writers = 0
  #isDiscarded = false

  private constructor(data: Pages, outboard: Pages, held: ChunkRanges) {
    this.size = data.size
    this.data = data
    this.outboard = outboard
    this.held = held
  }

  /** @param size bytes, as claimed */
  static empty(size: number, pool: PagePool): MemoryBlob {
    return new MemoryBlob(new Pages(size, pool), new Pages(outboardBytes(size), pool), ChunkRanges.empty)
  }

  static complete(data: Pages, outboard: Pages): MemoryBlob {
    return new MemoryBlob(data, outboard, wholeRange(data.size))
  }

  /** Whether writers are open. */
  get isBeingWritten(): boolean {
    return this.#writers > 0
  }

  enter(as: 'reader' | 'writer'): void {
    if (as === 'reader') this.#readers++
    else this.#writers++
  }

  leave(as: 'reader' | 'writer'): void {
    if (as === 'reader') this.#readers--
    else this.#writers--
    this.#freeIfUnused()
  }

  /** Gives its memory back, once nobody reads or writes it any more. */
  discard(): void {
    this.#isDiscarded = true
    this.#freeIfUnused()
  }

  #freeIfUnused(): void {
    if (!this.#isDiscarded || this.#readers > 0 || this.#writers > 0) return
    this.data.free()
    this.outboard.free()
  }

  get status(): BlobStatus {
    return statusOf(this.size, this.held)
  }

  /** Memory in bytes. */
  get allocated(): number {
    return this.data.allocated + this.outboard.allocated
  }

  /**
   * Keeps the whole groups and all parents.
   *
   * @param reserve is told how many more bytes of memory are needed, and throws when there are not so many
   * @returns whether anything came that was not held
   */
  write(verified: Verified, reserve: (bytes: number) => void): boolean {
    const { runs, ranges } = keepGroups(verified.leaves, this.size)
    for (const { offset, length, pieces } of runs) {
      reserve(this.data.cost(offset, length))
      let at = offset
      for (const bytes of pieces) {
        this.data.write(at, bytes)
        at += bytes.length
      }
    }
    for (const { offset, bytes } of verified.parents) {
      reserve(this.outboard.cost(offset, bytes.length))
      this.outboard.write(offset, bytes)
    }
    if (this.held.containsAll(ranges)) return false
    this.held = this.held.union(ranges)
    this.changedAt = Date.now()
    return true
  }
}

export class MemoryReader implements BlobReader {
  readonly hash: Hash
  readonly held: ChunkRanges | undefined
  /** All that is in memory has come in proven, and memory does not rot. */
  readonly isProven = true
  readonly #blob: MemoryBlob
  readonly #lifetime: Lifetime
  #isClosed = false

  constructor(hash: Hash, blob: MemoryBlob, lifetime: Lifetime) {
    this.hash = hash
    this.#lifetime = lifetime
    this.held = blob.status.state === 'complete' ? undefined : blob.held
    this.#blob = blob
    blob.enter('reader')
  }

  get size(): number {
    return this.#blob.size
  }

  async readData(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#check(signal)
    this.#blob.data.read(offset, target)
  }

  async readDataInto(offset: number, targets: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    this.#check(signal)
    let at = offset
    for (const target of targets) {
      this.#blob.data.read(at, target)
      at += target.length
    }
  }

  async readOutboard(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#check(signal)
    this.#blob.outboard.read(offset, target)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#blob.leave('reader')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #check(signal: AbortSignal | undefined): void {
    this.#lifetime.check(signal)
    if (this.#isClosed) throw new HandleClosedError('reader', this.hash)
  }
}
