/**
 * Builds a blob's outboard and hash while the blob streams by.
 *
 * The outboard is stored in pre-order, but hashes become known in post-order, and where a node lies depends on the size,
 * which a stream tells only at its end. So the blob is hashed in runs of 1 MiB, aligned: the 63 nodes of a run come out of
 * the kernel in pre-order already and never move apart again. Only the nodes above the runs, one in 64, are missing then;
 * they follow from one chaining value per run (32 bytes per MiB), and are put between the runs at the end.
 */
import { Hash } from '../hash.ts'
import { CV_BYTES, GROUP_BYTES, PAIR_BYTES, RUN_BYTES, RUN_CHUNKS, RUN_GROUPS } from './constants.ts'
import type { Piece } from './decoder.ts'
import { groupCount, leftLeaves, outboardBytes, runOutboardOffset } from './geometry.ts'
import { kernel as defaultKernel, type Kernel } from './kernel/index.ts'

/** Nodes of one run of at most 64 groups, in pre-order. */
export interface RunOutboard {
  /** Number of the run: it covers the blob's bytes from `run` MiB on. */
  readonly run: number
  /** 0..63 nodes of 64 bytes. Valid only until the callback returns. */
  readonly pairs: Uint8Array
}

/** A run that was hashed by {@link hashRun}, in whatever order. */
export interface HashedRun {
  /** Bytes of the blob in it: 1 MiB, unless it is the last. */
  readonly length: number
  /** 32 bytes. */
  readonly value: Uint8Array
  /** 0..63 nodes of 64 bytes, in pre-order. */
  readonly pairs: Uint8Array
}

/** What a whole stream hashed to. */
export interface HashedBlob {
  readonly hash: Hash
  /** Bytes. */
  readonly size: number
  /** The outboard's nodes above the runs, ascending; the runs' own went to `onRun`. */
  readonly top: readonly Piece[]
}

/** Hashes a blob piece by piece. Holds at most 1 MiB of it, and 32 bytes for every MiB that went by. */
export class OutboardBuilder {
  readonly #kernel: Kernel
  readonly #onRun: (nodes: RunOutboard) => void
  readonly #pairs = new Uint8Array((RUN_GROUPS - 1) * PAIR_BYTES)
  #buffer = new Uint8Array(0)
  #buffered = 0
  #values = new Uint8Array(64 * CV_BYTES)
  #runs = 0
  #size = 0

  /** @param onRun takes each run's nodes as soon as they are known, in order */
  constructor(onRun: (nodes: RunOutboard) => void, kernel: Kernel = defaultKernel) {
    this.#onRun = onRun
    this.#kernel = kernel
  }

  /** Bytes taken so far. */
  get size(): number {
    return this.#size
  }

