/**
 * Fetches a blob, or a hash sequence with its children, into a store: works out what is missing, asks for just that, and
 * keeps what arrives.
 */

import { bytesWithin } from '../bao/geometry.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { Links } from '../protocol/links.ts'
import { missingRanges } from '../protocol/missing.ts'
import { RangesSeq, type RangesSeqEntry } from '../protocol/ranges-seq.ts'
import { type ReceiveSink, receive } from '../protocol/receive.ts'
import type { GetRequest } from '../protocol/request.ts'
import { storeSink } from '../protocol/store-sink.ts'
import type { BlobFormat, BlobStore } from '../store/index.ts'
import { CHILDREN_PER_REQUEST, RANGES_PER_REQUEST } from './constants.ts'
import type { Getter } from './getter.ts'
import type { ProviderAddress } from './provider-address.ts'

/** How far a fetch has come. */
export interface FetchProgress {
  readonly hash: Hash
  /** Bytes that have arrived and are proven. */
  readonly received: number
  /** Bytes that were held before. */
  readonly had: number
  /** Bytes in all, held before or to be received; undefined as long as not every size is known. */
  readonly total: number | undefined
  /** Blobs that are whole. */
  readonly blobsDone: number
  /** Blobs in all; undefined as long as the hash sequence has not arrived. */
  readonly blobs: number | undefined
}

export interface FetchResult {
  readonly hash: Hash
  readonly format: BlobFormat
  /** Bytes of all that was wanted: of the blob, or of the hash sequence and its children, each counted once. */
  readonly size: number
  /** Bytes of these that came in now. */
  readonly received: number
  /** Bytes of these that were held before. */
  readonly had: number
  /** Blobs, each counted once. */
  readonly blobs: number
}

export interface FetchJob {
  readonly hash: Hash
  readonly format: BlobFormat
  /** Chunks wanted; of a hash sequence always all. */
  readonly ranges: ChunkRanges
  /** Whether to ask for the sizes of a hash sequence's children first, so that the progress has a total. */
  readonly askSizes: boolean
  readonly provider: ProviderAddress
  readonly maxBlobBytes: number
  /** Ranges of chunks to ask for at a time. Default: as many as surely fit a request. */
  readonly rangesPerRequest?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined
}

/** Runs one fetch. */
export class Fetch {
  readonly #getter: Getter
  readonly #store: BlobStore
  readonly #job: FetchJob
  #received = 0
  #had = 0
  #total: number | undefined
  #blobsDone = 0
  #blobs: number | undefined
  /** Children that have been counted, by the first 48 bits of their hashes: small, and good enough for counting. */
  readonly #counted = new Set<number>()

  constructor(getter: Getter, store: BlobStore, job: FetchJob) {
    this.#getter = getter
    this.#store = store
    this.#job = job
  }

