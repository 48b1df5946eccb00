/**
 * Making the index anew from what is in the storage.
 *
 * The storage is listed in order of the hashes, and the index beside it: what is only in the one is added to, or taken out of,
 * the other's account. How far it has come is noted in the database, so that an interrupted run goes on from there.
 */
import { Hash } from '../../../hash.ts'
import type { WaitOptions } from '../../index.ts'
import type { Arrivals } from '../arrivals.ts'
import type { ObjectContext } from '../context.ts'
import { BLOBS_PREFIX, parseBlobKey } from '../layout.ts'
import { listStored } from '../lookup.ts'
import type { ObjectInfo } from '../storage/index.ts'
import { recoverBlob, type StoredObjects } from './blob.ts'
import { type Counts, Position } from './position.ts'
import { recoverTags } from './tags.ts'

/** Blobs that are read at the same time, unless told otherwise. */
const CONCURRENCY = 4

/** Rows that are read at a time. */
const PAGE = 500

/** Objects that were set aside and are named in the report. There may be more: `corrupt` counts all. */
const MOST_NAMED = 1000

export interface RecoveryOptions extends WaitOptions {
  /**
   * Whether to believe the data and look at sizes and outboards only, instead of reading every byte.
   *
   * @default false
   */
  readonly fast?: boolean | undefined
  /**
   * Whether to begin anew instead of going on from where an interrupted run has stopped.
   *
   * @default false
   */
  readonly restart?: boolean | undefined
  /**
   * Blobs that are read at the same time.
   *
   * @default 4
   */
  readonly concurrency?: number | undefined
  readonly onProgress?: ((progress: RecoveryProgress) => void) | undefined
}

export interface RecoveryProgress {
  /** Blobs that are done. */
  readonly blobs: number
  /** Bytes read. */
  readonly bytes: number
  /** How much of all hashes is done, 0 to 1. */
  readonly position: number
}

/** What was found; with what an interrupted run before has found. */
export interface RecoveryReport extends Counts {
  /** Objects that did not match their keys, and where they are now; at most 1,000 of them. */
  readonly quarantined: readonly { readonly key: string; readonly to: string }[]
}

export async function recover(
  context: ObjectContext,
  arrivals: Arrivals,
  options: RecoveryOptions = {}
): Promise<RecoveryReport> {
  const { signal, fast = false, restart = false, concurrency = CONCURRENCY, onProgress } = options
  const position = Position.load(context.metadata, fast, restart)
  const { counts } = position
  const quarantined: { key: string; to: string }[] = []
  const tell = (): void =>
    onProgress?.({
      blobs: counts.complete + counts.partial + counts.corrupt,
      bytes: counts.bytesRead,
      position: position.share
    })
  const job = {
    context,
    arrivals,
    counts,
    fast,
    signal,
    onBytes: (bytes: number) => {
      counts.bytesRead += bytes
      tell()
    },
    onQuarantined: (key: string, to: string) => {
      counts.corrupt++
      if (quarantined.length < MOST_NAMED) quarantined.push({ key, to })
      context.notice(`${key} in ${context.storage.name} does not match its key; it is now ${to}`)
    }
  }
  if (position.after === undefined) await recoverTags(job)

  const running = new Set<Promise<void>>()
  let failure: unknown
  const start = (hash: Hash, action: () => Promise<void>): void => {
    const done = position.begin(hash)
    const task = action().then(done, error => {
      failure ??= error
    })
    running.add(task)
    void task.finally(() => running.delete(task))
  }
  try {
    const rows = new Rows(
      context.metadata,
      position.after === undefined ? undefined : Hash.parse(position.after)
    )
    for await (const stored of groupByBlob(context, position.after, counts, signal)) {
      for (const hash of rows.before(stored.hash)) {
        start(hash, () => forgetLost(context, arrivals, hash, counts))
        if (running.size >= concurrency) await Promise.race(running)
      }
      if (failure !== undefined) break
      start(stored.hash, () => recoverBlob(job, stored))
      while (running.size >= concurrency) await Promise.race(running)
      position.save()
      tell()
    }
    await Promise.all(running)
    if (failure === undefined) {
      for (const hash of rows.before()) {
        await forgetLost(context, arrivals, hash, counts)
      }
    }
  } finally {
    await Promise.all(running)
    position.save(true)
  }
  signal?.throwIfAborted()
  if (failure !== undefined) throw failure
  position.clear()
  return { ...counts, quarantined }
}

/** The objects of one blob after the other. What is under no blob's key is counted. */
async function* groupByBlob(
  { storage }: ObjectContext,
  after: string | undefined,
  counts: Counts,
  signal: AbortSignal | undefined
): AsyncGenerator<StoredObjects, void, undefined> {
  let hash: Hash | undefined
  let objects: ObjectInfo[] = []
  // "0" comes after "/": all keys of that blob are before this one.
  const from = after === undefined ? {} : { after: `${BLOBS_PREFIX}${after}0` }
  for await (const object of storage.list({ prefix: BLOBS_PREFIX, ...from, signal })) {
    const parsed = parseBlobKey(object.key)
    if (parsed === undefined) {
      counts.orphaned++
      continue
    }
    if (hash !== undefined && !hash.equals(parsed.hash)) {
      yield { hash, objects }
      objects = []
    }
    hash = parsed.hash
    objects.push(object)
  }
  if (hash !== undefined) yield { hash, objects }
}

/** Goes through the blobs of the index in the order of the listing. */
class Rows {
  readonly #metadata: ObjectContext['metadata']
  #page: Hash[] = []
  #after: Hash | undefined
  #isLast = false

  constructor(metadata: ObjectContext['metadata'], after: Hash | undefined) {
    this.#metadata = metadata
    this.#after = after
  }

  /** The next ones that come before a hash, or all that are left. The hash itself is passed over. */
  *before(hash?: Hash): Generator<Hash, void, undefined> {
    const end = hash?.toBase32()
    for (;;) {
      const next = this.#peek()
      if (next === undefined) return
      const text = next.toBase32()
      if (end !== undefined && text > end) return
      this.#page.shift()
      if (text !== end) yield next
    }
  }

  #peek(): Hash | undefined {
    if (this.#page.length === 0 && !this.#isLast) {
      this.#page = this.#metadata.listBlobs({ after: this.#after, limit: PAGE }).map(({ hash }) => hash)
      this.#isLast = this.#page.length < PAGE
      this.#after = this.#page.at(-1)
    }
    return this.#page[0]
  }
}

/** Takes a blob out of the index whose objects are not there; one that has come meanwhile stays. */
async function forgetLost(
  context: ObjectContext,
  arrivals: Arrivals,
  hash: Hash,
  counts: Counts
): Promise<void> {
  await arrivals.exclusively(hash, async () => {
    if (arrivals.find(hash) !== undefined || context.metadata.find(hash) === undefined) return
    const stored = await listStored(context, hash)
    if (stored.data !== undefined || stored.fragments.length > 0) return
    context.metadata.forget(hash)
    counts.lost++
    context.changed(hash)
  })
}
