/**
 * Fetches a blob, or a hash sequence with its children, into a store: works out what is missing, has just that fetched, and
 * counts.
 */
import type { Logger, PeerId } from '@libp2p/interface'
import { bytesWithin } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { nextTurn } from '../../protocol/fair-turns.ts'
import { Links } from '../../protocol/links.ts'
import { missingRanges } from '../../protocol/missing.ts'
import type { BlobFormat, BlobStatus, BlobStore, Lease } from '../../store/index.ts'
import { RANGES_PER_REQUEST } from '../constants.ts'
import type { Getter } from '../getter.ts'
import type { BlobsLimits } from '../limits.ts'
import type { Misbehaviour } from '../misbehaviour.ts'
import type { ProviderAddress } from '../provider-address.ts'
import { Children } from './children.ts'
import { Item } from './item.ts'
import { sizesLanding, storeLanding } from './landing.ts'
import { Pool } from './pool.ts'
import { type FetchProgress, type FetchResult, Tally } from './progress.ts'
import { Scheduler } from './scheduler.ts'

/** What a service has for all its fetches. */
export interface FetchContext {
  readonly getter: Getter
  readonly store: BlobStore
  readonly limits: BlobsLimits
  readonly log: Logger
  readonly misbehaviour: Misbehaviour
  /** Wrong bytes have come from a peer. */
  readonly onMisbehaved: (peer: PeerId, hash: Hash, error: Error) => void
}

export interface TransferJob {
  readonly hash: Hash
  readonly format: BlobFormat
  /** Chunks wanted; of a hash sequence always all. */
  readonly ranges: ChunkRanges
  readonly onProgress: (progress: FetchProgress) => void
  /** Longest time without a byte from a provider that is alone, in ms. Default: that of the limits. */
  readonly idleTimeoutMs?: number | undefined
  /** Ranges of chunks to ask for at a time. Default: as many as surely fit a request. */
  readonly rangesPerRequest?: number | undefined
}

export class Transfer {
  /** Whether to ask for the sizes of a hash sequence's children first, so that the progress has a total. */
  askSizes = false
  readonly #context: FetchContext
  readonly #job: TransferJob
  readonly #scheduler: Scheduler
  readonly #stopping = new AbortController()
  readonly #tally = new Tally()

