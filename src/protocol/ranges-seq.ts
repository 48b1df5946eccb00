/**
 * What is wanted of a blob and of the blobs it links to (protocol/README.md, "Ranges sequence").
 *
 * A list without end of chunk ranges: index 0 is the blob that the request names (the root), index i the i-th child of the
 * hash sequence in it. In a GetMany request there is no root, and index 0 is the first hash.
 */
import { ChunkRanges } from '../bao/ranges.ts'
import { MalformedError, Reader, Writer } from './postcard.ts'
import { NumberBudget, readRanges, writeRanges } from './ranges-codec.ts'

/** From index `from` on, until the next entry, the ranges are `ranges`. */
export interface RangesSeqEntry {
  readonly from: number
  readonly ranges: ChunkRanges
}

/** The entries given do not ascend, or an index lies outside 0..2^53-1. */
export class InvalidRangesSeqError extends Error {
  override readonly name = 'InvalidRangesSeqError'
  readonly code = 'ERR_INVALID_RANGES_SEQ'
}

/** An immutable sequence of chunk ranges. Equal sequences have equal entries. */
export class RangesSeq {
  /** Nothing of any blob. */
  static readonly empty: RangesSeq = new RangesSeq([])
  /** The root and all its children, whole. */
  static readonly all: RangesSeq = RangesSeq.fromEntries([{ from: 0, ranges: ChunkRanges.all }])
  /** The last chunk of one blob, which proves its size. */
  static readonly verifiedSize: RangesSeq = RangesSeq.blob(ChunkRanges.last)

  /** Each differs from the one before it, the first is not empty. Not to be modified. */
  readonly entries: readonly RangesSeqEntry[]

  private constructor(entries: readonly RangesSeqEntry[]) {
    this.entries = entries
  }

  /** These ranges of one blob, nothing of any child. */
  static blob(ranges: ChunkRanges): RangesSeq {
    return RangesSeq.fromList([ranges])
  }

  /**
   * One set of ranges per index from 0 on.
   *
   * @param rest the ranges of all indices behind the list
   */
  static fromList(list: Iterable<ChunkRanges>, rest: ChunkRanges = ChunkRanges.empty): RangesSeq {
    const entries = Array.from(list, (ranges, from) => ({ from, ranges }))
    entries.push({ from: entries.length, ranges: rest })
    return RangesSeq.fromEntries(entries)
  }

  /**
   * Entries in order of their index; before the first the ranges are empty, the last holds for ever.
   *
   * @throws InvalidRangesSeqError when an index does not ascend or lies outside 0..2^53-1
   */
  static fromEntries(entries: Iterable<RangesSeqEntry>): RangesSeq {
    const canonical: RangesSeqEntry[] = []
    let before = -1
    let current = ChunkRanges.empty
    for (const { from, ranges } of entries) {
      if (!Number.isSafeInteger(from) || from <= before) {
        throw new InvalidRangesSeqError(`index ${from} after ${before}: indices are whole numbers and ascend`)
      }
      before = from
      if (!ranges.equals(current)) {
        canonical.push({ from, ranges })
        current = ranges
      }
    }
    return new RangesSeq(canonical)
  }

  /** The ranges at an index. */
  at(index: number): ChunkRanges {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.entries[middle]!.from <= index) low = middle + 1
      else high = middle
    }
    return this.entries[low - 1]?.ranges ?? ChunkRanges.empty
  }

  /** How many numbers it takes to write: entries and their boundaries. A request has at most `MAX_REQUEST_NUMBERS`. */
  get numbers(): number {
    return this.entries.reduce((sum, { ranges }) => sum + ranges.boundaries.length, this.entries.length)
  }

  /** Whether nothing is wanted at any index. */
  get isEmpty(): boolean {
    return this.entries.length === 0
  }

  /** Whether something is wanted of every index from some index on. */
  get isOpen(): boolean {
    return this.entries.length > 0 && !this.entries.at(-1)!.ranges.isEmpty
  }

  /** First index from which on nothing is wanted; undefined when the sequence is open. */
  get end(): number | undefined {
    return this.isOpen ? undefined : (this.entries.at(-1)?.from ?? 0)
  }

  /**
   * Whether something is wanted of index 0 and one entry says so: exactly `(0, ranges), (+1, nothing)`. A request of this
   * form never looks at the content of the blob.
   */
  get isBlobOnly(): boolean {
    return this.entries.length === 2 && this.end === 1
  }

  /** The stretches of equal, non-empty ranges as `[from, to)`; the last `to` is undefined when the sequence is open. */
  *[Symbol.iterator](): Generator<[from: number, to: number | undefined, ranges: ChunkRanges]> {
    for (const [i, { from, ranges }] of this.entries.entries()) {
      if (!ranges.isEmpty) {
        yield [from, this.entries[i + 1]?.from, ranges]
      }
    }
  }

  equals(other: RangesSeq): boolean {
    return (
      this.entries.length === other.entries.length &&
      this.entries.every((entry, i) => {
        const twin = other.entries[i]!
        return entry.from === twin.from && entry.ranges.equals(twin.ranges)
      })
    )
  }

  /** `0: 0..; 1-3: 0..16; 5-: 0..`, an index or stretch of indices and its chunks. */
  toString(): string {
    return Array.from(this, ([from, to, ranges]) => {
      const indices = to === undefined ? `${from}-` : to === from + 1 ? `${from}` : `${from}-${to - 1}`
      return `${indices}: ${ranges}`
    }).join('; ')
  }
}

export function writeRangesSeq(writer: Writer, seq: RangesSeq): void {
  writer.varint(seq.entries.length)
  let previous = 0
  for (const { from, ranges } of seq.entries) {
    writer.varint(from - previous)
    writeRanges(writer, ranges)
    previous = from
  }
}

/**
 * Reads a sequence in any spelling: an entry at the index of the one before replaces it, equal neighbours are one.
 *
 * @throws MalformedError when the bytes end early, an index or a boundary is too large, or there are too many of them
 */
export function readRangesSeq(reader: Reader): RangesSeq {
  const position = reader.position
  const count = reader.count('number of entries in the ranges sequence', 2)
  const budget = new NumberBudget()
  budget.take(count, position)
  const entries: RangesSeqEntry[] = []
  let from = 0
  for (let i = 0; i < count; i++) {
    const start = reader.position
    from += reader.uint('step to the next index')
    if (!Number.isSafeInteger(from)) {
      throw new MalformedError('an index of the ranges sequence is above 2^53-1', start)
    }
    if (entries.at(-1)?.from === from) entries.pop()
    entries.push({ from, ranges: readRanges(reader, budget) })
  }
  return RangesSeq.fromEntries(entries)
}

/** The canonical bytes of a sequence. */
export function encodeRangesSeq(seq: RangesSeq): Uint8Array {
  const writer = new Writer()
  writeRangesSeq(writer, seq)
  return writer.finish()
}

/**
 * Reads a sequence from the start of `bytes`; what follows it is ignored.
 *
 * @throws MalformedError
 */
export function decodeRangesSeq(bytes: Uint8Array): RangesSeq {
  return readRangesSeq(new Reader(bytes))
}
