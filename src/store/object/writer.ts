/** Writes to one blob. */
import type { Verified } from '../../bao/decoder.ts'
import { groupCount } from '../../bao/geometry.ts'
import type { Hash } from '../../hash.ts'
import { BlobDeletedError, HandleClosedError } from '../errors.ts'
import type { BlobStatus, BlobWriter, WaitOptions } from '../index.ts'
import { isNothing, keepGroups } from '../kept-groups.ts'
import type { Lifetime } from '../lifetime.ts'
import { abortable } from '../waiting.ts'
import type { Arrival } from './arrival.ts'
import type { Arrivals } from './arrivals.ts'

/** What a writer needs of its store. */
export interface WriterHome {
  readonly lifetime: Lifetime
  readonly arrivals: Arrivals
  /** Adds a blob of one chunk group, which is never partial. */
  readonly place: (bytes: Uint8Array) => Promise<void>
  readonly status: () => Promise<BlobStatus>
  readonly onClose: (writer: ObjectWriter) => void
}

export class ObjectWriter implements BlobWriter {
  readonly hash: Hash
  readonly size: number
  readonly #home: WriterHome
  /** Undefined until there is something to write: a claimed size alone makes and discards nothing. */
  #attaching: Promise<Arrival | undefined> | undefined
  #isComplete = false
  /** The writes so far. They go on at the same time, but none has succeeded when one before it has failed. */
  #tail: Promise<void> = Promise.resolve()
  #failure: unknown
  #closing: Promise<BlobStatus> | undefined

  constructor(hash: Hash, size: number, home: WriterHome) {
    this.hash = hash
    this.size = size
    this.#home = home
  }

  async write(verified: Verified, options: WaitOptions = {}): Promise<void> {
    this.#home.lifetime.check()
    if (this.#closing !== undefined) throw new HandleClosedError('writer', this.hash)
    const before = this.#tail
    const writing = this.#write(verified, before, options.signal)
    // The failure is remembered, and thrown by this write and all that follow.
    const settled = writing.catch(error => {
      this.#failure ??= error
    })
    this.#tail = before.then(() => settled)
    await writing
  }

  async close(): Promise<BlobStatus> {
    this.#closing ??= this.#close()
    return await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @param before the writes before, which never fail */
  async #write(verified: Verified, before: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    this.#check(signal)
    if (groupCount(this.size) === 1) {
      await abortable(before, signal)
      this.#check(signal)
      if (!this.#isComplete) await this.#writeSmall(verified)
      return
    }
    if (!this.#isComplete && !isNothing(verified, this.size)) {
      this.#attaching ??= this.#home.arrivals.attach(this.hash, this.size, signal)
      const arrival = await abortable(this.#attaching, signal)
      this.#isComplete = arrival === undefined
      await arrival?.write(verified, signal)
    }
    await abortable(before, signal)
    this.#check(signal)
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#failure !== undefined) throw this.#failure
    signal?.throwIfAborted()
  }

  async #writeSmall(verified: Verified): Promise<void> {
    const [run] = keepGroups(verified.leaves, this.size).runs
    if (run === undefined) return
    await this.#home.place(run.pieces[0]!)
    this.#isComplete = true
  }

  async #close(): Promise<BlobStatus> {
    await this.#tail
    try {
      const arrival = await this.#attaching?.catch(() => undefined)
      if (arrival !== undefined) {
        await this.#home.arrivals.release(arrival)
        // What was written has been lost since: no write was there to tell of it.
        const isLost = arrival.hasFailed && this.#failure === undefined
        if (isLost && !(arrival.failure instanceof BlobDeletedError)) throw arrival.failure
      }
      return await this.#home.status()
    } finally {
      this.#home.onClose(this)
    }
  }
}
