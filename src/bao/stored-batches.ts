/** Reading a blob and its outboard in the order in which its tree is walked, some nodes at a time. */
import { GROUP_BYTES, GROUP_CHUNKS, PAIR_BYTES, RUN_BYTES } from './constants.ts'
import { MAX_JOBS } from './kernel/index.ts'
import { ChunkRanges } from './ranges.ts'
import { INSIDE_GROUP, TreeWalker } from './walker.ts'

/** Random access to a blob and its outboard. */
export interface EncodeSource {
  /** Bytes. */
  readonly size: number
  /** The chunks that are held, in whole groups; `undefined` when all are. */
  readonly held?: ChunkRanges | undefined
  /** Whether all that is held was proven and cannot have changed since, as in memory: then it is sent without being looked at. */
  readonly isProven?: boolean | undefined
  /** Whether its bytes come from far away, one after the other: then what comes first is handed out while the rest is on its way. */
  readonly isFar?: boolean | undefined
  /** Fills `target` with the blob's bytes from `offset` on. Rejects when it cannot fill all of it. */
  readData(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void>
  /**
   * Fills `targets`, one after the other, with the blob's bytes from `offset` on, as `readData` does. A source need not have it: it
   * saves a copy, since on the wire there are parents between the data.
   */
  readDataInto?(offset: number, targets: readonly Uint8Array[], signal?: AbortSignal): Promise<void>
  /** Fills `target` with the outboard's bytes from `offset` on. Rejects when it cannot fill all of it. */
  readOutboard(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void>
}

/**
 * Outboard nodes further apart than this many bytes are read separately. On the way down to a group of a large blob, every other
 * node lies far behind the one before; a read costs as much as bringing along some pages.
 */
const OUTBOARD_GAP_BYTES = 16 * 1024

/** Nodes that are read and handed out together. */
export class Batch {
  /** Per node: first chunk, last chunk + 1, index in the outboard (or {@link INSIDE_GROUP}), 1 for a leaf. */
  readonly nodes: number[] = []
  /** Data to read, ascending and apart: `[start, end, …]` in bytes. */
  readonly data: number[] = []
  /** Outboard to read, ascending and apart: `[start, end, …]` in bytes. */
  readonly outboard: number[] = []
  /** Bytes on the wire. */
  bytes = 0
  /** Whether there are nodes in it that lie inside a chunk group: parents that are not stored, or a part of a group's data. */
  opensGroups = false

  get isEmpty(): boolean {
    return this.nodes.length === 0
  }

  get count(): number {
    return this.nodes.length / 4
  }

  add(walker: TreeWalker): void {
    this.nodes.push(walker.start, walker.end, walker.node, walker.isLeaf ? 1 : 0)
    this.bytes += walker.bytes
    if (walker.node !== INSIDE_GROUP) {
      addSpan(this.outboard, walker.node * PAIR_BYTES, (walker.node + 1) * PAIR_BYTES, OUTBOARD_GAP_BYTES)
    } else {
      const group = Math.floor(walker.start / GROUP_CHUNKS) * GROUP_BYTES
      const end = Math.min(group + GROUP_BYTES, walker.size)
      addSpan(this.data, group, end, 0)
      if (!walker.isLeaf || walker.bytes < end - group) this.opensGroups = true
    }
  }
}

/** Adds `[start, end)`, which does not begin before the last span does, and closes gaps up to `gap`. */
function addSpan(spans: number[], start: number, end: number, gap: number): void {
  const last = spans.length - 1
  if (last > 0 && start <= spans[last]! + gap) spans[last] = Math.max(spans[last]!, end)
  else spans.push(start, end)
}

/** Cuts the walk into batches, and stops it where the blob is not held. */
export class Planner {
  readonly #walker: TreeWalker
  readonly #held: readonly number[] | undefined
  #hasNode: boolean
  /** Number of the first chunk that is wanted and not held, once the walk has come to it. */
  missing: number | undefined

  constructor(source: EncodeSource, ranges: ChunkRanges) {
    this.#walker = new TreeWalker(source.size, ranges)
    this.#hasNode = this.#walker.next()
    this.#held = source.held?.intersect(ChunkRanges.range(0, this.#walker.chunks)).boundaries.map(Number)
  }

  /** @param batchBytes most bytes of data, 16 KiB to 1 MiB */
  next(batchBytes = RUN_BYTES): Batch {
    const most = Math.min(Math.max(GROUP_BYTES, batchBytes), RUN_BYTES)
    const batch = new Batch()
    let dataBytes = 0
    let group = -1
    while (this.#hasNode && batch.count < MAX_JOBS) {
      const walker = this.#walker
      if (walker.node === INSIDE_GROUP && Math.floor(walker.start / GROUP_CHUNKS) !== group) {
        if (dataBytes + GROUP_BYTES > most) break
        dataBytes += GROUP_BYTES
        group = Math.floor(walker.start / GROUP_CHUNKS)
      }
      if (this.#held !== undefined && !isHeld(this.#held, walker.start, walker.end)) {
        this.missing = walker.start
        this.#hasNode = false
        break
      }
      batch.add(walker)
      this.#hasNode = walker.next()
    }
    return batch
  }
}

/** A node is there when any chunk below it is held: a store keeps parents with the first data below them. */
function isHeld(held: readonly number[], start: number, end: number): boolean {
  let low = 0
  let high = held.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (held[middle]! <= start) low = middle + 1
    else high = middle
  }
  return low % 2 === 1 || (low < held.length && held[low]! < end)
}

/** The stored bytes of one batch. */
export class StoredBatch {
  readonly data = new SpanBuffer()
  readonly outboard = new SpanBuffer()

  async read(batch: Batch, source: EncodeSource, signal: AbortSignal | undefined): Promise<StoredBatch> {
    signal?.throwIfAborted()
    await Promise.all([
      ...this.data.read(batch.data, (offset, target) => source.readData(offset, target, signal)),
      ...this.outboard.read(batch.outboard, (offset, target) => source.readOutboard(offset, target, signal))
    ])
    return this
  }
}

/** Spans of a longer sequence of bytes, side by side in one buffer that is used again for the next batch. */
export class SpanBuffer {
  #spans: readonly number[] = []
  #bytes = new Uint8Array(0)
  // The span last looked at, and where it starts in the buffer. Views are asked for in ascending order.
  #span = 0
  #start = 0

  read(
    spans: readonly number[],
    fill: (offset: number, target: Uint8Array) => Promise<void>
  ): Promise<void>[] {
    this.#spans = spans
    this.#span = 0
    this.#start = 0
    let total = 0
    for (let i = 0; i < spans.length; i += 2) total += spans[i + 1]! - spans[i]!
    if (total > this.#bytes.length) this.#bytes = new Uint8Array(total)

    const reads: Promise<void>[] = []
    let at = 0
    for (let i = 0; i < spans.length; i += 2) {
      const length = spans[i + 1]! - spans[i]!
      if (length > 0) reads.push(fill(spans[i]!, this.#bytes.subarray(at, at + length)))
      at += length
    }
    return reads
  }

  view(start: number, length: number): Uint8Array {
    while (this.#span + 2 < this.#spans.length && start >= this.#spans[this.#span + 1]!) {
      this.#start += this.#spans[this.#span + 1]! - this.#spans[this.#span]!
      this.#span += 2
    }
    const from = this.#start + start - this.#spans[this.#span]!
    return this.#bytes.subarray(from, from + length)
  }
}
