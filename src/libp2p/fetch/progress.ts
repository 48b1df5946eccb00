/** What a fetch tells about itself: how far it has come, and what came of it. */
import type { Hash } from '../../hash.ts'
import type { BlobFormat } from '../../store/index.ts'

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
  /** Providers that something is being received from. */
  readonly providers: number
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

/** Counts. What has been told never becomes less, even if something that had come has to come again. */
export class Tally {
  received = 0
  had = 0
  total: number | undefined
  blobsDone = 0
  blobs: number | undefined
  #told = 0

  progress(hash: Hash, providers: number): FetchProgress {
    const { had, total, blobsDone, blobs } = this
    this.#told = Math.max(this.#told, this.received)
    return { hash, received: this.#told, had, total, blobsDone, blobs, providers }
  }

  result(hash: Hash, format: BlobFormat): FetchResult {
    const { received, had, blobsDone } = this
    return { hash, format, size: received + had, received, had, blobs: blobsDone }
  }
}
