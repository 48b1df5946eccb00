/**
 * Encodes ranges of a blob (protocol/README.md, "Encoding") from wherever its data and outboard are.
 *
 * What is encoded is checked by the very {@link Decoder} a getter uses, before it is handed out: every prefix of what
 * leaves here verifies, whatever happened to the stored bytes. Only what the source vouches for is not: see `isProven`.
 */
import type { Hash } from '../hash.ts'
import { alignedBuffer } from './aligned-buffer.ts'
import { GROUP_BYTES, PAIR_BYTES, RUN_GROUPS } from './constants.ts'
import { Decoder, type Piece, type Verified, verifyGroup } from './decoder.ts'
import { CorruptSourceError, MissingChunksError } from './errors.ts'
import { isWhole } from './geometry.ts'
import { kernel as defaultKernel, type Kernel } from './kernel/index.ts'
import type { ChunkRanges } from './ranges.ts'
import { type EncodeSource, Planner } from './stored-batches.ts'
import { MAX_DEPTH } from './walker.ts'
import { WireReader } from './wire-reader.ts'

export type { EncodeSource } from './stored-batches.ts'

export interface EncodeOptions {
  readonly signal?: AbortSignal | undefined
  /**
   * Data bytes per piece handed out, 16 KiB to 1 MiB; a function is asked for each piece. Up to three pieces are held in memory,
   * five with `reuseBuffers`.
   */
  readonly batchBytes?: number | (() => number) | undefined
  /**
   * Whether a piece may be overwritten once three more have been handed out. Making new memory for all of a blob costs a
   * provider a third of its CPU, most of it spent on taking that memory back.
   *
   * @default false
   */
  readonly reuseBuffers?: boolean | undefined
  /**
   * Waited for before the first piece is read, and when a piece has been read, before it is checked and handed out: for who shares a
   * processor with many others.
   */
  readonly turn?: (() => Promise<void> | undefined) | undefined
  readonly kernel?: Kernel | undefined
}

/**
 * Default of {@link EncodeOptions.batchBytes}. Each batch costs a turn through the threads that read files, and five of them are in
 * memory: with 1 MiB a provider needs 10 MiB more and no less CPU, since what is read is out of the processor's cache when it is
 * hashed and encrypted.
 */
export const ENCODE_BATCH_BYTES = 512 * 1024

/**
 * With {@link EncodeOptions.reuseBuffers}: how many buffers take turns, one of which is being read into, and from which length on
 * pieces go into them. So three pieces have gone out behind one before it is overwritten, each of them more than a socket takes
 * (64 KiB) before it has got rid of what came before.
 */
const REUSED_BUFFERS = 5
const REUSE_FROM_BYTES = 128 * 1024

/** Parents of whole groups that a batch has at most: each level of the tree once, and one for each group. */
const MOST_PARENTS_BYTES = (MAX_DEPTH + RUN_GROUPS) * PAIR_BYTES

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
  if (isOneGroup(source, ranges)) {
    if (source.size > 0) yield await encodeGroup(hash, source, options)
    return
  }
  if (source.isProven) {
    yield* readBatches(source, ranges, options)
    return
  }
  for await (const { bytes, verified } of encodeBatches(hash, source, ranges, options)) {
    if (verified.consumed > 0) yield bytes.subarray(0, verified.consumed)
  }
}

/** Whether that is a whole blob of one chunk group: its encoding is its data. What is done for others costs more than hashing it. */
export function isOneGroup({ held, size }: EncodeSource, ranges: ChunkRanges): boolean {
  return held === undefined && size <= GROUP_BYTES && isWhole(ranges, size)
}

/**
 * What {@link encode} yields for such a blob.
 *
 * @param headBytes left free in front of it
 * @throws CorruptSourceError
 */
