/**
 * Collecting garbage: marks what tags and leases keep, and deletes the rest, while blobs go on being added, fetched and served.
 *
 * What is protected is read once, at the beginning; each deletion is told what has come since (`Sweep` in store/index.ts), so that
 * nothing that is protected by then is deleted.
 */
import type { Hash } from '../../hash.ts'
import type { BlobInfo, BlobStore, Root, Sweep, WaitOptions } from '../../store/index.ts'
import { heldBytes } from '../../store/status.ts'
import { unfinishedSince } from '../unfinished.ts'
import { Marks } from './mark.ts'
import { Pace } from './pace.ts'

/** How long partial blobs that nothing protects are kept, in ms, unless told otherwise: a week. */
export const DEFAULT_PARTIAL_AGE_MS: number = 7 * 24 * 60 * 60 * 1000

/** Blobs that are deleted in one go. Other processes that begin to protect something wait meanwhile. */
const BATCH = 64

/** Tags that are named in a message. */
const MOST_NAMED = 3

/** What tags keep is not known, because a hash sequence they name is not all there. From then on nothing was deleted. */
export class IncompleteSequenceError extends Error {
  override readonly name = 'IncompleteSequenceError'
  readonly code = 'ERR_INCOMPLETE_SEQUENCE'
  /** The tags that name such hash sequences. */
  readonly tags: readonly string[]

  constructor(tags: readonly string[]) {
    const named = tags.slice(0, MOST_NAMED).map(tag => JSON.stringify(tag))
    const more = tags.length > MOST_NAMED ? ` and ${tags.length - MOST_NAMED} more` : ''
    super(
      `the list of blobs that ${named.join(', ')}${more} stands for is not all here, so nobody can tell what is garbage; get it again, or delete the tag`
    )
    this.tags = tags
  }
}

export interface CollectOptions extends WaitOptions {
  /**
   * Whether nothing is deleted, only told.
   *
   * @default false
   */
  readonly isDryRun?: boolean | undefined
  /**
   * Partial blobs that nothing protects are garbage when nothing has come in for so many ms.
   *
   * @default 604_800_000
   */
  readonly partialAgeMs?: number | undefined
  /**
   * Whether complete blobs are left alone.
   *
   * @default false
   */
  readonly onlyPartial?: boolean | undefined
  /**
   * The part of the time that is spent on it, above 0 and up to 1; the rest is left to others.
   *
   * @default 1
   */
  readonly share?: number | undefined
  /** Told of each blob that is deleted, or in a dry run would be. `bytes` of data are held of it. */
  readonly onGarbage?:
    | ((blob: { readonly hash: Hash; readonly bytes: number; readonly isPartial: boolean }) => void)
    | undefined
}

export interface GarbageReport {
  /** Blobs that were deleted, or in a dry run would be. */
  readonly blobs: number
  /** Bytes of data in these. */
  readonly bytes: number
  /** Blobs that stay. */
  readonly keptBlobs: number
  /** Bytes of data in these. */
  readonly keptBytes: number
}

/**
 * Deletes what nothing protects.
 *
 * @throws IncompleteSequenceError before anything is deleted, or when such a tag is set meanwhile; GarbageUnknownError, StoreError,
 *   the signal's reason
 */
export async function collectGarbage(store: BlobStore, options: CollectOptions = {}): Promise<GarbageReport> {
  const pace = new Pace(options)
  await using sweep = await store.sweep(options)
  const marks = await markAll(store, sweep, options, pace)
  return await new Collector(sweep, marks, options, pace).run(store.list(options))
}

async function markAll(store: BlobStore, sweep: Sweep, options: CollectOptions, pace: Pace): Promise<Marks> {
  const marks = new Marks(store)
  const unknown: string[] = []
  const givenUp: string[] = []
  const oldest = Date.now() - (options.partialAgeMs ?? DEFAULT_PARTIAL_AGE_MS)
  for await (const root of sweep.roots(options)) {
    const since = root.tag === undefined ? undefined : unfinishedSince(root.tag)
    if (since !== undefined && since <= oldest) {
      givenUp.push(root.tag!)
      continue
    }
    const isKnown = await marks.add(root, pace, options)
    if (!isKnown && isMeantToBeWhole(root)) unknown.push(root.tag!)
    await pace.breathe()
  }
  if (unknown.length > 0) throw new IncompleteSequenceError(unknown)
  if (options.isDryRun !== true) for (const tag of givenUp) await store.tags.delete(tag)
  return marks
}

/** A lease says nothing of that, nor does the tag of a fetch that was cut off. */
function isMeantToBeWhole({ tag }: Root): boolean {
  return tag !== undefined && unfinishedSince(tag) === undefined
}

class Collector {
  readonly #sweep: Sweep
  readonly #marks: Marks
  readonly #options: CollectOptions
  readonly #pace: Pace
  readonly #youngest: number
  #batch: BlobInfo[] = []
  #report = { blobs: 0, bytes: 0, keptBlobs: 0, keptBytes: 0 }

  constructor(sweep: Sweep, marks: Marks, options: CollectOptions, pace: Pace) {
    this.#sweep = sweep
    this.#marks = marks
    this.#options = options
    this.#pace = pace
    this.#youngest = Date.now() - (options.partialAgeMs ?? DEFAULT_PARTIAL_AGE_MS)
  }

  async run(blobs: AsyncIterable<BlobInfo>): Promise<GarbageReport> {
    for await (const blob of blobs) {
      await this.#pace.breathe()
      if (!this.#isGarbage(blob)) {
        this.#keep(blob)
        continue
      }
      this.#batch.push(blob)
      if (this.#batch.length === BATCH) await this.#flush()
    }
    await this.#flush()
    return this.#report
  }

  #isGarbage({ hash, status, changedAt }: BlobInfo): boolean {
    if (this.#marks.has(hash)) return false
    return status.state === 'complete' ? this.#options.onlyPartial !== true : changedAt <= this.#youngest
  }

  #keep({ status }: BlobInfo): void {
    this.#report.keptBlobs++
    this.#report.keptBytes += heldBytes(status)
  }

  async #flush(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    const gone = await this.#delete(batch)
    for (const blob of batch) {
      if (!gone.has(blob.hash.toString())) {
        this.#keep(blob)
        continue
      }
      const bytes = heldBytes(blob.status)
      this.#report.blobs++
      this.#report.bytes += bytes
      this.#options.onGarbage?.({ hash: blob.hash, bytes, isPartial: blob.status.state === 'partial' })
    }
  }

  async #delete(batch: readonly BlobInfo[]): Promise<ReadonlySet<string>> {
    await this.#marks.lookAgain(this.#pace, this.#options)
    const hashes = batch.map(({ hash }) => hash).filter(hash => !this.#marks.has(hash))
    if (this.#options.isDryRun === true) return new Set(hashes.map(String))
    this.#options.signal?.throwIfAborted()
    if (hashes.length === 0) return new Set()
    const hold = async (fresh: readonly Root[]): Promise<ReadonlySet<string>> => {
      // Others may be waiting for this to end: it gives them turns, but does not rest.
      const pace = new Pace({ signal: this.#options.signal })
      for (const root of fresh) {
        const isKnown = await this.#marks.add(root, pace, this.#options)
        if (!isKnown && isMeantToBeWhole(root)) throw new IncompleteSequenceError([root.tag!])
      }
      return new Set(hashes.filter(hash => this.#marks.has(hash)).map(String))
    }
    return new Set((await this.#sweep.delete(hashes, hold)).map(String))
  }
}
