/** The blobs that are arriving in this process. All that makes, completes or deletes objects does it under the blob's mutex. */
import type { Verified } from '../../bao/decoder.ts'
import { isWhole } from '../../bao/geometry.ts'
import { EMPTY_HASH, type Hash } from '../../hash.ts'
import { BlobDeletedError, SizeMismatchError } from '../errors.ts'
import { provesSize } from '../status.ts'
import { Arrival } from './arrival.ts'
import { type OpenBody, openBody } from './body-place.ts'
import type { ObjectContext } from './context.ts'
import { completeArrival, deleteAll } from './finish.ts'
import { Fragments } from './fragments.ts'
import { partialPrefix } from './layout.ts'
import type { Lookup } from './lookup.ts'
import { ObjectNotFoundError } from './storage/errors.ts'

/** How often the storage is asked anew when what the index says of a blob is not there. */
const MOST_LOOKS = 4

export class Arrivals {
  readonly #context: ObjectContext
  readonly #lookup: Lookup
  readonly #live = new Map<string, Arrival>()

  constructor(context: ObjectContext, lookup: Lookup) {
    this.#context = context
    this.#lookup = lookup
  }

  /** The blob that is arriving, if it is in this process. */
  find(hash: Hash): Arrival | undefined {
    return this.#live.get(hash.toString())
  }

  all(): Iterable<Arrival> {
    return this.#live.values()
  }

