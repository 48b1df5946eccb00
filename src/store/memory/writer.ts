/** Writes to one blob of a MemoryStore. */
import type { Verified } from '../../bao/decoder.ts'
import type { Hash } from '../../hash.ts'
import { BlobDeletedError, HandleClosedError } from '../errors.ts'
import type { BlobStatus, BlobWriter, WaitOptions } from '../index.ts'
import { isNothing } from '../kept-groups.ts'
import type { Lifetime } from '../lifetime.ts'
import type { MemoryBlob } from './blob.ts'

/** What a writer needs of its store. */
export interface WriterHome {
  find(hash: Hash): MemoryBlob | undefined
  /** The blob to write to; makes it, and discards one of another size that is not proven. */
  findOrMake(hash: Hash, size: number): MemoryBlob
  write(hash: Hash, blob: MemoryBlob, verified: Verified): void
  /** Told of a writer's end. */
  release(hash: Hash, blob: MemoryBlob | undefined): BlobStatus
  readonly lifetime: Lifetime
}

export class MemoryWriter implements BlobWriter {
  readonly hash: Hash
  readonly size: number
  readonly #home: WriterHome
  /** Undefined until there is something to write: a claimed size alone discards nothing. */
  #blob: MemoryBlob | undefined
  #failure: unknown
  #closed: BlobStatus | undefined

  constructor(hash: Hash, size: number, home: WriterHome) {
    this.hash = hash
    this.size = size
    this.#home = home
    const blob = home.find(hash)
    if (blob?.size === size) this.#attach(blob)
  }

  async write(verified: Verified, options: WaitOptions = {}): Promise<void> {
    this.#home.lifetime.check()
    if (this.#closed !== undefined) throw new HandleClosedError('writer', this.hash)
    if (this.#failure !== undefined) throw this.#failure
    try {
      options.signal?.throwIfAborted()
      if (isNothing(verified, this.size)) return
      if (this.#blob === undefined) this.#attach(this.#home.findOrMake(this.hash, this.size))
      this.#home.write(this.hash, this.#current(this.#blob!), verified)
    } catch (error) {
      // What this writer has dropped may be what its next groups hang on.
      this.#failure = error
      throw error
    }
  }

  async close(): Promise<BlobStatus> {
    if (this.#closed === undefined) {
      this.#blob?.leave('writer')
      this.#closed = this.#home.release(this.hash, this.#blob)
    }
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #attach(blob: MemoryBlob): void {
    this.#blob = blob
    blob.enter('writer')
  }

  #current(mine: MemoryBlob): MemoryBlob {
    const current = this.#home.find(this.hash)
    if (current === mine) return current
    // The whole of it may have been added meanwhile: all that this writer brings is there then.
    if (current?.size === this.size && current.status.state === 'complete') return current
    throw new BlobDeletedError(this.hash)
  }
}
