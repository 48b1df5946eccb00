/**
 * Pushes a blob, or a hash sequence with its children, to a peer: looks what the peer has, and sends just what it lacks.
 */
import { bytesWithin, roundToGroups } from '../bao/geometry.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { NotAvailableError, RefusedError } from '../protocol/errors.ts'
import { countPieces, withFewGaps } from '../protocol/few-gaps.ts'
import { Links } from '../protocol/links.ts'
import { missingRanges } from '../protocol/missing.ts'
import type { ObserveItem } from '../protocol/observe-item.ts'
import { RangesSeq } from '../protocol/ranges-seq.ts'
import type { PushRequest } from '../protocol/request.ts'
import { encodeResponse } from '../protocol/respond.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobFormat, BlobStatus, BlobStore } from '../store/index.ts'
import { ABSENT, statusOf, wholeRange } from '../store/status.ts'
import {
  CHILDREN_PER_REQUEST,
  LOOK_FROM_BYTES,
  LOOKS_AT_A_TIME,
  MAX_GAPS,
  RANGES_PER_REQUEST
} from './constants.ts'
import type { Getter } from './getter.ts'
import { nameOf, type ProviderAddress } from './provider-address.ts'
import { sendPush } from './push-stream.ts'
import { StreamResetError } from './stream-errors.ts'

/** How far a push has come. */
export interface PushProgress {
  readonly hash: Hash
  /** Bytes that have been sent. */
  readonly sent: number
  /** Bytes that the peer had before, as far as it was asked by now. */
  readonly had: number
  /** Bytes in all. */
  readonly total: number
  /** Blobs in all. */
  readonly blobs: number
}

export interface PushResult {
  readonly hash: Hash
  readonly format: BlobFormat
  /** Bytes of all that was to be pushed. A child that is linked to again after thousands of others counts again. */
  readonly size: number
  /** Bytes of these that were sent. */
  readonly sent: number
  /** Bytes of these that the peer had before. */
  readonly had: number
  /** Blobs, counted as the bytes are. */
  readonly blobs: number
  /**
   * Whether the peer has confirmed that everything is stored. Only a peer that speaks neither `/libp2p-blobs/1.0.0` nor
   * Observe does not.
   */
  readonly isConfirmed: boolean
}

/** The peer took a push on `/iroh-bytes/4`, where it cannot say how it went, and does not hold what was sent. */
export class PushNotKeptError extends Error {
  override readonly name = 'PushNotKeptError'
  readonly code = 'ERR_PUSH_NOT_KEPT'

  constructor(hash: Hash, peer: string) {
    super(`${peer} took blob ${hash}, but does not hold all of it; it may be full, or take no pushes`)
  }
}

export interface PushJob {
  readonly hash: Hash
  readonly format: BlobFormat
  /** Chunks to push; of a hash sequence always all. */
  readonly ranges: ChunkRanges
  readonly provider: ProviderAddress
  /** How long the peer may take to answer when all has been sent, in ms. */
  readonly idleTimeoutMs: number
  /** What the peer has of a blob; undefined when it does not answer such questions. */
  readonly look: (hash: Hash) => Promise<ObserveItem | undefined>
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: PushProgress) => void) | undefined
}

/** A blob that is here. */
interface Local {
  /** In the request. */
  readonly index: number
  readonly hash: Hash
  /** Bytes. */
  readonly size: number
  /** Whole groups. */
  readonly wanted: ChunkRanges
}

/** Runs one push. */
export class Push {
  readonly #getter: Getter
  readonly #store: BlobStore
  readonly #job: PushJob
  #sent = 0
  #had = 0
  #total = 0
  #blobs = 0
  #canLook = true
  #isConfirmed = true

  constructor(getter: Getter, store: BlobStore, job: PushJob) {
    this.#getter = getter
    this.#store = store
    this.#job = job
  }

