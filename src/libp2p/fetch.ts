/**
 * Fetches a blob, or a hash sequence with its children, into a store: works out what is missing, asks for just that, and
 * keeps what arrives.
 */
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { Links } from '../protocol/links.ts'
import { bytesWithin, missingRanges } from '../protocol/missing.ts'
import { RangesSeq, type RangesSeqEntry } from '../protocol/ranges-seq.ts'
import { type ReceiveSink, receive } from '../protocol/receive.ts'
import type { GetRequest } from '../protocol/request.ts'
import { storeSink } from '../protocol/store-sink.ts'
import type { BlobFormat, BlobStore } from '../store/index.ts'
import { CHILDREN_PER_REQUEST } from './constants.ts'
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

  constructor(getter: Getter, store: BlobStore, job: FetchJob) {
    this.#getter = getter
    this.#store = store
    this.#job = job
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
    const missing = missingRanges(await this.#store.status(hash, this.#job), wanted)
    this.#had += missing.heldBytes
    const knowTotal = (size: number): void => {
      if (format === 'raw') this.#total = this.#had + bytesWithin(missing.ranges, size)
    }
    if (missing.size !== undefined) knowTotal(missing.size)
    if (missing.ranges.isEmpty) {
      this.#blobsDone++
      this.#report()
      return
    }
    await this.#get({ type: 'get', hash, ranges: RangesSeq.blob(missing.ranges) }, knowTotal)
  }

  async #fetchChildren(): Promise<void> {
    await using links = await Links.open(this.#store, this.#job.hash, this.#job)
    this.#blobs = 1 + links.count
    const windows = Math.ceil(links.count / CHILDREN_PER_REQUEST)
    for (let window = 0; window < windows; window++) {
      const entries = await this.#missingChildren(links, window * CHILDREN_PER_REQUEST)
      const ranges = RangesSeq.fromEntries(entries)
      if (windows === 1) await this.#learnTotal(ranges)
      if (!ranges.isEmpty) await this.#get({ type: 'get', hash: this.#job.hash, ranges })
    }
    this.#blobs = this.#blobsDone
    this.#report()
  }

  /** What is missing of the children from link `first` on. A blob that is linked to twice is fetched once. */
  async #missingChildren(links: Links, first: number): Promise<RangesSeqEntry[]> {
    const entries: RangesSeqEntry[] = []
    const seen = new Set<string>()
    const end = Math.min(links.count, first + CHILDREN_PER_REQUEST)
    for (let i = first; i < end; i++) {
      const child = await links.link(i)
      const key = child.toString()
      let ranges = ChunkRanges.empty
      if (!seen.has(key)) {
        seen.add(key)
        const missing = missingRanges(await this.#store.status(child, this.#job), ChunkRanges.all)
        ranges = missing.ranges
        this.#had += missing.heldBytes
        if (ranges.isEmpty) this.#blobsDone++
      }
      entries.push({ from: i + 1, ranges })
    }
    entries.push({ from: end + 1, ranges: ChunkRanges.empty })
    return entries
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