  get #rangesPerRequest(): number {
    return this.#job.rangesPerRequest ?? RANGES_PER_REQUEST
  }

  async run(): Promise<FetchResult> {
    const { hash, format, ranges } = this.#job
    await this.#fetchRoot(format === 'raw' ? ranges : ChunkRanges.all)
    if (format === 'hash_seq') await this.#fetchChildren()
    return {
      hash,
      format,
      size: this.#received + this.#had,
      received: this.#received,
      had: this.#had,
      blobs: this.#blobsDone
    }
  }

  async #fetchRoot(wanted: ChunkRanges): Promise<void> {
    const { hash, format } = this.#job
    if (format === 'raw') this.#blobs = 1
    let missing = missingRanges(await this.#store.status(hash, this.#job), wanted)
    this.#had += missing.heldBytes
    const all = missing.ranges
    const knowTotal = (size: number): void => {
      if (format === 'raw') this.#total = this.#had + bytesWithin(all, size)
    }
    if (missing.size !== undefined) knowTotal(missing.size)
    while (!missing.ranges.isEmpty) {
      const some = missing.ranges.first(this.#rangesPerRequest)
      await this.#get({ type: 'get', hash, ranges: RangesSeq.blob(some) }, knowTotal)
      if (some === missing.ranges) break
      missing = missingRanges(await this.#store.status(hash, this.#job), wanted)
    }
    this.#blobsDone = 1
    this.#report()
  }

  async #fetchChildren(): Promise<void> {
    await using links = await Links.open(this.#store, this.#job.hash, this.#job)
    this.#blobs = 1 + links.count
    for (let first = 0; first < links.count; ) {
      const { entries, next } = await this.#missingChildren(links, first)
      const ranges = RangesSeq.fromEntries(entries)
      if (first === 0 && next === links.count) await this.#learnTotal(ranges)
      if (!ranges.isEmpty) await this.#get({ type: 'get', hash: this.#job.hash, ranges })
      first = next
    }
    this.#blobs = this.#blobsDone
    this.#report()
  }

  /**
   * What is missing of the children from link `first` on, as much as fits one request. A blob that is linked to twice is
   * fetched once.
   */
  async #missingChildren(links: Links, first: number): Promise<{ entries: RangesSeqEntry[]; next: number }> {
    const entries: RangesSeqEntry[] = []
    const seen = new Set<string>()
    const end = Math.min(links.count, first + CHILDREN_PER_REQUEST)
    let next = first
    for (let room = this.#rangesPerRequest; next < end && room > 0; next++) {
      const child = await links.link(next)
      const key = child.toString()
      let ranges = ChunkRanges.empty
      if (!seen.has(key)) {
        seen.add(key)
        const missing = missingRanges(await this.#store.status(child, this.#job), ChunkRanges.all)
        // A child that lacks more pieces than fit is the last of this request and the first of the next.
        ranges = missing.ranges.first(room)
        room -= Math.ceil(ranges.boundaries.length / 2)
        if (this.#isNew(child)) {
          this.#had += missing.heldBytes
          if (ranges.isEmpty) this.#blobsDone++
        }
        if (ranges !== missing.ranges) {
          this.#blobsDone--
          entries.push({ from: next + 1, ranges }, { from: next + 2, ranges: ChunkRanges.empty })
          return { entries, next }
        }
      }
      entries.push({ from: next + 1, ranges })
    }
    entries.push({ from: next + 1, ranges: ChunkRanges.empty })
    return { entries, next }
  }

  #isNew(child: Hash): boolean {
    const { bytes } = child
    const prefix =
      new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) * 65_536 + bytes[4]! * 256 + bytes[5]!
    const isNew = !this.#counted.has(prefix)
    this.#counted.add(prefix)
    return isNew
  }

  /** Asks for the last chunk of every child that is missing: its proof tells the size. */
  async #learnTotal(missing: RangesSeq): Promise<void> {
    if (!this.#job.askSizes) return
    let total = this.#received + this.#had
    if (!missing.isEmpty) {
      const entries = missing.entries.map(({ from, ranges }) => ({
        from,
        ranges: ranges.isEmpty ? ranges : ChunkRanges.last
      }))
      const sizes: GetRequest = { type: 'get', hash: this.#job.hash, ranges: RangesSeq.fromEntries(entries) }
      const sink: ReceiveSink = {
        open: async ({ index, size }) => {
          total += bytesWithin(missing.at(index), size)
          return { write: async () => undefined, close: async () => undefined }
        },
        links: root => Links.open(this.#store, root, this.#job)
      }
      await this.#receive(sizes, sink, () => undefined)
    }
    this.#total = total
    this.#report()
  }

  async #get(request: GetRequest, onSize: (size: number) => void = () => undefined): Promise<void> {
    const toStore = storeSink(this.#store, this.#job)
    const sink: ReceiveSink = {
      links: toStore.links,
      open: blob => {
        onSize(blob.size)
        return toStore.open(blob)
      }
    }
    const before = this.#received
    let ofBlob = 0
    let ofOthers = 0
    await this.#receive(request, sink, ({ received, isDone }) => {
      ofBlob = received
      this.#received = before + ofOthers + ofBlob
      if (isDone) {
        ofOthers += ofBlob
        ofBlob = 0
        this.#blobsDone++
      }
      this.#report()
    })
  }

  async #receive(
    request: GetRequest,
    sink: ReceiveSink,
    onProgress: (progress: { received: number; isDone: boolean }) => void
  ): Promise<void> {
    const { provider, maxBlobBytes, signal } = this.#job
    await this.#getter.ask(
      provider,
      request,
      async ({ response, hasStatus }) => {
        for await (const progress of receive(request, response, sink, { hasStatus, maxBlobBytes }))
          onProgress(progress)
      },
      { signal }
    )
  }

  #report(): void {
    this.#job.onProgress?.({
      hash: this.#job.hash,
      received: this.#received,
      had: this.#had,
      total: this.#total,
      blobsDone: this.#blobsDone,
      blobs: this.#blobs
    })
  }
}
