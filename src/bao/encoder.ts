/**
 * Encodes ranges of a blob (protocol/README.md, "Encoding") from wherever its data and outboard are.
 *
 * What is encoded is checked by the very {@link Decoder} a getter uses, before it is handed out: every prefix of what
 * leaves here verifies, whatever happened to the stored bytes.
 */
import type { Hash } from '../hash.ts'
import { CHUNK_BYTES, CV_BYTES, GROUP_BYTES, GROUP_CHUNKS, PAIR_BYTES, RUN_BYTES } from './constants.ts'
import { Decoder, type Piece, type Verified } from './decoder.ts'
import { CorruptSourceError, MissingChunksError } from './errors.ts'
import { leftLeaves } from './geometry.ts'
import { kernel as defaultKernel, type Kernel, MAX_JOBS } from './kernel/index.ts'
import { ChunkRanges } from './ranges.ts'
import { INSIDE_GROUP, TreeWalker } from './walker.ts'

/** Random access to a blob and its outboard. */
export interface EncodeSource {
  /** Bytes. */
  readonly size: number
  /** The chunks that are held, in whole groups; `undefined` when all are. */
  readonly held?: ChunkRanges | undefined
  /** Fills `target` with the blob's bytes from `offset` on. Rejects when it cannot fill all of it. */
  readData(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void>
  /** Fills `target` with the outboard's bytes from `offset` on. Rejects when it cannot fill all of it. */
  readOutboard(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void>
}

export interface EncodeOptions {
  readonly signal?: AbortSignal | undefined
  /** Data bytes per piece handed out, 16 KiB to 1 MiB. Up to three pieces are held in memory, six with `reuseBuffers`. */
  readonly batchBytes?: number | undefined
  /**
   * Whether a piece may be overwritten once three more have been handed out. Making new memory for all of a blob costs a
   * provider a third of its CPU, most of it spent on taking that memory back.
   *
   * @default false
   */
  readonly reuseBuffers?: boolean | undefined
  readonly kernel?: Kernel | undefined
}

/**
 * Default of {@link EncodeOptions.batchBytes}. Each batch costs a turn through the threads that read files: with 256 KiB instead
 * of 1 MiB a provider on a busy machine spends a quarter more CPU.
 */
export const ENCODE_BATCH_BYTES = 1024 * 1024

/**
 * With {@link EncodeOptions.reuseBuffers}: how many buffers take turns, and from which length on pieces go into them. So at least
 * 1.5 MiB have gone out behind a piece before it is overwritten; a connection holds back a fraction of that.
 */
const REUSED_BUFFERS = 4
const REUSE_FROM_BYTES = 512 * 1024

/** Outboard nodes further apart than this many bytes are read separately. */
const OUTBOARD_GAP_BYTES = 4096

/**
 * The encoding of `ranges`, without the size header.
 *
 * Reads the next piece while the last one is being consumed. When it throws, all that was handed out before verifies.
 *
 * @throws MissingChunksError at the first chunk that is wanted and not held
 * @throws CorruptSourceError at the first node whose stored bytes are wrong
 */
export async function* encode(
  hash: Hash,
  source: EncodeSource,
  ranges: ChunkRanges,
  options: EncodeOptions = {}
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { bytes, verified } of encodeBatches(hash, source, ranges, options)) {
    if (verified.consumed > 0) yield bytes.subarray(0, verified.consumed)
  }
}

/**
 * The data of `ranges`, checked against the hash as it is read; ascending, each piece at most a chunk group.
 *
 * @throws what {@link encode} throws, after all that comes before has been handed out
 */
export async function* readVerified(
  hash: Hash,
  source: EncodeSource,
  ranges: ChunkRanges,
  options: EncodeOptions = {}
): AsyncGenerator<Piece, void, undefined> {
  for await (const { verified } of encodeBatches(hash, source, ranges, options)) {
    yield* verified.leaves
  }
}

/**
 * What a `Decoder` proves of the encoding of `ranges`: the form in which a store's writer takes it, so that a blob can go from
 * one store to another. With `reuseBuffers` it is good until three more have been handed out.
 *
 * @throws what {@link encode} throws, after all that comes before has been handed out
 */
export async function* encodeVerified(
  hash: Hash,
  source: EncodeSource,
  ranges: ChunkRanges,
  options: EncodeOptions = {}
): AsyncGenerator<Verified, void, undefined> {
  for await (const { verified } of encodeBatches(hash, source, ranges, options)) {
    if (verified.consumed > 0) yield verified
  }
}

async function* encodeBatches(
  hash: Hash,
  source: EncodeSource,
  ranges: ChunkRanges,
  options: EncodeOptions
): AsyncGenerator<{ bytes: Uint8Array; verified: Verified }, void, undefined> {
  const kernel = options.kernel ?? defaultKernel
  const planner = new Planner(source, ranges, options.batchBytes ?? ENCODE_BATCH_BYTES)
  const check = new Decoder(hash, source.size, ranges, kernel)
  // The piece that is being assembled and the one that is being read.
  const buffers = [new StoredBatch(), new StoredBatch()] as const
  let turn = 0
  const reused: Uint8Array[] = []
  let reuses = 0
  const roomFor = (bytes: number): Uint8Array => {
    if (!options.reuseBuffers || bytes < REUSE_FROM_BYTES) return new Uint8Array(bytes)
    const place = reuses++ % REUSED_BUFFERS
    if ((reused[place]?.length ?? 0) < bytes) reused[place] = new Uint8Array(bytes)
    return reused[place]!.subarray(0, bytes)
  }
  const read = (batch: Batch): Promise<StoredBatch> | undefined => {
    if (batch.isEmpty) return undefined
    const reading = buffers[turn++ % 2]!.read(batch, source, options.signal)
    // It may fail while the consumer is busy: it is awaited, and its failure thrown, when its turn comes.
    reading.catch(() => undefined)
    return reading
  }

  let batch = planner.next()
  let reading = read(batch)
  try {
    while (reading !== undefined) {
      const stored: StoredBatch = await reading
      const following = planner.next()
      reading = read(following)
      const bytes = roomFor(batch.bytes)
      assemble(bytes, batch, stored, source.size, kernel)
      const verified = check.decode(bytes)
      yield { bytes, verified }
      if (verified.error !== undefined) throw new CorruptSourceError(verified.error)
      batch = following
    }
  } finally {
    // A read may be under way for a consumer who has left: it must end before the source is closed, and fails for nobody.
    await reading?.catch(() => undefined)
  }
  if (planner.missing !== undefined) throw new MissingChunksError(planner.missing)
}

/** Nodes that are read and handed out together. */
class Batch {
  /** Per node: first chunk, last chunk + 1, index in the outboard (or {@link INSIDE_GROUP}), 1 for a leaf. */
  readonly nodes: number[] = []
  /** Data to read, ascending and apart: `[start, end, …]` in bytes. */
  readonly data: number[] = []
  /** Outboard to read, ascending and apart: `[start, end, …]` in bytes. */
  readonly outboard: number[] = []
  /** Bytes on the wire. */
  bytes = 0

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
      addSpan(this.data, group, Math.min(group + GROUP_BYTES, walker.size), 0)
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
class Planner {
  readonly #walker: TreeWalker
  readonly #held: readonly number[] | undefined
  readonly #batchBytes: number
  #hasNode: boolean
  /** Number of the first chunk that is wanted and not held, once the walk has come to it. */
  missing: number | undefined

