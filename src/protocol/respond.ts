/**
 * The provider's side: reads a request and yields the response.
 *
 * Knows nothing of libp2p: any stream of bytes can carry it. Memory is a few pieces of at most 1 MiB per response,
 * whatever is asked for.
 */
import { CHUNK_BYTES } from '../bao/constants.ts'
import { type EncodeOptions, encode, encodeGroup, isOneGroup } from '../bao/encoder.ts'
import { CorruptSourceError, MissingChunksError } from '../bao/errors.ts'
import type { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { BlobDamagedError, BlobNotFoundError, StoreFullError } from '../store/errors.ts'
import type { BlobFormat, BlobReader, BlobStore } from '../store/index.ts'
import { concat } from './concat.ts'
import {
  BadPushError,
  BusyError,
  NotAHashSequenceError,
  NotAvailableError,
  PermissionDeniedError
} from './errors.ts'
import { nextTurn } from './fair-turns.ts'
import { Links } from './links.ts'
import { observeItems } from './observe.ts'
import { openAhead, type WantedBlob } from './open-ahead.ts'
import { type ReceiveSink, receive } from './receive.ts'
import {
  type GetManyRequest,
  type GetRequest,
  MalformedRequestError,
  type PushRequest,
  type Request
} from './request.ts'
import { type CollectedRequest, RequestCollector } from './request-collector.ts'
import { encodeStatus, type Status } from './status.ts'
import { storeSink } from './store-sink.ts'

/** A blob that a response goes on to. */
export interface RespondedBlob {
  /** Its index in the request. */
  readonly index: number
  readonly hash: Hash
  /** Bytes. */
  readonly size: number
}

/** A push that has been received in full. */
export interface ReceivedPush {
  readonly hash: Hash
  /** `hash_seq` when blobs came that the blob links to. */
  readonly format: BlobFormat
  /** Bytes of data that came in. */
  readonly bytes: number
  /** Blobs that came in, in full or in part. */
  readonly blobs: number
}

export interface RespondOptions {
  readonly signal?: AbortSignal | undefined
  /** Whether the response begins with a status, as on `/libp2p-blobs/1.0.0`. Default: no, as on `/iroh-bytes/4`. */
  readonly hasStatus?: boolean | undefined
  /** Whether pushes are taken, or who decides it. Default: no. */
  readonly acceptPush?: boolean | (() => boolean | Promise<boolean>) | undefined
  /** Most bytes that a pushed blob may claim to have. Default 2^53 - 1. */
  readonly maxBlobBytes?: number | undefined
  /** Decides whether a request is answered, before the store is looked at. Default: every request is. */
  readonly authorize?: ((request: Request) => boolean | Promise<boolean>) | undefined
  /** Told of the request, once it has been read. May throw a BusyError to turn it away. */
  readonly onRequest?: ((request: Request) => void) | undefined
  /** Told of a push when all of it is stored, and waited for before the pusher is told: what it throws, the pusher sees as a failure. */
  readonly onPushed?: ((pushed: ReceivedPush) => void | Promise<void>) | undefined
  /** Told of each blob when its first byte is about to be sent. */
  readonly onBlob?: ((blob: RespondedBlob) => void) | undefined
  /** Told why a response ended early, or with a status that is not ok. */
  readonly onFailure?: ((error: unknown) => void) | undefined
  /**
   * With `reuseBuffers`, what is yielded may be overwritten once three more large pieces have been. `turn` is also waited for before the
   * store is asked.
   */
  readonly encode?: Pick<EncodeOptions, 'batchBytes' | 'kernel' | 'reuseBuffers' | 'turn'> | undefined
}

/** After how many ms to ask again for a blob that has turned out to be damaged, and is being looked at. */
const DAMAGE_RETRY_MS = 1000

/** Small pieces of a response are put together until they are as large as this, in bytes. */
const GATHER_BYTES = 64 * 1024

/** The size in front of each blob: u64, little-endian. */
const SIZE_BYTES = 8

/** Up to so many bytes, copying a piece costs less than another message. */
const MOST_COPIED_BYTES = 32 * 1024

/** What a response begins with goes as soon as there is a chunk of data among it: somebody may wait for that. */
const GATHER_FIRST_BYTES = CHUNK_BYTES

/**
 * Answers one request.
 *
 * A response that ends early says: this is all that is held. With a status, a request of which nothing can be answered gets
 * one that says why. What goes wrong after the first byte of data is thrown, and the stream should then be reset; what was
 * yielded before is good all the same.
 *
 * @param source the bytes of the stream; it ends when the getter has closed its side
 * @throws PermissionDeniedError when a request without status is refused
 * @throws CorruptSourceError, StoreError when the store fails after data has been sent, or where there is no status
 */
export async function* respond(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  store: BlobStore,
  options: RespondOptions = {}
): AsyncGenerator<Uint8Array, void, undefined> {
  let hasBegun = false
  try {
    for await (const piece of answer(source, store, options)) {
      const isFirst = !hasBegun && options.hasStatus === true
      hasBegun = true
      if (!isFirst) yield piece
      else yield* withStatus(piece)
    }
    if (!hasBegun && options.hasStatus) yield encodeStatus({ type: 'ok' })
  } catch (error) {
    options.onFailure?.(error)
    if (endsCleanly(error, hasBegun)) return
    if (hasBegun || !options.hasStatus || options.signal?.aborted) throw error
    yield encodeStatus(statusOf(error))
  }

  /** Data that is not held ends a response; so does, where no status can tell more, all that is the getter's fault. */
  function endsCleanly(error: unknown, hasBegun: boolean): boolean {
    if (error instanceof MissingChunksError || error instanceof NotAvailableError)
      return hasBegun || !options.hasStatus
    const isRequestsFault = error instanceof MalformedRequestError || error instanceof NotAHashSequenceError
    return isRequestsFault && !options.hasStatus
  }
}

/** The first piece of a response that goes well. A small one goes with its status in one message. */
function* withStatus(piece: Uint8Array): Generator<Uint8Array, void, undefined> {
  const status = encodeStatus({ type: 'ok' })
  if (piece.length <= MOST_COPIED_BYTES) {
    yield concat([status, piece])
    return
  }
  yield status
  yield piece
}

/** What is stored is not what the hash says, or not all of it. */
function isDamage(error: unknown): boolean {
  return error instanceof CorruptSourceError || error instanceof BlobDamagedError
}

function statusOf(error: unknown): Status {
  if (
    error instanceof NotAvailableError ||
    error instanceof MissingChunksError ||
    error instanceof BlobNotFoundError
  ) {
    return { type: 'not_found' }
  }
  // The store is looking at it: in a moment it is mended, or not there any more.
  if (isDamage(error)) return { type: 'busy', retryAfterMs: DAMAGE_RETRY_MS }
  if (error instanceof BusyError) return { type: 'busy', retryAfterMs: error.retryAfterMs }
  if (error instanceof PermissionDeniedError) return { type: 'permission_denied', message: error.message }
  // Only a push can meet it. Its own message tells of paths, which are no stranger's business.
  if (error instanceof StoreFullError) {
    return { type: 'bad_request', message: 'the push cannot be stored: the store of this node is full' }
  }
  if (
    error instanceof MalformedRequestError ||
    error instanceof NotAHashSequenceError ||
    error instanceof BadPushError
  ) {
    return { type: 'bad_request', message: error.message }
  }
  // What went wrong in here is the operator's business, not the peer's.
  return { type: 'internal' }
}

async function* answer(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  store: BlobStore,
  options: RespondOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces = iterate(source)
  try {
    const { request, rest } = await collectRequest(pieces)
    options.onRequest?.(request)
    // Many requests may have come at the same time.
    await options.encode?.turn?.()
    yield* answerRequest(request, pieces, rest, store, options)
  } finally {
    await pieces.return(undefined)
  }
}

async function* answerRequest(
  request: Request,
  pieces: AsyncGenerator<Uint8Array>,
  rest: Uint8Array,
  store: BlobStore,
  options: RespondOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  if (request.type === 'push' && !(await acceptsPush(options))) {
    throw new PermissionDeniedError('this node takes no pushes from this peer')
  }
  if (options.authorize !== undefined && !(await options.authorize(request))) {
    throw new PermissionDeniedError('this node does not answer this request')
  }
  switch (request.type) {
    case 'get':
      return yield* encodeResponse(request, store, options)
    case 'get_many':
      return yield* gather(answerGetMany(request, store, options))
    case 'observe':
      return yield* observeItems(store, request.hash, options)
    case 'push':
      return takePush(request, pieces, rest, store, options)
  }
}

async function acceptsPush({ acceptPush = false }: RespondOptions): Promise<boolean> {
  return typeof acceptPush === 'function' ? await acceptPush() : acceptPush
}

async function* iterate(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
): AsyncGenerator<Uint8Array> {
  yield* source
}

/** Leaves `pieces` where the request ends. */
async function collectRequest(pieces: AsyncGenerator<Uint8Array>): Promise<CollectedRequest> {
  const collector = new RequestCollector()
  for (;;) {
    const { done, value } = await pieces.next()
    if (done) return { request: collector.finish(), rest: new Uint8Array(0) }
    const collected = collector.push(value)
    if (collected !== undefined) return collected
  }
}

/**
 * The bytes that a Get is answered with, which are also those of a Push behind its request.
 *
 * @throws NotAvailableError, MissingChunksError when the store lacks something that is wanted; NotAHashSequenceError,
 *   CorruptSourceError, StoreError
 */
export function encodeResponse(
  request: Pick<GetRequest, 'hash' | 'ranges'>,
  store: BlobStore,
  options: Pick<RespondOptions, 'signal' | 'encode' | 'onBlob' | 'onFailure'> = {}
): AsyncGenerator<Uint8Array, void, undefined> {
  return gather(answerGet(request, store, options))
}

async function* answerGet(
  request: Pick<GetRequest, 'hash' | 'ranges'>,
  store: BlobStore,
  options: RespondOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  if (request.ranges.isEmpty) return
  await using root = await openBlob(store, request.hash, 0, options, request.ranges.at(0))
  if (request.ranges.isBlobOnly) {
    yield* encodeBlob(store, root, 0, request.ranges.at(0), options)
    return
  }
  // What is no hash sequence is not answered at all, not even its root: so does the original.
  const links = Links.of(root, options)
  const { value: first } = request.ranges[Symbol.iterator]().next()
  if (first?.[0] === 0) yield* encodeBlob(store, root, 0, first[2], options)
  yield* encodeBlobs(store, childrenOf(request, links), options)
}

async function* childrenOf(
  { ranges }: Pick<GetRequest, 'ranges'>,
  links: Links
): AsyncGenerator<WantedBlob, void, undefined> {
  for (const [from, to, chunks] of ranges) {
    const end = Math.min(to ?? Number.POSITIVE_INFINITY, links.count + 1)
    for (let i = Math.max(1, from); i < end; i++) {
      yield { index: i, hash: await links.link(i - 1), ranges: chunks }
    }
  }
}

async function* answerGetMany(
  request: GetManyRequest,
  store: BlobStore,
  options: RespondOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* encodeBlobs(store, blobsOf(request), options)
}

async function* blobsOf({ ranges, hashes }: GetManyRequest): AsyncGenerator<WantedBlob, void, undefined> {
  for (const [from, to, chunks] of ranges) {
    const end = Math.min(to ?? hashes.length, hashes.length)
    for (let i = from; i < end; i++) yield { index: i, hash: hashes[i]!, ranges: chunks }
  }
}

async function* encodeBlobs(
  store: BlobStore,
  wanted: AsyncIterable<WantedBlob>,
  options: RespondOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { index, hash, ranges, reader } of openAhead(store, wanted, options)) {
    if (reader === undefined) throw new NotAvailableError(hash, index)
    // Of thousands of small blobs, a generator for each would cost more than to hash them.
    if (isOneGroup(reader, ranges)) yield await sizeAndGroup(store, reader, index, options)
    else yield* encodeBlob(store, reader, index, ranges, options)
  }
}