  constructor(context: FetchContext, job: TransferJob) {
    this.#context = context
    this.#job = job
    const { idleTimeoutMs } = job
    const limits = idleTimeoutMs === undefined ? context.limits : { ...context.limits, idleTimeoutMs }
    this.#scheduler = new Scheduler({
      ...context,
      limits,
      hash: job.hash,
      onProgress: () => this.#report()
    })
  }

  addProviders(providers: readonly ProviderAddress[]): void {
    this.#scheduler.add(providers)
  }

  /** Ends it with this reason. */
  abort(reason: unknown): void {
    this.#stopping.abort(reason)
    this.#scheduler.fail(reason)
  }

  /** Aborts when the transfer is to end. */
  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  /** To be called once. When it is settled, nothing is under way any more. */
  async run(): Promise<FetchResult> {
    const { hash, format, ranges } = this.#job
    await using lease = await this.#context.store.lease(this)
    await this.#fetchRoot(format === 'raw' ? ranges : ChunkRanges.all, lease)
    if (format === 'hash_seq') {
      // What it links to is known only now.
      await lease.protect({ hash, format })
      await this.#fetchChildren()
    }
    return this.#tally.result(hash, format)
  }

  async #fetchRoot(wanted: ChunkRanges, lease: Lease): Promise<void> {
    const { hash, format } = this.#job
    const tally = this.#tally
    if (format === 'raw') tally.blobs = 1
    const { status, isProtected } = await this.#protectRoot(lease)
    const missing = missingRanges(status, wanted)
    tally.had += missing.heldBytes
    const knowTotal = (size: number): void => {
      if (format === 'raw') tally.total = tally.had + bytesWithin(missing.ranges, size)
    }
    if (missing.size !== undefined) knowTotal(missing.size)
    if (!missing.ranges.isEmpty) {
      const item = new Item({ index: 0, hash, ranges: missing.ranges, size: missing.size, isLarge: true })
      const pool = this.#pool()
      pool.add([item])
      pool.close()
      await this.#fetchPool(pool, knowTotal, isProtected)
    }
    await isProtected
    tally.blobsDone = 1
    this.#report()
  }

  /**
   * What is held of a blob is looked at when nobody takes it for garbage any more. Of most that are fetched nothing is held: then that is
   * seen to while the request is on its way, before anything is written.
   */
  async #protectRoot(lease: Lease): Promise<{ status: BlobStatus; isProtected: Promise<void> }> {
    const { hash, format } = this.#job
    const { store } = this.#context
    const status = await store.status(hash, this)
    if (status.state === 'absent') {
      const isProtected = new Promise<void>(nextTurn).then(() => lease.protect({ hash, format }))
      // Who writes first waits for it.
      isProtected.catch(() => undefined)
      return { status, isProtected }
    }
    await lease.protect({ hash, format })
    return { status: await store.status(hash, this), isProtected: Promise.resolve() }
  }

  async #fetchChildren(): Promise<void> {
    const { store } = this.#context
    await using links = await Links.open(store, this.#job.hash, this)
    const tally = this.#tally
    const children = new Children(store, links, tally)
    const pool = this.#pool(() => {
      tally.blobsDone++
    })
    const first = await children.next(pool, this.signal)
    if (children.isAtEnd && this.askSizes) await this.#learnTotal(first)
    // Not before: who shows the progress by bytes where he can need not change his mind.
    tally.blobs = 1 + links.count
    pool.add(first)
    this.#report()
    const leaving = new AbortController()
    const lookingUp = this.#lookUpRest(children, pool, leaving.signal).catch(error =>
      this.#scheduler.fail(error)
    )
    try {
      await this.#fetchPool(pool)
    } finally {
      leaving.abort(new Error('the fetch has ended'))
      await lookingUp
    }
    tally.blobs = tally.blobsDone
    this.#report()
  }

  /** Looks up the next page as soon as all of the one before is being asked for. */
  async #lookUpRest(children: Children, pool: Pool, signal: AbortSignal): Promise<void> {
    while (!children.isAtEnd) {
      await pool.untilTaken(signal)
      pool.add(await children.next(pool, signal))
      this.#scheduler.wake()
    }
    pool.close()
    this.#scheduler.wake()
  }

  /** Asks for the last chunk of every child that is missing: its proof tells the size. */
  async #learnTotal(missing: readonly Item[]): Promise<void> {
    const sizes = new Map<number, number>()
    const pool = this.#pool()
    pool.add(
      missing.map(({ index, hash }) => new Item({ index, hash, ranges: ChunkRanges.last, isLarge: false }))
    )
    pool.close()
    const landing = sizesLanding(({ index }, size) => sizes.set(index, size))
    try {
      await this.#scheduler.run({ pool, landing, isOptional: true })
    } catch (error) {
      // Where several may have it, one may still have what is asked for next.
      if (this.signal.aborted || this.#scheduler.isAlone) throw error
      return
    }
    let total = this.#tally.received + this.#tally.had
    for (const item of missing) {
      item.size = sizes.get(item.index)
      item.isSizeProven = true
      total += bytesWithin(item.wanted, item.size!)
    }
    this.#tally.total = total
    this.#report()
  }

  #pool(onDone?: () => void): Pool {
    return new Pool({ rangesPerRequest: this.#job.rangesPerRequest ?? RANGES_PER_REQUEST, onDone })
  }

  /** @param mayWrite is waited for before anything is written */
  async #fetchPool(
    pool: Pool,
    onSize: (size: number) => void = () => undefined,
    mayWrite?: Promise<void>
  ): Promise<void> {
    this.signal.throwIfAborted()
    const landing = storeLanding({
      store: this.#context.store,
      pool,
      mayWrite,
      onSize,
      onLarge: task => this.#scheduler.shorten(task),
      onBytes: bytes => {
        this.#tally.received += bytes
      },
      onStoreError: error => this.#scheduler.fail(error)
    })
    await this.#scheduler.run({
      pool,
      landing,
      onLost: bytes => {
        this.#tally.received -= bytes
      }
    })
  }

  #report(): void {
    this.#job.onProgress(this.#tally.progress(this.#job.hash, this.#scheduler.activeCount))
  }
}