  constructor(source: EncodeSource, ranges: ChunkRanges, batchBytes: number) {
    this.#walker = new TreeWalker(source.size, ranges)
    this.#hasNode = this.#walker.next()
    this.#batchBytes = Math.min(Math.max(GROUP_BYTES, batchBytes), RUN_BYTES)
    this.#held = source.held?.intersect(ChunkRanges.range(0, this.#walker.chunks)).boundaries.map(Number)
  }

  next(): Batch {
    const batch = new Batch()
    let dataBytes = 0
    let group = -1
    while (this.#hasNode && batch.count < MAX_JOBS) {
      const walker = this.#walker
      if (walker.node === INSIDE_GROUP && Math.floor(walker.start / GROUP_CHUNKS) !== group) {
        if (dataBytes + GROUP_BYTES > this.#batchBytes) break
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
class StoredBatch {
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
class SpanBuffer {
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

/** Puts parents and leaves in their order. */
function assemble(out: Uint8Array, batch: Batch, stored: StoredBatch, size: number, kernel: Kernel): void {
  let at = 0
  for (let i = 0; i < batch.nodes.length; i += 4) {
    const start = batch.nodes[i]!
    const end = batch.nodes[i + 1]!
    const node = batch.nodes[i + 2]!
    const isLeaf = batch.nodes[i + 3] === 1
    const chunks = (from: number, to: number) =>
      stored.data.view(from * CHUNK_BYTES, Math.min(to * CHUNK_BYTES, size) - from * CHUNK_BYTES)
    if (isLeaf) {
      const data = chunks(start, end)
      out.set(data, at)
      at += data.length
      continue
    }
    if (node === INSIDE_GROUP) {
      const middle = start + leftLeaves(end - start)
      kernel.subtree(chunks(start, middle), start, false, out.subarray(at, at + CV_BYTES))
      kernel.subtree(chunks(middle, end), middle, false, out.subarray(at + CV_BYTES, at + PAIR_BYTES))
    } else {
      out.set(stored.outboard.view(node * PAIR_BYTES, PAIR_BYTES), at)
    }
    at += PAIR_BYTES
  }
}
