/**
 * The getter's side of a Get or GetMany: reads a response, checks it while it arrives, and gives what is proven to a sink.
 *
 * Knows nothing of libp2p: any stream of bytes can carry a response.
 */
import { CHUNK_BYTES, GROUP_BYTES, MAX_BLOB_BYTES } from '../bao/constants.ts'
import { Decoder, type Piece, type Verified, verifyGroup } from '../bao/decoder.ts'
import { TruncatedEncodingError } from '../bao/errors.ts'
import { chunkCount, isWhole, selectChunks } from '../bao/geometry.ts'
import type { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { ByteReader, type Pieces } from './byte-reader.ts'
import { concat } from './concat.ts'
import { BlobTooLargeError, NotAvailableError } from './errors.ts'
import { FairTurns } from './fair-turns.ts'
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

/** Bytes to gather before the kernel is called, if as many are to come: below, its calls cost more than its work. */
const GATHER_BYTES = 64 * 1024

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
  #buffer = new Uint8Array(0)
  /** What has arrived and is not decoded lies in the buffer from `start` to `end`. */
  #start = 0
  #end = 0
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
    if (!this.#has(HEADER_BYTES)) await this.#fill(HEADER_BYTES)
    const size = this.#takeSize(index, hash)
    const blob: ReceivedBlob = { index, hash, size, ranges }
    const target = await this.#sink.open(blob)
    if (size === 0 || size > GROUP_BYTES || !isWhole(ranges, size)) return { isDone: false, blob, target }
    let write: Promise<void> | undefined
    try {
      if (!this.#has(size)) await this.#fill(size)
      write = target.write(this.#takeGroup(hash, size))
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
    const proven = new Proven()
    let left = selectedBytes(size, ranges)
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
      const wanted = isFirst() ? decoder.need : Math.max(decoder.need, Math.min(GATHER_BYTES, left))
      if (this.#start + wanted > this.#buffer.length) {
        handOn()
        if (received > 0) yield { ...blob, received, isDone: false }
        await this.#nextBuffer()
      }
      await this.#gather(wanted)
      const verified = decoder.decode(this.#buffer.subarray(this.#start, this.#end))
      this.#start += verified.consumed
      left -= proven.add(verified)
      const failure = this.#failure(decoder, verified)
      if (failure !== undefined) {
        handOn()
        throw failure.error
      }
      const isDue = Date.now() - handedOnAt >= HAND_ON_MS || (isFirst() && proven.bytes > 0)
      if (!decoder.isDone && isDue) {
        handOn()
        yield { ...blob, received, isDone: false }
      }
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

  /** @throws what of the blobs before has failed */
  async #mayGoOn(): Promise<void> {
    if (this.#closing >= MAX_CLOSING) await this.#oneClosed()
    this.#throwIfFailed()
    if (this.#turns.isOver) await this.#turns.next()
  }

  /** Whether so many bytes are in the buffer: most small blobs lie in it whole, and need not be waited for. */
  #has(bytes: number): boolean {
    return this.#end - this.#start >= bytes
  }

  /** Waits for so many bytes, as {@link #gather} does. */
  async #fill(bytes: number): Promise<void> {
    if (this.#start + bytes > this.#buffer.length) await this.#nextBuffer()
    await this.#gather(bytes)
  }

  /** All of a blob that has one chunk group. */
  #takeGroup(hash: Hash, size: number): Verified {
    if (!this.#has(size)) throw this.#streamError?.error ?? new TruncatedEncodingError(0)
    const verified = verifyGroup(hash, this.#buffer.subarray(this.#start, this.#start + size))
    if (verified.error !== undefined) throw verified.error
    this.#start += size
    return verified
  }

  #takeSize(index: number, hash: Hash): number {
    if (!this.#has(HEADER_BYTES)) {
      throw this.#streamError?.error ?? new NotAvailableError(hash, index)
    }
    const header = new DataView(this.#buffer.buffer, this.#buffer.byteOffset + this.#start, HEADER_BYTES)
    const size = header.getBigUint64(0, true)
    const limit = Math.min(this.#maxBlobBytes, MAX_BLOB_BYTES)
    if (size > BigInt(limit)) throw new BlobTooLargeError(hash, size, limit)
    this.#start += HEADER_BYTES
    return Number(size)
  }

  /** Waits until `wanted` bytes are in the buffer, or the stream has ended or failed. */
  async #gather(wanted: number): Promise<void> {
    if (this.#has(wanted) || this.#streamError !== undefined) return
    try {
      const least = wanted - (this.#end - this.#start)
      const arrived = await this.#reader.readInto(this.#buffer.subarray(this.#end), least)
      this.#end += arrived
      // There is no more. If that is because of a failure, this throws it.
      if (arrived < least) await this.#reader.readInto(this.#buffer.subarray(this.#end), 1)
    } catch (error) {
      this.#streamError = { error }
    }
  }

  /** Why the blob cannot go on, if it cannot. Called after all that has arrived was decoded. */
  #failure(decoder: Decoder, { consumed, error }: Verified): { readonly error: unknown } | undefined {
    if (error !== undefined) return { error }
    const isStuck = !decoder.isDone && consumed === 0 && this.#end - this.#start < decoder.need
    return isStuck
      ? (this.#streamError ?? { error: new TruncatedEncodingError(decoder.position) })
      : undefined
  }

  /** Goes on in the next buffer, taking along what is not decoded yet. */
  async #nextBuffer(): Promise<void> {
    const rest = this.#buffer.subarray(this.#start, this.#end)
    const next = await this.#buffers.next()
    next.set(rest)
    this.#buffer = next
    this.#start = 0
    this.#end = rest.length
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
  #leaves: Piece[] = []
  #parents: Piece[] = []
  #consumed = 0
  bytes = 0

  /** An empty blob has a leaf without bytes: it counts. */
  get isEmpty(): boolean {
    return this.#leaves.length === 0 && this.#parents.length === 0
  }

  /** @returns the bytes of data that were added */
  add({ consumed, leaves, parents }: Verified): number {
    let bytes = 0
    for (const leaf of leaves) {
      bytes += leaf.bytes.length
      this.#leaves.push(leaf)
    }
    this.#parents.push(...parents)
    this.#consumed += consumed
    this.bytes += bytes
    return bytes
  }

  take(): Verified {
    const taken = { consumed: this.#consumed, leaves: this.#leaves, parents: joined(this.#parents) }
    this.#leaves = []
    this.#parents = []
    this.#consumed = 0
    this.bytes = 0
    return taken
  }
}

/** Pieces that follow each other without a gap, put together: a store then writes them at once. */
function joined(pieces: readonly Piece[]): Piece[] {
  const runs: Piece[][] = []
  let end = -1
  for (const piece of pieces) {
    if (piece.offset === end) runs.at(-1)!.push(piece)
    else runs.push([piece])
    end = piece.offset + piece.bytes.length
  }
  return runs.map(run => {
    const [first] = run
    return run.length === 1 ? first! : { offset: first!.offset, bytes: concat(run.map(({ bytes }) => bytes)) }
  })
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