export async function encodeGroup(
  hash: Hash,
  source: EncodeSource,
  { signal, kernel = defaultKernel }: Pick<EncodeOptions, 'signal' | 'kernel'> = {},
  headBytes = 0
): Promise<Uint8Array<ArrayBuffer>> {
  signal?.throwIfAborted()
  const bytes = new Uint8Array(headBytes + source.size)
  const group = bytes.subarray(headBytes)
  await source.readData(0, group, signal)
  if (source.isProven !== true) verifiedGroup(hash, group, kernel)
  return bytes
}

/** @throws CorruptSourceError */
function verifiedGroup(hash: Hash, bytes: Uint8Array, kernel: Kernel): Verified {
  const verified = verifyGroup(hash, bytes, kernel)
  if (verified.error !== undefined) throw new CorruptSourceError(verified.error)
  return verified
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
  if (isOneGroup(source, ranges)) {
    const { signal } = options
    signal?.throwIfAborted()
    const bytes = new Uint8Array(source.size)
    await source.readData(0, bytes, signal)
    yield { bytes, verified: verifiedGroup(hash, bytes, kernel) }
    return
  }
  const check = new Decoder(hash, source.size, ranges, kernel)
  for await (const bytes of readBatches(source, ranges, options)) {
    const verified = check.decode(bytes)
    yield { bytes, verified }
    if (verified.error !== undefined) throw new CorruptSourceError(verified.error)
  }
}

/** What is stored of `ranges`, in the order of the wire and unchecked. */
async function* readBatches(
  source: EncodeSource,
  ranges: ChunkRanges,
  options: EncodeOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  const { batchBytes = ENCODE_BATCH_BYTES } = options
  const planner = new Planner(source, ranges)
  const buffers = options.reuseBuffers ? new ReusedBuffers() : undefined
  const reader = new WireReader(source, options.kernel ?? defaultKernel, options.signal)
  const readNext = (isAwaited = false): Promise<Uint8Array> | undefined => {
    const most = isAwaited ? GROUP_BYTES : typeof batchBytes === 'function' ? batchBytes() : batchBytes
    const batch = planner.next(most)
    if (batch.isEmpty) return undefined
    const reading = reader.read(batch, buffers?.take(batch.bytes, most) ?? new Uint8Array(batch.bytes))
    // It may fail while the consumer is busy: it is awaited, and its failure thrown, when its turn comes.
    reading.catch(() => undefined)
    return reading
  }

  const isFar = source.isFar === true
  // To make room for what is read takes as long as to check it.
  await options.turn?.()
  let reading = readNext(isFar)
  try {
    // What comes first from far away is waited for: it leaves before the next piece is planned, whose bytes are on their way all the same.
    if (isFar && reading !== undefined) {
      yield await reading
      reading = readNext()
    }
    while (reading !== undefined) {
      const bytes: Uint8Array = await reading
      await options.turn?.()
      reading = readNext()
      yield bytes
    }
  } finally {
    // A read may be under way for a consumer who has left: it must end before the source is closed, and fails for nobody.
    await reading?.catch(() => undefined)
  }
  if (planner.missing !== undefined) throw new MissingChunksError(planner.missing)
}

/** Buffers that take turns. */
class ReusedBuffers {
  #buffers: Uint8Array[] = []
  #batchBytes = 0
  #taken = 0

  /** @param batchBytes most bytes of data in a batch, at present: when that has become less, large buffers are let go */
  take(bytes: number, batchBytes: number): Uint8Array {
    if (batchBytes < this.#batchBytes) this.#buffers = []
    this.#batchBytes = batchBytes
    if (bytes < REUSE_FROM_BYTES) return new Uint8Array(bytes)
    const place = this.#taken++ % REUSED_BUFFERS
    let buffer = this.#buffers[place]
    if (buffer === undefined || buffer.length < bytes) {
      buffer = alignedBuffer(Math.max(bytes, batchBytes + MOST_PARENTS_BYTES))
      this.#buffers[place] = buffer
    }
    return buffer.subarray(0, bytes)
  }
}
