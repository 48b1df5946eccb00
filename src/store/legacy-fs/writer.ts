/** Writes to a blob of more than one chunk group. Smaller ones have a writer of their own, `small/small-writer.ts`. */
import type { Verified } from '../../bao/decoder.ts'
import type { Hash } from '../../hash.ts'
import { HandleClosedError } from '../errors.ts'
import { explained } from '../fs-errors.ts'
import type { BlobStatus, BlobWriter, WaitOptions } from '../index.ts'
import { isNothing } from '../kept-groups.ts'
import type { Lifetime } from '../lifetime.ts'
import type { PartialBlob } from './partial.ts'
import type { Partials } from './partials.ts'

/** What writers need of their store. */
export interface WriterHome {
  readonly lifetime: Lifetime
  readonly partials: Partials
  /**
   * Adds a blob of one chunk group, which is never partial.
   *
   * @param wasAbsent whether there was nothing of it a moment ago
   */
  readonly place: (hash: Hash, bytes: Uint8Array, wasAbsent: boolean) => Promise<void>
  readonly status: (hash: Hash) => Promise<BlobStatus>
  readonly onClose: (writer: BlobWriter) => void
}

export class FsWriter implements BlobWriter {
  readonly hash: Hash
  readonly size: number
  readonly #home: WriterHome
  /** Undefined until there is something to write: a claimed size alone makes and discards nothing. */
  #blob: PartialBlob | undefined
  #attaching: Promise<PartialBlob | undefined> | undefined
  #isComplete = false
  /** The writes so far. They go on at the same time, but groups count when the parents above them, which came before, are written. */
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
    const writing = this.#write(verified, options.signal, async () => {
      await before
      if (this.#failure !== undefined) throw this.#failure
    })
    // The failure is remembered, and thrown by this write and all that follow.
    this.#tail = writing
      .catch(error => {
        this.#failure ??= error
      })
      .then(() => before)
    await writing
  }

  async close(): Promise<BlobStatus> {
    this.#closing ??= this.#close()
    return await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @param beforeIsDone rejects with the failure of a write before */
  async #write(
    verified: Verified,
    signal: AbortSignal | undefined,
    beforeIsDone: () => Promise<void>
  ): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    signal?.throwIfAborted()
    if (this.#isComplete || isNothing(verified, this.size)) return await beforeIsDone()
    this.#attaching ??= this.#attach()
    const blob = await this.#attaching
    await (blob === undefined ? beforeIsDone() : blob.write(verified, beforeIsDone))
  }

  async #attach(): Promise<PartialBlob | undefined> {
    this.#blob = await explained(`cannot write to blob ${this.hash}`, () =>
      this.#home.partials.attach(this.hash, this.size)
    )
    this.#isComplete = this.#blob === undefined
    return this.#blob
  }

  async #close(): Promise<BlobStatus> {
    await this.#tail
    try {
      if (this.#blob !== undefined) await this.#home.partials.release(this.#blob)
      return await this.#home.status(this.hash)
    } finally {
      this.#home.onClose(this)
    }
  }
}
