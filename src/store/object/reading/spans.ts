/** Sorted spans of bytes: what is going to be read of an object. */
import { GROUP_BYTES, GROUP_CHUNKS, PAIR_BYTES, RUN_BYTES, RUN_GROUPS } from '../../../bao/constants.ts'
import {
  chunkCount,
  groupCount,
  outboardBytes,
  runOutboardOffset,
  selectChunks
} from '../../../bao/geometry.ts'
import type { ChunkRanges } from '../../../bao/ranges.ts'
import { GAP_BYTES } from './constants.ts'

export class Spans {
  static readonly none: Spans = new Spans([])

  /** `[start, end, start, end …]`, ascending, none of them empty. */
  readonly boundaries: readonly number[]

  private constructor(boundaries: readonly number[]) {
    this.boundaries = boundaries
  }

  /**
   * @param boundaries `[start, end, start, end …]`, ascending by their starts; empty spans are left out
   * @param gap spans at most so many bytes apart become one
   */
  static of(boundaries: readonly number[], gap = 0): Spans {
    const merged: number[] = []
    for (let i = 0; i < boundaries.length; i += 2) {
      const start = boundaries[i]!
      const end = boundaries[i + 1]!
      if (end <= start) continue
      if (merged.length > 0 && start <= merged.at(-1)! + gap) merged.push(Math.max(merged.pop()!, end))
      else merged.push(start, end)
    }
    return new Spans(merged)
  }

  get isEmpty(): boolean {
    return this.boundaries.length === 0
  }

  /** The end of the span that `offset` lies in; undefined when it lies in none. */
  endAt(offset: number): number | undefined {
    const above = this.#countUpTo(offset)
    return above % 2 === 1 ? this.boundaries[above] : undefined
  }

  /** The first offset in a span, from `offset` on; Infinity when there is none. */
  next(offset: number): number {
    const above = this.#countUpTo(offset)
    return above % 2 === 1 ? offset : (this.boundaries[above] ?? Infinity)
  }

  /** How many boundaries are at or below `offset`. */
  #countUpTo(offset: number): number {
    let low = 0
    let high = this.boundaries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.boundaries[middle]! <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The bytes of a blob that a request for `ranges` reads: whole groups, small gaps included. */
export function dataSpans(ranges: ChunkRanges, size: number): Spans {
  const chunks = selectChunks(ranges, chunkCount(size))
  const bytes: number[] = []
  for (let i = 0; i < chunks.length; i += 2) {
    const firstGroup = Math.floor(chunks[i]! / GROUP_CHUNKS)
    const endGroup = Math.ceil(chunks[i + 1]! / GROUP_CHUNKS)
    bytes.push(firstGroup * GROUP_BYTES, Math.min(endGroup * GROUP_BYTES, size))
  }
  return Spans.of(bytes, GAP_BYTES)
}

/**
 * Where the outboard is read in order while `data` is: from the first run of each span to its last. The way down to the
 * first run is not part of it.
 */
export function outboardSpans(data: Spans, size: number): Spans {
  const groups = groupCount(size)
  const total = outboardBytes(size)
  const bytes: number[] = []
  for (let i = 0; i < data.boundaries.length; i += 2) {
    const firstRun = Math.floor(data.boundaries[i]! / RUN_BYTES)
    const lastRun = Math.ceil(data.boundaries[i + 1]! / RUN_BYTES) - 1
    const end = runOutboardOffset(lastRun, groups) + (RUN_GROUPS - 1) * PAIR_BYTES
    bytes.push(runOutboardOffset(firstRun, groups), Math.min(end, total))
  }
  return Spans.of(bytes)
}