  async run(): Promise<PushResult> {
    const { hash, format } = this.#job
    await using lease = await this.#store.lease(this.#job)
    await lease.protect({ hash, format })
    const root = await this.#local(0, hash, format === 'raw' ? this.#job.ranges : ChunkRanges.all)
    await using links = format === 'raw' ? undefined : await Links.open(this.#store, hash, this.#job)
    // All of it before a byte is sent: what is missing here is better known now than after an hour.
    this.#count(root)
    for await (const window of this.#windows(links)) for (const child of window) this.#count(child)
    this.#report()
    for await (const batch of this.#batches(root, links)) await this.#send(batch)
    return {
      hash,
      format,
      size: this.#total,
      sent: this.#sent,
      had: this.#had,
      blobs: this.#blobs,
      isConfirmed: this.#isConfirmed
    }
  }

  /** @throws BlobNotFoundError when not all that is to be pushed is here */
  async #local(index: number, hash: Hash, ranges: ChunkRanges): Promise<Local> {
    const status = await this.#store.status(hash, this.#job)
    if (status.state === 'absent' || !missingRanges(status, ranges).ranges.isEmpty) {
      throw notHere(hash, status)
    }
    return { index, hash, size: status.size, wanted: roundToGroups(ranges) }
  }

  /** The children, thousands at a time; of those that are linked to more than once among these, the first. */
  async *#windows(links: Links | undefined): AsyncGenerator<Local[]> {
    if (links === undefined) return
    for (let first = 0; first < links.count; first += CHILDREN_PER_REQUEST) {
      const window = new Map<string, Local>()
      for (let i = first; i < Math.min(links.count, first + CHILDREN_PER_REQUEST); i++) {
        const child = await links.link(i)
        const key = child.toString()
        if (!window.has(key)) window.set(key, await this.#local(i + 1, child, ChunkRanges.all))
      }
      yield [...window.values()]
    }
  }

  #count({ size, wanted }: Local): void {
    this.#total += bytesWithin(wanted, size)
    this.#blobs++
  }

  /**
   * What to send, request by request. The first request tells the peer what is to be kept, a blob or what it links to as well:
   * so it has at least the last chunk of the blob, or of the first child, also when the peer has everything.
   */
  async *#batches(root: Local, links: Links | undefined): AsyncGenerator<Batch> {
    let batch = new Batch()
    const lacking = await this.#lacking(root)
    const isAlone = links === undefined || links.count === 0
    const isMarker = lacking.isEmpty && isAlone && root.wanted.isAll
    batch.add(root, isMarker ? ChunkRanges.last : lacking)
    for await (const window of this.#windows(links)) {
      for (let i = 0; i < window.length; i += LOOKS_AT_A_TIME) {
        const some = window.slice(i, i + LOOKS_AT_A_TIME)
        const lacks = await Promise.all(some.map(child => this.#lacking(child)))
        for (const [j, child] of some.entries()) {
          const ranges = child.index === 1 && lacks[j]!.isEmpty ? ChunkRanges.last : lacks[j]!
          if (!batch.hasRoomFor(ranges)) {
            yield batch
            batch = new Batch()
          }
          batch.add(child, ranges)
        }
      }
    }
    if (!batch.isEmpty) yield batch
  }

  /** What the peer lacks of a blob, with what has to be sent again because it is in too many pieces. */
  async #lacking(blob: Local): Promise<ChunkRanges> {
    const { index, hash, size, wanted } = blob
    const item = index > 0 && size < LOOK_FROM_BYTES ? undefined : await this.#look(hash)
    const lacking = withFewGaps(missingRanges(remoteStatus(item, size), wanted).ranges, MAX_GAPS).intersect(
      wanted
    )
    this.#had += bytesWithin(wanted, size) - bytesWithin(lacking, size)
    this.#report()
    return lacking
  }

  /** Where the peer cannot tell, or does not want to, nothing is known of any blob. */
  async #look(hash: Hash): Promise<ObserveItem | undefined> {
    if (!this.#canLook) return undefined
    let item: ObserveItem | undefined
    try {
      item = await this.#job.look(hash)
    } catch (error) {
      this.#job.signal?.throwIfAborted()
      const isNoAnswer =
        error instanceof RefusedError || (error instanceof StreamResetError && error.reason === 'reset')
      if (!isNoAnswer) throw error
    }
    if (item === undefined) this.#canLook = false
    return item
  }

  async #send(batch: Batch): Promise<void> {
    const { hash, provider, idleTimeoutMs, signal } = this.#job
    const request: PushRequest = { type: 'push', hash, ranges: batch.ranges }
    const before = this.#sent
    // What is sent has hashes in it too. They are few, and do not count.
    const onSent = (bytes: number): void => {
      this.#sent = before + Math.min(bytes, batch.bytes)
      this.#report()
    }
    try {
      const hasStatus = await this.#getter.ask(
        provider,
        request,
        async exchange => {
          const data = encodeResponse(request, this.#store, { signal, encode: { reuseBuffers: true } })
          await sendPush(exchange, data, { idleTimeoutMs, onSent })
          return exchange.hasStatus
        },
        { signal, isQuiet: true }
      )
      if (!hasStatus) await this.#confirm(batch)
    } catch (error) {
      if (error instanceof RefusedError) throw new RefusedError(error.status, nameOf(provider))
      if (error instanceof NotAvailableError) throw notHere(error.hash, ABSENT)
      throw error
    }
    this.#sent = before + batch.bytes
    this.#report()
  }