async function openBlob(
  store: BlobStore,
  hash: Hash,
  index: number,
  { signal }: RespondOptions,
  ranges: ChunkRanges
): Promise<BlobReader> {
  const blob = await store.open(hash, { signal, ranges })
  if (blob === undefined) throw new NotAvailableError(hash, index)
  return blob
}

async function* encodeBlob(
  store: BlobStore,
  blob: BlobReader,
  index: number,
  ranges: ChunkRanges,
  options: RespondOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  if (isOneGroup(blob, ranges)) {
    yield await sizeAndGroup(store, blob, index, options)
    return
  }
  try {
    yield* sizeAndEncoding(blob, index, ranges, options)
  } catch (error) {
    throw reported(store, blob, error, options)
  }
}

/** The store may mend what is damaged for the next request. This one does not wait for that. */
function reported(store: BlobStore, { hash }: BlobReader, error: unknown, options: RespondOptions): unknown {
  if (isDamage(error)) store.reportDamage(hash).catch(options.onFailure)
  return error
}

/** What {@link sizeAndEncoding} yields, of a whole blob of one chunk group. */
async function sizeAndGroup(
  store: BlobStore,
  blob: BlobReader,
  index: number,
  options: RespondOptions
): Promise<Uint8Array> {
  const { signal, encode: encodeOptions, onBlob } = options
  try {
    const bytes = await encodeGroup(blob.hash, blob, { ...encodeOptions, signal }, SIZE_BYTES)
    onBlob?.({ index, hash: blob.hash, size: blob.size })
    writeSize(bytes, blob.size)
    return bytes
  } catch (error) {
    throw reported(store, blob, error, options)
  }
}

