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
import { Pages } from './pages.ts'

export class MemoryBlob {
  /** Bytes, as claimed. */
  readonly size: number
  readonly data: Pages
  readonly outboard: Pages
  held: ChunkRanges
  /** When something came in last, in ms since 1970. */
  changedAt = Date.now()
  /** Writers that are open. */
  writers = 0

  constructor(
    size: number,
    data = new Pages(size),
    outboard = new Pages(outboardBytes(size)),
    held = ChunkRanges.empty
  ) {
    this.size = size
    this.data = data
    this.outboard = outboard
    this.held = held
  }

  static complete(data: Pages, outboard: Pages): MemoryBlob {
    return new MemoryBlob(data.size, data, outboard, wholeRange(data.size))
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
    const pieces = runs.flatMap(run => offsets(run.offset, run.pieces))
    for (const { offset, bytes } of pieces) {
      reserve(this.data.cost(offset, bytes.length))
      this.data.write(offset, bytes)
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

function offsets(start: number, pieces: readonly Uint8Array[]): { offset: number; bytes: Uint8Array }[] {
  let offset = start
  return pieces.map(bytes => {
    const piece = { offset, bytes }
    offset += bytes.length
    return piece
  })
}

export class MemoryReader implements BlobReader {
  readonly hash: Hash
  readonly held: ChunkRanges | undefined
  readonly #blob: MemoryBlob
  readonly #lifetime: Lifetime
  #isClosed = false

  constructor(hash: Hash, blob: MemoryBlob, lifetime: Lifetime) {
    this.hash = hash
    this.#lifetime = lifetime
    this.held = blob.status.state === 'complete' ? undefined : blob.held
    this.#blob = blob
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
    this.#isClosed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #check(signal: AbortSignal | undefined): void {
    this.#lifetime.check(signal)
    if (this.#isClosed) throw new HandleClosedError('reader', this.hash)
  }
}
