/** What the thread for small files is asked, and answers. */

/** What a thread is told when it begins. */
export interface ThreadData {
  readonly dataFolder: string
  readonly tempFolder: string
  /** None: nothing has to be on disk. */
  readonly journals: JournalPlace | undefined
}

export interface JournalPlace {
  readonly folder: string
  /** What the names of this thread's journals begin with; nobody else's do. */
  readonly prefix: string
  readonly boot: Uint8Array
}

/** An error of the operating system, for another thread. */
export interface Failure {
  readonly message: string
  readonly code: string | undefined
}

export type Request =
  | { readonly kind: 'read'; readonly paths: readonly string[]; readonly most: number }
  /** Records as in a journal (`journal-format.ts`), one after the other. */
  | { readonly kind: 'write'; readonly records: Uint8Array<ArrayBuffer> }
  /** A journal that nobody writes to any more. */
  | { readonly kind: 'retire'; readonly journal: string; readonly isDoubtful: boolean }

/** What became of one file that was to be read. Its bytes follow those of the one before. */
export type Read = { readonly length: number; readonly version: string } | 'other' | 'changed' | Failure

export interface Answer {
  /** One for each path or record. Of a record, the version of its file. */
  readonly results: readonly (Read | string)[]
  /** What was read. */
  readonly bytes?: Uint8Array<ArrayBuffer>
  /** Why nothing was done at all. */
  readonly failure?: Failure
}

export function toFailure(error: unknown): Failure {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  return { message: error instanceof Error ? error.message : String(error), code }
}

export function toError({ message, code }: Failure): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code })
}
