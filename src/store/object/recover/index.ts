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
import { BLOBS_PREFIX, blobPrefix, parseBlobKey } from '../layout.ts'
import { knownOf, listStored, noteFragments } from '../lookup.ts'
import { StorageError, StorageUnavailableError } from '../storage/errors.ts'
import type { ObjectInfo } from '../storage/index.ts'
import { type RecoveryJob, recoverBlob, type StoredObjects } from './blob.ts'
import { type Counts, noCounts, Position } from './position.ts'
import { recoverTags } from './tags.ts'

/** Blobs that are looked at at the same time, unless told otherwise: whole ones keep the disk busy, ends of them the line. */
const CONCURRENCY = 4
const FAST_CONCURRENCY = 32

/** Blobs that are begun, and wait to be counted, while one before them takes long. */
const MOST_WAITING = 10_000

/** Bytes after which progress is told, besides at every blob. */
const TELL_BYTES = 1024 * 1024

/** Rows that are read at a time. */
const PAGE = 100

/** Objects that were set aside, or belong to nothing, and are named in the report. There may be more: the counts have all. */
const MOST_NAMED = 1000

export interface RecoveryOptions extends WaitOptions {
  /**
   * Whether to believe the data, and to check only the outboards and the last group, which proves the size, instead of reading
   * every byte.
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
   * Blobs that are looked at at the same time.
   *
   * @default 4, and 32 when `fast`
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
  /** Objects that did not match their keys, and where they are now; at most 1,000 of them, and only those of this run. */
  readonly quarantined: readonly { readonly key: string; readonly to: string }[]
  /** Keys of objects that belong to nothing; at most 1,000 of them, and only those of this run. */
  readonly orphans: readonly string[]
}

/** @throws RangeError when `concurrency` is not a positive number; what the storage and the database throw */
export async function recover(
  context: ObjectContext,
  arrivals: Arrivals,
  options: RecoveryOptions = {}
): Promise<RecoveryReport> {
  const { signal, fast = false, restart = false, onProgress } = options
  const concurrency = options.concurrency ?? (fast ? FAST_CONCURRENCY : CONCURRENCY)
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new RangeError(`concurrency is a positive number of blobs, not ${concurrency}`)
  }
  const position = Position.load(context.metadata, { storage: context.storage.name, fast }, restart)
  const { counts } = position
  const quarantined: { key: string; to: string }[] = []
  const orphans: string[] = []
  const onOrphaned = (key: string): void => {
    if (orphans.length < MOST_NAMED) orphans.push(key)
  }
  let bytes = counts.bytesRead
  let toldBytes = bytes
  const tell = (share: number): void => {
    toldBytes = bytes
    onProgress?.({ blobs: counts.complete + counts.partial + counts.corrupt, bytes, position: share })
  }
  const jobWith = (found: Counts): RecoveryJob => ({
    context,
    arrivals,
    counts: found,
    fast,
    signal,
    onBytes: length => {
      bytes += length
      found.bytesRead += length
      if (bytes - toldBytes >= TELL_BYTES) tell(position.share)
    },
    onQuarantined: (key, to) => {
      found.corrupt++
      if (quarantined.length < MOST_NAMED) quarantined.push({ key, to })
      context.notice(`${key} in ${context.storage.name} does not match its key; it is now ${to}`)
    },
    onOrphaned
  })
  const tags = noCounts()
  await recoverTags(jobWith(tags))
  position.add(tags)

  const running = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined
  /** Begins with a blob when it is its turn. */
  const start = async (hash: Hash, look: (job: RecoveryJob) => Promise<void>): Promise<void> => {
    while (running.size >= concurrency || (running.size > 0 && position.waiting >= MOST_WAITING)) {
      await Promise.race(running)
    }
    signal?.throwIfAborted()
    if (failure !== undefined) throw failure.error
    const { counts: found, done } = position.begin(hash)
    const task = look(jobWith(found))
      .catch(error => {
        signal?.throwIfAborted()
        if (!isOfOneBlob(error)) throw error
        found.failed++
        context.notice(`blob ${hash} could not be looked at: ${error.message}`)
      })
      .then(done, error => {
        failure ??= { error }
      })
    running.add(task)
    void task.finally(() => running.delete(task))
    position.save()
    tell(position.share)
  }
  try {
    const { after } = position
    const rows = new Rows(context.metadata, after === undefined ? undefined : Hash.parse(after))
    for await (const stored of groupByBlob(context, after, onOrphaned, signal)) {
      for (const hash of rows.before(stored.hash)) await start(hash, job => forgetLost(job, hash))
      if (stored.hash !== undefined) await start(stored.hash, job => recoverBlob(job, stored))
      else counts.orphaned += stored.foreign
    }
    await Promise.all(running)
    if (failure !== undefined) throw failure.error
  } finally {
    await Promise.all(running)
    position.save(true)
  }
  position.clear()
  tell(1)
  return { ...counts, quarantined, orphans }
}

/** Whether it says nothing of other blobs: a server that does not answer, or a database that is full, does. */
function isOfOneBlob(error: unknown): error is StorageError {
  return error instanceof StorageError && !(error instanceof StorageUnavailableError)
}

/** The objects of one blob after the other; at the end what follows on the last and is no blob's, without a hash. */
async function* groupByBlob(
  { storage }: ObjectContext,
  after: string | undefined,
  onOrphaned: (key: string) => void,
  signal: AbortSignal | undefined
): AsyncGenerator<StoredObjects | { hash: undefined; foreign: number }, void, undefined> {
  let hash: Hash | undefined
  let objects: ObjectInfo[] = []
  let foreign = 0
  // "0" comes after "/": all keys of that blob are before this one.
  const from = after === undefined ? {} : { after: `${BLOBS_PREFIX}${after}0` }
  for await (const object of storage.list({ prefix: BLOBS_PREFIX, ...from, signal })) {
    const parsed = parseBlobKey(object.key)
    const isNext = hash !== undefined && !object.key.startsWith(blobPrefix(hash))
    if (hash !== undefined && isNext) {
      yield { hash, objects, foreign }
      hash = undefined
      objects = []
      foreign = 0
    }
    if (parsed === undefined) {
      foreign++
      onOrphaned(object.key)
      continue
    }
    hash = parsed.hash
    objects.push(object)
  }
  if (hash === undefined) yield { hash, foreign }
  else {
    yield { hash, objects, foreign }
    yield { hash: undefined, foreign: 0 }
  }
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
async function forgetLost({ context, arrivals, counts, signal }: RecoveryJob, hash: Hash): Promise<void> {
  await arrivals.exclusively(hash, async () => {
    signal?.throwIfAborted()
    const known = knownOf(context, hash)
    if (arrivals.find(hash) !== undefined || known.row === undefined) return
    const stored = await listStored(context, hash, signal)
    if (stored.data !== undefined || stored.fragments.length > 0) return
    await noteFragments(context, hash, known, [])
    if (context.metadata.find(hash) !== undefined) return
    counts.lost++
    context.changed(hash)
  })
}
