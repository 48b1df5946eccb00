/**
 * The getter's side of a Get or GetMany: reads a response, checks it while it arrives, and gives what is proven to a sink.
 *
 * Knows nothing of libp2p: any stream of bytes can carry a response.
 */
import { CHUNK_BYTES, GROUP_BYTES, MAX_BLOB_BYTES, PAIR_BYTES } from '../bao/constants.ts'
import { Decoder, type Piece, type Verified, verifyGroup } from '../bao/decoder.ts'
import { TruncatedEncodingError } from '../bao/errors.ts'
import { chunkCount, isWhole, isWholeGroups, selectChunks } from '../bao/geometry.ts'
import type { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { ByteReader, type Pieces } from './byte-reader.ts'
import { BlobTooLargeError, NotAvailableError } from './errors.ts'
import { FairTurns } from './fair-turns.ts'
import { Layout } from './layout.ts'
import { readStatus } from './read-status.ts'
import { ReceiveBuffers } from './receive-buffers.ts'
import type { GetManyRequest, GetRequest, PushRequest } from './request.ts'

/** One blob of a response. */
export interface ReceivedBlob {
  /** Its index in the request. */
  readonly index: number
  readonly hash: Hash
  /** Bytes, as the provider claims; proven when the last chunk has been. */
  readonly size: number
  /** The chunks that were asked for. */
  readonly ranges: ChunkRanges
}

/** Takes the proven bytes of one blob. A `BlobWriter` is one. */
export interface BlobSink {
  /** The bytes may be overwritten once the promise has resolved. Further calls do not wait for it. */
  write(verified: Verified): Promise<void>
  /** All calls of `write` are done. Also called when the response fails: what was written is good. */
  close(): Promise<unknown>
}

/** The links of a hash sequence, as far as the sink knows them. `Links` are such. */
export interface LinkSource {
  readonly count: number
  link(i: number): Promise<Hash>
  close(): Promise<void>
}

/** Where a response goes. `storeSink` makes one of a store. */
export interface ReceiveSink {
  /** A blob begins. */
  open(blob: ReceivedBlob): Promise<BlobSink>
  /** The children of the root, which has been received, or not asked for. */
  links(root: Hash): Promise<LinkSource>
}

export interface ReceiveOptions {
  /** Whether the response begins with a status, as on `/libp2p-blobs/1.0.0`. Default: no, as on `/iroh-bytes/4`. */
  readonly hasStatus?: boolean | undefined
  /** Most bytes that a blob may claim to have. Default 2^53 - 1. */
  readonly maxBlobBytes?: number | undefined
  /** Bytes of the response that are here already. */
  readonly first?: Uint8Array | undefined
  /** Told of the bytes that arrive, before they are looked at. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  /**
   * Whether somebody waits for the first bytes of a blob: they are handed on by themselves, as soon as they are proven.
   *
   * @default false
   */
  readonly isAwaited?: boolean | undefined
}

/** How far a response has come. */
export interface ReceiveProgress extends ReceivedBlob {
  /** Bytes of this blob that have been proven and handed to the sink. */
  readonly received: number
  /** Whether all that was asked for of this blob is there. */
  readonly isDone: boolean
}

/** The size in front of each blob: u64, little-endian. */
const HEADER_BYTES = 8

/** What is proven is handed on at least this often, in ms, while bytes arrive. */
const HAND_ON_MS = 250

/**
 * Blobs whose closing may be under way at the same time: for many small blobs, closing is most of the work, and nearly all of
 * it is waiting for a disk or a server. Enough for two full batches of the thread that writes them, or for all requests that a
 * server is asked at a time; with more, V8 has more to copy each time that it looks for garbage.
 */
const MAX_CLOSING = 128

/**
 * Reads the response to `request`. Yields how far it has come, whenever bytes have been proven and at the end of each blob.
 *
 * When it throws, all that was proven before has reached the sink and the sink's blobs are closed.
 *
 * @throws NotAvailableError when the response ends where a blob should begin
 * @throws TruncatedEncodingError when it ends within a blob
 * @throws HashMismatchError when a byte is wrong
 * @throws BlobTooLargeError when a blob claims more than `maxBlobBytes`
 * @throws RefusedError when the status says so
 * @throws whatever the response or the sink throws
 */
export async function* receive(
  request: GetRequest | GetManyRequest | PushRequest,
  response: Pieces,
  sink: ReceiveSink,
  options: ReceiveOptions = {}
): AsyncGenerator<ReceiveProgress, void, undefined> {
  const reader = new ByteReader(response, options.first, options.onBytes)
  const receiver = new Receiver(reader, sink, options)
  try {
    if (options.hasStatus) await readStatus(reader, firstWanted(request))
    if (request.type === 'get_many') {
      for (const [from, to, ranges] of request.ranges) {
        const end = Math.min(to ?? request.hashes.length, request.hashes.length)
        for (let i = from; i < end; i++) {
          const begun = await receiver.begin(i, request.hashes[i]!, ranges)
          if (begun.isDone) yield begun.progress
          else yield* receiver.pieces(begun)
        }
      }
    } else {
      yield* receiveSequence(request, receiver, sink)
    }
    await receiver.finish()
  } finally {
    await receiver.settle()
    receiver.release()
    await reader.stop()
  }
}

/** The blob that a response begins with; what `not found` is about. */
function firstWanted(
  request: GetRequest | GetManyRequest | PushRequest
): { hash: Hash; index: number } | undefined {
  const [first] = request.ranges
  if (first === undefined) return undefined
  const [index] = first
  const hash = request.type === 'get_many' ? request.hashes[index] : request.hash
  return hash && { hash, index }
}

async function* receiveSequence(
  request: GetRequest | PushRequest,
  receiver: Receiver,
  sink: ReceiveSink
): AsyncGenerator<ReceiveProgress, void, undefined> {
  let links: LinkSource | undefined
  try {
    for (const [from, to, ranges] of request.ranges) {
      let i = from
      if (i === 0) {
        const begun = await receiver.begin(i++, request.hash, ranges)
        if (begun.isDone) yield begun.progress
        else yield* receiver.pieces(begun)
        if (i === to) continue
      }
      if (links === undefined) {
        await receiver.finish()
        links = await sink.links(request.hash)
      }
      const end = Math.min(to ?? Number.POSITIVE_INFINITY, links.count + 1)
      for (; i < end; i++) {
        const begun = await receiver.begin(i, await links.link(i - 1), ranges)
        if (begun.isDone) yield begun.progress
        else yield* receiver.pieces(begun)
      }
    }
  } finally {
    await links?.close()
  }
}

/** A blob of which no more than its size has come. */
interface Unfinished {
  readonly isDone: false
  readonly blob: ReceivedBlob
  readonly target: BlobSink
}

type Begun = Unfinished | { readonly isDone: true; readonly progress: ReceiveProgress }

/** Receives one blob after the other out of one stream. */
class Receiver {
  readonly #reader: ByteReader
  readonly #sink: ReceiveSink
  readonly #maxBlobBytes: number
  readonly #isAwaited: boolean
  readonly #buffers = new ReceiveBuffers()
  readonly #header = new Uint8Array(HEADER_BYTES)
  /** How the stream failed, once it has. */
  #streamError: { readonly error: unknown } | undefined
  /** Thousands of small blobs may be here already, and a store in memory waits for nothing. */
  readonly #turns = new FairTurns()
  /** Blobs that are being closed. */
  #closing = 0
  /** There if somebody waits for one of them. */
  #closed: PromiseWithResolvers<void> | undefined
  #closeError: { readonly error: unknown } | undefined

  constructor(reader: ByteReader, sink: ReceiveSink, options: ReceiveOptions) {
    this.#reader = reader
    this.#sink = sink
    this.#maxBlobBytes = options.maxBlobBytes ?? MAX_BLOB_BYTES
    this.#isAwaited = options.isAwaited ?? false
  }

  /** Begins the next blob. A whole one of a single chunk group is done with that; of others the pieces are still to come. */
  async begin(index: number, hash: Hash, ranges: ChunkRanges): Promise<Begun> {
    const header = this.#reader.fill(this.#header)
    const arrived = header < HEADER_BYTES ? await this.#fillRest(this.#header, header) : header
    const size = this.#sizeOf(arrived, index, hash)
    const blob: ReceivedBlob = { index, hash, size, ranges }
    const target = await this.#sink.open(blob)
    if (size === 0 || size > GROUP_BYTES || !isWhole(ranges, size)) return { isDone: false, blob, target }
    let write: Promise<void> | undefined
    try {
      const place = this.#placeOf(size) ?? (await this.#nextPlaceOf(size))
      const here = this.#reader.fill(place)
      const arrived = here < size ? await this.#fillRest(place, here) : here
      write = target.write(this.#verifyGroup(hash, place, arrived))
      this.#buffers.hold(write)
    } finally {
      this.#close(target, write)
    }
    await this.#mayGoOn()
    return { isDone: true, progress: { ...blob, received: size, isDone: true } }
  }

  /** The rest of a blob that has begun. */
  async *pieces({ blob, target }: Unfinished): AsyncGenerator<ReceiveProgress, void, undefined> {
    const writes = new Set<Promise<void>>()
    try {
      yield* this.#pieces(blob, target, writes)
    } finally {
      this.#close(target, Promise.allSettled(writes))
    }
    await this.#mayGoOn()
  }

  /** A blob of any size, as much at a time as a buffer holds. */
  async *#pieces(
    blob: ReceivedBlob,
    target: BlobSink,
    writes: Set<Promise<void>>
  ): AsyncGenerator<ReceiveProgress, void, undefined> {
    const { hash, size, ranges } = blob
    const decoder = new Decoder(hash, size, ranges)
    const layout = new Layout(decoder, this.#buffers.current, selectedBytes(size, ranges))
    const proven = new Proven(size)
    let received = 0
    let handedOnAt = Date.now()
    const isFirst = () => this.#isAwaited && received === 0
    const handOn = (): void => {
      if (proven.isEmpty) return
      received += proven.bytes
      const write = target.write(proven.take())
      writes.add(write)
      write.then(
        () => writes.delete(write),
        () => undefined
      )
      this.#buffers.hold(write)
      handedOnAt = Date.now()
    }

    while (!decoder.isDone) {
      const gathered = await this.#gather(decoder, layout, isFirst())
      const { error } = proven.add(layout.check())
      if (error !== undefined || gathered === 'over') {
        handOn()
        throw error ?? this.#streamError?.error ?? new TruncatedEncodingError(decoder.position)
      }
      const isDue =
        gathered === 'full' || Date.now() - handedOnAt >= HAND_ON_MS || (isFirst() && proven.bytes > 0)
      if (!decoder.isDone && isDue) {
        handOn()
        if (received > 0) yield { ...blob, received, isDone: false }
      }
      if (gathered === 'full') layout.use(await this.#buffers.next())
    }
    handOn()
    yield { ...blob, received, isDone: true }
  }

  /** Waits until all that was received is written and closed. @throws the first failure among them */
  async finish(): Promise<void> {
    await this.settle()
    this.#throwIfFailed()
  }

  /** Waits until nothing is under way any more, be it well or badly. */
  async settle(): Promise<void> {
    await this.#buffers.settle()
    while (this.#closing > 0) await this.#oneClosed()
  }

  /** Gives back the memory that all of it went through. */
  release(): void {
    this.#buffers.release()
  }

  /** @throws what of the blobs before has failed */
  async #mayGoOn(): Promise<void> {
    if (this.#closing >= MAX_CLOSING) await this.#oneClosed()
    this.#throwIfFailed()
    if (this.#turns.isOver) await this.#turns.next()
  }

  /** Waits for what `target` still lacks. @returns bytes that are there: fewer than it holds when the stream has ended or failed */
  async #fillRest(target: Uint8Array, filled: number): Promise<number> {
    let at = filled
    while (at < target.length && (await this.#more())) at = this.#reader.fill(target, at)
    return at
  }

  /** Room in the current buffer for a blob of one chunk group. */
  #placeOf(size: number): Uint8Array | undefined {
    const buffer = this.#buffers.current
    if (!buffer.hasRoomFor(size)) return undefined
    const start = buffer.dataEnd
    buffer.dataEnd += size
    return buffer.dataFor(size).subarray(start, start + size)
  }

  async #nextPlaceOf(size: number): Promise<Uint8Array> {
    await this.#buffers.next()
    return this.#placeOf(size)!
  }

  /** All of a blob that has one chunk group. */
  #verifyGroup(hash: Hash, bytes: Uint8Array, arrived: number): Verified {
    if (arrived < bytes.length) throw this.#streamError?.error ?? new TruncatedEncodingError(0)
    const verified = verifyGroup(hash, bytes)
    if (verified.error !== undefined) throw verified.error
    return verified
  }

  /** @param arrived bytes of the header */
  #sizeOf(arrived: number, index: number, hash: Hash): number {
    if (arrived < HEADER_BYTES) throw this.#streamError?.error ?? new NotAvailableError(hash, index)
    const size = new DataView(this.#header.buffer).getBigUint64(0, true)
    const limit = Math.min(this.#maxBlobBytes, MAX_BLOB_BYTES)
    if (size > BigInt(limit)) throw new BlobTooLargeError(hash, size, limit)
    return Number(size)
  }

  /**
   * Puts what arrives to its place, until there is enough to be checked.
   *
   * @param isFirst whether a single node is enough
   * @returns `full` when the buffer has no place for what comes next, `over` when nothing comes next, although something should
   */
  async #gather(decoder: Decoder, layout: Layout, isFirst: boolean): Promise<'enough' | 'full' | 'over'> {
    for (;;) {
      if (!layout.put(this.#reader)) return 'full'
      if (layout.isEnough || decoder.isDone || (isFirst && decoder.added > 0)) return 'enough'
      if (!(await this.#more())) return 'over'
    }
  }

  /** Waits until more has arrived. @returns false when the stream has ended or failed */
  async #more(): Promise<boolean> {
    if (this.#streamError !== undefined) return false
    try {
      return await this.#reader.more()
    } catch (error) {
      this.#streamError = { error }
      return false
    }
  }

  /** @param written settles when nothing is written to it any more */
  #close(target: BlobSink, written: Promise<unknown> | undefined): void {
    this.#closing++
    // Never rejects.
    this.#closeWhenWritten(target, written)
  }

  async #closeWhenWritten(target: BlobSink, written: Promise<unknown> | undefined): Promise<void> {
    try {
      await written
    } catch {
      // The buffers remember it, and tell.
    }
    try {
      await target.close()
    } catch (error) {
      this.#closeError ??= { error }
    }
    this.#closing--
    this.#closed?.resolve()
    this.#closed = undefined
  }

  /** Resolves when the next of those that are being closed is. */
  async #oneClosed(): Promise<void> {
    this.#closed ??= Promise.withResolvers()
    await this.#closed.promise
  }

  #throwIfFailed(): void {
    this.#buffers.throwIfFailed()
    if (this.#closeError !== undefined) throw this.#closeError.error
  }
}

/** Gathers what several calls of the decoder have proven into one. */
class Proven {
  readonly #size: number
  #leaves: Piece[] = []
  #parents: Piece[] = []
  #consumed = 0
  bytes = 0

  /** @param size bytes of the blob, as claimed */
  constructor(size: number) {
    this.#size = size
  }

  /** An empty blob has a leaf without bytes: it counts. */
  get isEmpty(): boolean {
    return this.#leaves.length === 0 && this.#parents.length === 0
  }

  /** @returns what it was given */
  add(verified: Verified): Verified {
    for (const leaf of verified.leaves) {
      this.bytes += leaf.bytes.length
      const isGroups = isWholeGroups(leaf.offset, leaf.bytes.length, this.#size)
      if (!(isGroups && extend(this.#leaves, leaf, GROUP_BYTES))) this.#leaves.push(leaf)
    }
    for (const run of verified.parents) if (!extend(this.#parents, run, PAIR_BYTES)) this.#parents.push(run)
    this.#consumed += verified.consumed
    return verified
  }

  take(): Verified {
    const taken = { consumed: this.#consumed, leaves: this.#leaves, parents: this.#parents }
    this.#leaves = []
    this.#parents = []
    this.#consumed = 0
    this.bytes = 0
    return taken
  }
}

/**
 * Makes one of the last piece and the next, where that follows it without a gap, in the blob and in memory: a store then writes them
 * at once, and need not look at each.
 *
 * @param unit what the last piece must consist of, in bytes
 * @returns whether it did
 */
function extend(pieces: Piece[], { offset, bytes }: Piece, unit: number): boolean {
  const last = pieces.at(-1)
  if (last === undefined || last.offset % unit !== 0 || last.bytes.length % unit !== 0) return false
  const { buffer, byteOffset, length } = last.bytes
  const follows = last.offset + length === offset
  if (!follows || buffer !== bytes.buffer || byteOffset + length !== bytes.byteOffset) return false
  const both = new Uint8Array(buffer, byteOffset, length + bytes.length)
  pieces[pieces.length - 1] = { offset: last.offset, bytes: both }
  return true
}

/** Bytes of data that ranges select. */
function selectedBytes(size: number, ranges: ChunkRanges): number {
  const boundaries = selectChunks(ranges, chunkCount(size))
  let bytes = 0
  for (let i = 0; i < boundaries.length; i += 2) {
    bytes += Math.min(boundaries[i + 1]! * CHUNK_BYTES, size) - boundaries[i]! * CHUNK_BYTES
  }
  return bytes
}