async function* sizeAndEncoding(
  blob: BlobReader,
  index: number,
  ranges: ChunkRanges,
  { signal, encode: encodeOptions, onBlob }: RespondOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  await blob.askAhead?.()
  const pieces = encode(blob.hash, blob, ranges, { ...encodeOptions, signal })
  // A blob of which nothing can be sent has no size either: then its end tells more, or the status does.
  const { value: first } = await pieces.next()
  onBlob?.({ index, hash: blob.hash, size: blob.size })
  const header = new Uint8Array(SIZE_BYTES)
  writeSize(header, blob.size)
  yield header
  if (first !== undefined) yield first
  // Somebody waits for what came first: it leaves before the next piece, which is on its way all the same, is looked at.
  if (blob.isFar) await new Promise<void>(nextTurn)
  yield* pieces
}

/** Puts the size of a blob in front of its encoding. */
function writeSize(bytes: Uint8Array<ArrayBuffer>, size: number): void {
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true)
}

async function takePush(
  request: PushRequest,
  pieces: AsyncGenerator<Uint8Array>,
  first: Uint8Array,
  store: BlobStore,
  { signal, maxBlobBytes, onPushed }: RespondOptions
): Promise<void> {
  const { hash } = request
  const format = request.ranges.isBlobOnly ? 'raw' : 'hash_seq'
  // Nothing of it is taken for garbage before `onPushed` has been able to keep it.
  await using lease = await store.lease({ signal })
  await lease.protect({ hash, format: 'raw' })
  const toStore = storeSink(store, { signal })
  const sink: ReceiveSink = {
    open: toStore.open,
    links: async root => {
      // The root is whole now, and so tells what belongs to it.
      await lease.protect({ hash: root, format: 'hash_seq' })
      return await toStore.links(root)
    }
  }
  const progress = receive(request, pieces, sink, { first, maxBlobBytes })
  let bytes = 0
  let blobs = 0
  try {
    for await (const { isDone, received } of progress) {
      signal?.throwIfAborted()
      if (!isDone) continue
      bytes += received
      blobs++
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && PUSHERS_FAULTS.has(error.code)) {
      throw new BadPushError(error)
    }
    throw error
  }
  if (blobs === 0) return
  await onPushed?.({ hash, format, bytes, blobs })
}