  /** Looks whether what was sent is there, where the peer cannot say so itself. */
  async #confirm({ blobs }: Batch): Promise<void> {
    for (let i = 0; i < blobs.length; i += LOOKS_AT_A_TIME) {
      const look = async ({ hash, size, wanted }: Local): Promise<void> => {
        const item = await this.#look(hash)
        if (item === undefined) this.#isConfirmed = false
        else if (!missingRanges(remoteStatus(item, size), wanted).ranges.isEmpty) {
          throw new PushNotKeptError(hash, nameOf(this.#job.provider))
        }
      }
      await Promise.all(blobs.slice(i, i + LOOKS_AT_A_TIME).map(look))
      if (!this.#isConfirmed) return
    }
  }

  #report(): void {
    this.#job.onProgress?.({
      hash: this.#job.hash,
      sent: this.#sent,
      had: this.#had,
      total: this.#total,
      blobs: this.#blobs
    })
  }
}

/** What goes into one request. */
class Batch {
  readonly blobs: Local[] = []
  readonly #ranges: ChunkRanges[] = []
  #room = RANGES_PER_REQUEST
  /** Bytes of data. */
  bytes = 0

  get isEmpty(): boolean {
    return this.blobs.length === 0
  }

  hasRoomFor(ranges: ChunkRanges): boolean {
    return this.blobs.length < CHILDREN_PER_REQUEST && countPieces(ranges) <= this.#room
  }

  /** In the order of their indices. */
  add(blob: Local, ranges: ChunkRanges): void {
    if (ranges.isEmpty) return
    this.blobs.push(blob)
    this.#ranges.push(ranges)
    this.#room -= countPieces(ranges)
    // What is sent only to tell what is meant had been there.
    if (!ranges.equals(ChunkRanges.last)) this.bytes += bytesWithin(ranges, blob.size)
  }

  get ranges(): RangesSeq {
    const entries = this.blobs.flatMap(({ index }, i) => {
      const entry = { from: index, ranges: this.#ranges[i]! }
      const isFollowed = this.blobs[i + 1]?.index === index + 1
      return isFollowed ? [entry] : [entry, { from: index + 1, ranges: ChunkRanges.empty }]
    })
    return RangesSeq.fromEntries(entries)
  }
}

/** What a peer says it has; nothing where it believes in another size, which it has not proven then. */
function remoteStatus(item: ObserveItem | undefined, size: number): BlobStatus {
  if (item === undefined || item.size !== size) return ABSENT
  return statusOf(size, item.ranges.intersect(wholeRange(size)))
}

function notHere(hash: Hash, { state }: BlobStatus): BlobNotFoundError {
  const what = state === 'absent' ? 'is not in the store' : 'is not complete in the store'
  return new BlobNotFoundError(hash, `${what}, so it cannot be pushed: add or get it first`)
}