  /** Takes the next bytes of the blob, any number. They are not kept. */
  push(bytes: Uint8Array): void {
    this.#size += bytes.length
    let rest = bytes
    while (rest.length > 0) {
      // The first run is hashed once a byte after it is known: only then is it certain not to be the whole blob.
      if (this.#buffered === RUN_BYTES) this.#hashBuffered()
      const isInner = rest.length > RUN_BYTES || (rest.length === RUN_BYTES && this.#runs > 0)
      if (this.#buffered === 0 && isInner) {
        this.#hashRun(rest.subarray(0, RUN_BYTES), false)
        rest = rest.subarray(RUN_BYTES)
        continue
      }
      const taken = rest.subarray(0, RUN_BYTES - this.#buffered)
      this.#makeRoom(this.#buffered + taken.length)
      this.#buffer.set(taken, this.#buffered)
      this.#buffered += taken.length
      rest = rest.subarray(taken.length)
    }
  }

  /**
   * Takes the next run, which was hashed elsewhere. It is not kept.
   *
   * @throws RangeError unless all before it were whole runs, and what it has is what a run of its length has
   */
  pushRun({ length, value, pairs }: HashedRun): void {
    if (this.#buffered === RUN_BYTES) this.#hashBuffered()
    if (this.#buffered > 0 || this.#size !== this.#runs * RUN_BYTES)
      throw new RangeError(`a run cannot begin at byte ${this.#size}`)
    if (
      length < 1 ||
      length > RUN_BYTES ||
      value.length !== CV_BYTES ||
      pairs.length !== outboardBytes(length)
    )
      throw new RangeError(`a run of ${length} bytes does not have ${pairs.length} bytes of nodes`)
    this.#size += length
    this.#newValue().set(value)
    this.#onRun({ run: this.#runs - 1, pairs })
  }

  /** Ends the blob. The builder is then of no further use. */
  finish(): HashedBlob {
    const isRoot = this.#runs === 0
    if (isRoot || this.#buffered > 0) {
      this.#hashRun(this.#buffer.subarray(0, this.#buffered), isRoot)
    }
    const { value, nodes } = combineRuns(this.#values, this.#size, this.#kernel)
    return { hash: Hash.fromBytes(value), size: this.#size, top: nodes }
  }

  /** Most blobs are small: they should not cost a run's worth of memory each. */
  #makeRoom(length: number): void {
    if (length <= this.#buffer.length) return
    const grown = new Uint8Array(Math.min(RUN_BYTES, Math.max(length, 2 * this.#buffer.length)))
    grown.set(this.#buffer.subarray(0, this.#buffered))
    this.#buffer = grown
  }

  #hashBuffered(): void {
    this.#hashRun(this.#buffer, false)
    this.#buffered = 0
  }

  #hashRun(data: Uint8Array, isRoot: boolean): void {
    const run = this.#runs
    const value = this.#newValue()
    const pairs = this.#pairs.subarray(0, outboardBytes(data.length))
    hashRun(data, run, isRoot, { value, pairs }, this.#kernel)
    this.#onRun({ run, pairs })
  }

  /** Where the chaining value of the next run goes. */
  #newValue(): Uint8Array {
    const run = this.#runs++
    if (this.#runs * CV_BYTES > this.#values.length) {
      const grown = new Uint8Array(this.#values.length * 2)
      grown.set(this.#values)
      this.#values = grown
    }
    return this.#values.subarray(run * CV_BYTES, (run + 1) * CV_BYTES)
  }
}

/**
 * Hashes one run by itself: runs do not depend on each other. {@link OutboardBuilder.pushRun} puts them together.
 *
 * @param data 1 MiB, or the rest of the blob
 * @param run number of the run: it covers the blob's bytes from `run` MiB on
 * @param isRoot whether it is the whole blob
 * @param into receives the 32 bytes of the chaining value, and the nodes: `outboardBytes(data.length)`
 */
export function hashRun(
  data: Uint8Array,
  run: number,
  isRoot: boolean,
  into: Pick<HashedRun, 'value' | 'pairs'>,
  kernel: Kernel = defaultKernel
): void {
  kernel.subtree(data, run * RUN_CHUNKS, isRoot, into.value, into.pairs)
}

/** Hashes the tree above the runs, given each run's chaining value. */
function combineRuns(
  values: Uint8Array,
  size: number,
  kernel: Kernel
): { value: Uint8Array; nodes: Piece[] } {
  const groups = groupCount(size)
  const nodes: Piece[] = []
  const combine = (start: number, end: number, index: number): Uint8Array => {
    if (end - start <= RUN_GROUPS) {
      const run = start / RUN_GROUPS
      return values.subarray(run * CV_BYTES, (run + 1) * CV_BYTES)
    }
    const left = leftLeaves(end - start)
    const pair = new Uint8Array(PAIR_BYTES)
    nodes.push({ offset: index * PAIR_BYTES, bytes: pair })
    pair.set(combine(start, start + left, index + 1))
    pair.set(combine(start + left, end, index + left), CV_BYTES)
    const value = new Uint8Array(CV_BYTES)
    kernel.parent(pair, start === 0 && end === groups, value)
    return value
  }
  return { value: combine(0, groups, 0), nodes }
}

/** Hash and outboard of bytes at hand. */
export function hashBytes(
  data: Uint8Array,
  kernel: Kernel = defaultKernel
): { hash: Hash; outboard: Uint8Array } {
  if (data.length <= GROUP_BYTES) {
    const root = new Uint8Array(CV_BYTES)
    kernel.subtree(data, 0, true, root)
    return { hash: Hash.fromBytes(root), outboard: new Uint8Array(0) }
  }
  const outboard = new Uint8Array(outboardBytes(data.length))
  const groups = groupCount(data.length)
  const builder = new OutboardBuilder(({ run, pairs }) => {
    outboard.set(pairs, runOutboardOffset(run, groups))
  }, kernel)
  builder.push(data)
  const { hash, top } = builder.finish()
  for (const { offset, bytes } of top) outboard.set(bytes, offset)
  return { hash, outboard }
}