  /** @throws SizeMismatchError when the blob is known to have another size */
  checkSize(hash: Hash, size: number): void {
    if (hash.equals(EMPTY_HASH)) {
      if (size !== 0) throw new SizeMismatchError(hash, size, 0)
      return
    }
    const row = this.#context.metadata.find(hash)
    if (row?.state === 'complete') {
      if (row.size !== size) throw new SizeMismatchError(hash, size, row.size)
      return
    }
    const live = this.find(hash)
    if (live?.hasFailed === false && live.size !== size && provesSize(live.held, live.size))
      throw new SizeMismatchError(hash, size, live.size)
    if (row !== undefined && row.size !== size) {
      const { held } = new Fragments(hash, row.size, this.#context.metadata.fragments(hash))
      if (provesSize(held, row.size)) throw new SizeMismatchError(hash, size, row.size)
    }
  }

  /**
   * Lets a writer take part in a blob's arrival. A partial blob of another, unproven size is discarded.
   *
   * @returns undefined when the blob is complete
   * @throws the signal's reason when it aborts while others are at the blob; ObjectNotFoundError when what the index said to be held
   *   turns out to be gone: whoever is about to write goes by what it said. It is right after that
   */
  async attach(hash: Hash, size: number, signal?: AbortSignal): Promise<Arrival | undefined> {
    const attach = async (): Promise<Arrival | undefined> => {
      const { metadata } = this.#context
      // What a lost database has forgotten, or another node has brought, need not be fetched again.
      if (metadata.find(hash) === undefined && this.find(hash) === undefined) await this.#lookup.relook(hash)
      this.checkSize(hash, size)
      const row = metadata.find(hash)
      if (row?.state === 'complete') return undefined
      let live = this.find(hash)
      if (live !== undefined && (live.hasFailed || live.isComplete || live.size !== size)) {
        await this.#abandon(live)
        live = undefined
      }
      if (row !== undefined && row.size !== size) metadata.dropFragments(hash, metadata.fragments(hash))
      live ??= await this.#begin(hash, size, 'all')
      if (live !== undefined) live.users++
      return live
    }
    return await this.exclusively(hash, attach, signal)
  }

  /** Ends a writer's part: completes the blob if it is whole, else saves what is held when nobody else writes. */
  async release(arrival: Arrival): Promise<void> {
    await this.exclusively(arrival.hash, async () => {
      arrival.users--
      try {
        if (arrival.hasFailed) return
        // Completed by somebody else, who may not know of all that was saved here.
        if (this.#isDone(arrival)) arrival.markComplete()
        if (arrival.isComplete) await this.#tidy(arrival)
        else if (arrival.isWhole) await this.#complete(arrival)
        else if (arrival.users === 0) await arrival.save()
      } finally {
        if (arrival.users === 0) {
          if (this.find(arrival.hash) === arrival) this.#live.delete(arrival.hash.toString())
          await arrival.close()
        }
      }
    })
  }

  /** Goes on with what a killed process has begun: completing a blob of which all parts are there. */
  async finishLeftOver(hash: Hash, signal: AbortSignal): Promise<void> {
    const finish = async (): Promise<void> => {
      const row = this.#context.metadata.find(hash)
      if (row?.state !== 'partial' || this.find(hash) !== undefined) return
      const arrival = await this.#begin(hash, row.size)
      if (arrival === undefined) return
      try {
        if (isWhole(arrival.held, row.size)) await this.#complete(arrival, signal)
      } finally {
        this.#live.delete(hash.toString())
        await arrival.close()
      }
    }
    await this.exclusively(hash, finish, signal)
  }

  /**
   * To be called under the mutex: keeps what is proven of a blob that nobody writes. What was written when it fails stays, as far
   * as it is saved. Should it be all of the blob, whoever looks at it next puts it together.
   */
  async keep(
    hash: Hash,
    size: number,
    proven: AsyncIterable<Verified>,
    signal: AbortSignal | undefined
  ): Promise<void> {
    const arrival = await this.#begin(hash, size)
    if (arrival === undefined) return
    try {
      for await (const verified of proven) await arrival.write(verified, signal)
      await arrival.save()
    } finally {
      this.#live.delete(hash.toString())
      await arrival.close()
    }
  }

  /** To be called under the mutex when a blob was completed in another way: those who write it have nothing left to do. */
  onComplete(hash: Hash, size: number): void {
    const live = this.find(hash)
    if (live?.size === size) live.markComplete()
    else live?.fail(new BlobDeletedError(hash))
  }

  /** To be called under the mutex: makes writers fail, and forgets the blob. @returns whether anything was held */
  async abandon(hash: Hash): Promise<boolean> {
    const live = this.find(hash)
    if (live === undefined) return false
    const wasHeld = !live.hasFailed && !live.held.isEmpty
    await this.#abandon(live)
    return wasHeld
  }

  /** @throws the signal's reason when it aborts before the action's turn */
  async exclusively<T>(hash: Hash, action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return await this.#context.mutex.run(hash.toString(), action, signal)
  }

  /**
   * @param counts what of that which the index says is to be there, else it fails
   * @returns undefined when the blob turns out to be complete
   */
  async #begin(hash: Hash, size: number, counts: 'all' | 'any' = 'any'): Promise<Arrival | undefined> {
    for (let look = 1; ; look++) {
      const fragments = new Fragments(hash, size, this.#context.metadata.fragments(hash))
      try {
        const arrival = new Arrival(this.#context, fragments, await this.#openBody(fragments))
        this.#live.set(hash.toString(), arrival)
        return arrival
      } catch (error) {
        if (!(error instanceof ObjectNotFoundError) || look === MOST_LOOKS) throw error
        // Another process may have completed the blob, or deleted it, or begun it anew.
        await this.#lookup.relook(hash)
        if (this.#context.metadata.find(hash)?.state === 'complete') return undefined
        const now = new Fragments(hash, size, this.#context.metadata.fragments(hash))
        if (counts === 'all' && !now.held.containsAll(fragments.held)) throw error
      }
    }
  }

  /** Of blobs of one part what arrives is kept in memory, and put in one go. */
  async #openBody(fragments: Fragments): Promise<OpenBody | undefined> {
    const { storage } = this.#context
    if (storage.files === undefined || fragments.parts.count === 1) return undefined
    return await openBody(storage, storage.files, fragments)
  }

  async #complete(arrival: Arrival, signal?: AbortSignal): Promise<void> {
    await completeArrival(this.#context, arrival, signal).catch(async error => {
      if (this.#isDone(arrival)) return
      // Another process may have been faster, and have taken the fragments away.
      await this.#lookup.relook(arrival.hash)
      if (this.#isDone(arrival)) return await this.#tidy(arrival)
      // What was held is gone: whoever writes from now on begins with what is there.
      if (error instanceof ObjectNotFoundError) arrival.fail(error)
      throw error
    })
    arrival.markComplete()
    this.#context.changed(arrival.hash)
  }

  #isDone({ hash }: Arrival): boolean {
    return this.#context.metadata.find(hash)?.state === 'complete'
  }

  /** Deletes what may be left of a blob that is complete. Should it fail, it does no harm. */
  async #tidy({ hash }: Arrival): Promise<void> {
    await deleteAll(this.#context, partialPrefix(hash)).catch(() => undefined)
  }

  /** Its memory is given back when its writers close. */
  async #abandon(arrival: Arrival): Promise<void> {
    arrival.abandon(new BlobDeletedError(arrival.hash))
    this.#live.delete(arrival.hash.toString())
    await arrival.settle()
  }
}
