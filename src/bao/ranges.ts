/**
 * Sets of chunk numbers, as the protocol speaks of them (protocol/README.md, "Ranges").
 *
 * A set is its sorted boundaries `b0 < b1 < b2 …`: chunks from b0 up to (not including) b1 are in, from b1 up to b2 out,
 * and so on. An odd number of boundaries means that the last range has no end. Boundaries are 0..2^64-1, hence bigint:
 * `[2^64-1, ∞)` is in everyday use, it asks for the last chunk whatever the size.
 */
import { CHUNK_BYTES } from './constants.ts'

/** The largest boundary: 2^64 - 1. */
export const MAX_CHUNK = 0xffff_ffff_ffff_ffffn

/** The boundaries given are not sorted, repeat, or lie outside 0..2^64-1. */
export class InvalidRangesError extends Error {
  override readonly name = 'InvalidRangesError'
  readonly code = 'ERR_INVALID_RANGES'
}

/** An immutable set of chunk numbers. */
export class ChunkRanges {
  /** Nothing. */
  static readonly empty: ChunkRanges = new ChunkRanges([])
  /** Every chunk. */
  static readonly all: ChunkRanges = new ChunkRanges([0n])
  /** The last chunk, whatever the size: asking for it proves the size. */
  static readonly last: ChunkRanges = new ChunkRanges([MAX_CHUNK])

  /** Sorted, without repetition. Not to be modified. */
  readonly boundaries: readonly bigint[]

  private constructor(boundaries: readonly bigint[]) {
    this.boundaries = boundaries
  }

  /**
   * @param boundaries strictly ascending, each 0..2^64-1
   * @throws InvalidRangesError naming the first boundary that is wrong
   */
  static fromBoundaries(boundaries: Iterable<bigint | number>): ChunkRanges {
    const list = Array.from(boundaries, BigInt)
    let previous = -1n
    for (const [i, boundary] of list.entries()) {
      if (boundary <= previous || boundary > MAX_CHUNK) {
        throw new InvalidRangesError(
          `boundary ${i} is ${boundary}: boundaries ascend and lie between 0 and ${MAX_CHUNK}`
        )
      }
      previous = boundary
    }
    return new ChunkRanges(list)
  }

  /** The same, when it is known that they are as they must be: what was made of ranges, for example. */
  static ofSorted(boundaries: readonly bigint[]): ChunkRanges {
    return boundaries.length === 0 ? ChunkRanges.empty : new ChunkRanges(boundaries)
  }

  /**
   * Chunks from `start` up to, not including, `end`; without `end`, all from `start` on.
   *
   * @throws InvalidRangesError when `end` is below `start`
   */
  static range(start: bigint | number, end?: bigint | number): ChunkRanges {
    if (end === undefined) {
      return ChunkRanges.fromBoundaries([start])
    }
    const [from, to] = [BigInt(start), BigInt(end)]
    if (from === to) return ChunkRanges.empty
    // Thousands of blobs are asked about the range that is all of them.
    return from >= 0n && from < to && to <= MAX_CHUNK
      ? new ChunkRanges([from, to])
      : ChunkRanges.fromBoundaries([from, to])
  }

  /**
   * The chunks that hold the bytes from `start` up to, not including, `end`; without `end`, all from `start` on.
   *
   * @param start offset in bytes
   * @param end offset in bytes
   */
  static ofBytes(start: number, end?: number): ChunkRanges {
    const first = Math.floor(start / CHUNK_BYTES)
    return end === undefined
      ? ChunkRanges.range(first)
      : end <= start
        ? ChunkRanges.empty
        : ChunkRanges.range(first, Math.ceil(end / CHUNK_BYTES))
  }

  get isEmpty(): boolean {
    return this.boundaries.length === 0
  }

  get isAll(): boolean {
    return this.boundaries.length === 1 && this.boundaries[0] === 0n
  }

  /** Whether the last range has no end. */
  get isOpen(): boolean {
    return this.boundaries.length % 2 === 1
  }

  contains(chunk: bigint | number): boolean {
    return countUpTo(this.boundaries, BigInt(chunk)) % 2 === 1
  }

  /** Whether every chunk of `other` is in this set. */
  containsAll(other: ChunkRanges): boolean {
    return other.subtract(this).isEmpty
  }

  union(other: ChunkRanges): ChunkRanges {
    if (this.isEmpty || other.isAll) return other
    if (other.isEmpty || this.isAll) return this
    return combine(this, other, (a, b) => a || b)
  }

  intersect(other: ChunkRanges): ChunkRanges {
    if (this.isEmpty || other.isAll) return this
    if (other.isEmpty || this.isAll) return other
    return combine(this, other, (a, b) => a && b)
  }

  subtract(other: ChunkRanges): ChunkRanges {
    if (this.isEmpty || other.isEmpty) return this
    if (other.isAll || this === other) return ChunkRanges.empty
    return combine(this, other, (a, b) => a && !b)
  }

  /** Chunks in exactly one of the two sets. */
  symmetricDifference(other: ChunkRanges): ChunkRanges {
    return combine(this, other, (a, b) => a !== b)
  }

  /** All chunks not in this set. */
  complement(): ChunkRanges {
    return ChunkRanges.all.subtract(this)
  }

  /** The first `count` ranges. */
  first(count: number): ChunkRanges {
    return this.boundaries.length <= 2 * count ? this : new ChunkRanges(this.boundaries.slice(0, 2 * count))
  }

  equals(other: ChunkRanges): boolean {
    return (
      this.boundaries.length === other.boundaries.length &&
      this.boundaries.every((boundary, i) => boundary === other.boundaries[i])
    )
  }

  /** The ranges as `[start, end)`; the last `end` is undefined when it has none. */
  *[Symbol.iterator](): Generator<[start: bigint, end: bigint | undefined]> {
    for (let i = 0; i < this.boundaries.length; i += 2) {
      yield [this.boundaries[i]!, this.boundaries[i + 1]]
    }
  }

  /** `0..480,1024..` */
  toString(): string {
    return Array.from(this, ([start, end]) => `${start}..${end ?? ''}`).join(',')
  }
}

/** How many boundaries are at or below `chunk`. */
function countUpTo(boundaries: readonly bigint[], chunk: bigint): number {
  let low = 0
  let high = boundaries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (boundaries[middle]! <= chunk) low = middle + 1
    else high = middle
  }
  return low
}

/** One pass over both lists of boundaries: the result changes where `keep` of the two states changes. */
function combine(a: ChunkRanges, b: ChunkRanges, keep: (inA: boolean, inB: boolean) => boolean): ChunkRanges {
  const boundaries: bigint[] = []
  const left = a.boundaries
  const right = b.boundaries
  let i = 0
  let j = 0
  let inside = false
  while (i < left.length || j < right.length) {
    const at = j >= right.length || (i < left.length && left[i]! <= right[j]!) ? left[i]! : right[j]!
    if (left[i] === at) i++
    if (right[j] === at) j++
    const now = keep(i % 2 === 1, j % 2 === 1)
    if (now !== inside) {
      boundaries.push(at)
      inside = now
    }
  }
  return ChunkRanges.ofSorted(boundaries)
}