/** What the pusher is told in words. By their codes: a store has limits, and a BlobTooLargeError, of its own. */
const PUSHERS_FAULTS: ReadonlySet<unknown> = new Set([
  'ERR_HASH_MISMATCH',
  'ERR_TRUNCATED',
  'ERR_NOT_AVAILABLE',
  'ERR_BLOB_TOO_LARGE',
  'ERR_NOT_A_HASH_SEQUENCE',
  'ERR_SIZE_MISMATCH'
])

/** Puts small pieces together, so that ten thousand small blobs are not ten thousand messages. */
async function* gather(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let small: Uint8Array[] = []
  let length = 0
  let enough = GATHER_FIRST_BYTES
  const take = (): Uint8Array => {
    const taken = small.length === 1 ? small[0]! : concat(small)
    small = []
    length = 0
    enough = GATHER_BYTES
    return taken
  }
  try {
    for await (const piece of pieces) {
      const isLarge = piece.length >= GATHER_BYTES
      if (length > 0 && (isLarge || length + piece.length > GATHER_BYTES)) yield take()
      if (isLarge) {
        yield piece
      } else {
        small.push(piece)
        length += piece.length
        if (length >= enough) yield take()
      }
    }
  } catch (error) {
    // What came before the failure is good, and the getter's to keep.
    if (length > 0) yield take()
    throw error
  }
  if (length > 0) yield take()
}
