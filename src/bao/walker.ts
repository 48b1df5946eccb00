/**
 * The order in which a blob's tree is sent: encoder and decoder walk it together (protocol/README.md, "Encoding").
 *
 * A walker yields, in pre-order, the parents and leaves that a selection of chunks touches. It is an explicit stack of
 * numbers, so that a walk of any length allocates nothing.
 */
import { CHUNK_BYTES, GROUP_CHUNKS, PAIR_BYTES } from './constants.ts'
import { chunkCount, leftLeaves, selectChunks } from './geometry.ts'
import type { ChunkRanges } from './ranges.ts'

/** Levels of a tree over 2^43 chunks, and one pending sibling each. */
export const MAX_DEPTH = 64

/** Value of {@link TreeWalker.node} for parents inside a chunk group, which no outboard holds. */
export const INSIDE_GROUP = -1

export class TreeWalker {
  readonly size: number
  readonly chunks: number

  /** The current node covers the chunks from `start` up to, not including, `end`. */
  start = 0
  end = 0
  /** Whether the current node is a leaf: bare data, at most a chunk group. */
  isLeaf = false
  /** The current parent's index in the pre-order outboard, or {@link INSIDE_GROUP}. */
  node = INSIDE_GROUP
  /** Which sides of the current parent will be walked. */
  wantsLeft = false
  wantsRight = false

  /** Boundaries of the selected chunks. */
  readonly #selected: readonly number[]
  // A subtree to visit: its chunks, its index in the outboard, and the slice of boundaries that lie inside it.
  readonly #starts = new Float64Array(MAX_DEPTH)
  readonly #ends = new Float64Array(MAX_DEPTH)
  readonly #nodes = new Float64Array(MAX_DEPTH)
  readonly #lows = new Int32Array(MAX_DEPTH)
  readonly #highs = new Int32Array(MAX_DEPTH)
  #depth = 0

  /**
   * @param size bytes of the blob, as claimed or known
   * @param ranges chunks asked for; the last-chunk rule is applied here
   */
  constructor(size: number, ranges: ChunkRanges) {
    this.size = size
    this.chunks = chunkCount(size)
    this.#selected = selectChunks(ranges, this.chunks)
    this.#pushIfWanted(0, this.chunks, 0, this.#after(0, 0), this.#from(this.chunks, 0))
  }

  /** Moves to the next node. False at the end. */
  next(): boolean {
    if (this.#depth === 0) return false
    const top = --this.#depth
    const start = this.#starts[top]!
    const end = this.#ends[top]!
    const low = this.#lows[top]!
    const high = this.#highs[top]!
    const node = this.#nodes[top]!
    const span = end - start

    this.start = start
    this.end = end
    this.isLeaf = span === 1 || (span <= GROUP_CHUNKS && low === high)
    this.node = span > GROUP_CHUNKS ? node : INSIDE_GROUP
    if (!this.isLeaf) {
      const left = leftLeaves(span)
      const middle = start + left
      this.wantsRight = this.#pushIfWanted(
        middle,
        end,
        node + left / GROUP_CHUNKS,
        this.#after(middle, low),
        high
      )
      this.wantsLeft = this.#pushIfWanted(start, middle, node + 1, low, this.#from(middle, low))
    }
    return true
  }

  /** Bytes of the current node on the wire. */
  get bytes(): number {
    return this.isLeaf ? Math.min(this.end * CHUNK_BYTES, this.size) - this.start * CHUNK_BYTES : PAIR_BYTES
  }

  /** Whether the current node covers the whole blob. */
  get isRoot(): boolean {
    return this.start === 0 && this.end === this.chunks
  }

  #pushIfWanted(start: number, end: number, node: number, low: number, high: number): boolean {
    const startsInside = low % 2 === 1
    if (low === high && !startsInside) return false
    const top = this.#depth++
    this.#starts[top] = start
    this.#ends[top] = end
    this.#nodes[top] = node
    this.#lows[top] = low
    this.#highs[top] = high
    return true
  }

  /** Index of the first boundary above `chunk`. */
  #after(chunk: number, low: number): number {
    return this.#from(chunk + 1, low)
  }

  /** Index of the first boundary at or above `chunk`, not before index `low`. */
  #from(chunk: number, low: number): number {
    let high = this.#selected.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#selected[middle]! < chunk) low = middle + 1
      else high = middle
    }
    return low
  }
}
