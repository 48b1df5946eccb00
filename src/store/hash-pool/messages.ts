/** What the main thread and the hashing threads tell each other. */

/** Where what is hashed is written to, at the same place as in the source. Open files, by their numbers. */
export interface CopyTarget {
  readonly file: number
  /** The same file, past the system's cache; for whole blocks only. */
  readonly direct?: number | undefined
}

/** Some runs of a file. */
export interface HashJob {
  /** An open file, by its number, which stays open until the job has ended. */
  readonly source: number
  /** Bytes; a multiple of 1 MiB. */
  readonly offset: number
  /** Bytes; a multiple of 1 MiB, except at the end of the blob. */
  readonly length: number
  /** Whether it is the whole blob, and of one run. */
  readonly isRoot: boolean
  readonly target?: CopyTarget | undefined
}

export interface HashedJob {
  /** 32 bytes for each run. */
  readonly values: Uint8Array<ArrayBuffer>
  /** The nodes of each run in pre-order, one run after the other. */
  readonly pairs: Uint8Array<ArrayBuffer>
}

export interface FailedJob {
  /** `end`: the source ended before the job did. */
  readonly failed: 'read' | 'write' | 'end'
  readonly message: string
  /** The system's: `ENOSPC` and the like. */
  readonly code?: string | undefined
}

/** A thread first says that it is ready; then it answers jobs in the order in which they came. */
export type FromThread = 'ready' | HashedJob | FailedJob
