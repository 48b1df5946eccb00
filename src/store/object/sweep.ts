/** One collection of garbage. What is protected is compared with what was known in the very transaction that forgets a blob. */
import type { Hash } from '../../hash.ts'
import { HandleClosedError } from '../errors.ts'
import type { Root, Sweep, WaitOptions } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import type { Metadata } from './metadata/index.ts'

/** Roots that are read at a time. */
const PAGE = 1000

/** Blobs that are deleted at the same time: a bucket may be far away. */
const AT_ONCE = 8

export interface SweepHome {
  readonly metadata: Metadata
  readonly lifetime: Lifetime
  /**
   * Deletes a blob unless it is being written, or `isStale` says so, which is asked in the transaction that forgets it.
   *
   * @returns what has become of it
   */
  remove(hash: Hash, isStale: () => boolean): Promise<'gone' | 'kept' | 'stale'>
}

export class ObjectSweep implements Sweep {
  readonly #home: SweepHome
  /** Up to which change everything that is protected has been told. */
  #told = 0
  #isClosed = false

  constructor(home: SweepHome) {
    this.#home = home
  }

  async *roots(options: WaitOptions = {}): AsyncGenerator<Root, void, undefined> {
    const upTo = this.#home.metadata.protectionSeq()
    for (let after = 0; after < upTo; ) {
      this.#home.lifetime.check(options.signal)
      const { roots, last } = this.#home.metadata.protectedBetween(after, upTo, PAGE)
      yield* roots
      after = last
    }
    this.#told = upTo
  }

  async delete(
    hashes: readonly Hash[],
    hold: (fresh: readonly Root[]) => Promise<ReadonlySet<string>>
  ): Promise<readonly Hash[]> {
    const gone: Hash[] = []
    let left = [...hashes]
    while (left.length > 0) {
      const held = await this.#catchUp(hold)
      const queue = left.filter(hash => !held.has(hash.toString()))
      left = []
      const isStale = (): boolean => this.#home.metadata.protectionSeq() !== this.#told
      const worker = async (): Promise<void> => {
        for (let hash = queue.shift(); hash !== undefined; hash = queue.shift()) {
          const outcome = await this.#home.remove(hash, isStale)
          if (outcome === 'gone') gone.push(hash)
          if (outcome === 'stale') left.push(hash)
        }
      }
      const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker))
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    }
    return gone
  }

  async close(): Promise<void> {
    // There is nothing to give up: what is protected is in the index.
    this.#isClosed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Tells `hold` what has come since. */
  async #catchUp(hold: (fresh: readonly Root[]) => Promise<ReadonlySet<string>>): Promise<Set<string>> {
    const held = new Set<string>()
    for (;;) {
      this.#home.lifetime.check()
      if (this.#isClosed) throw new HandleClosedError('collection of garbage')
      const upTo = this.#home.metadata.protectionSeq()
      if (upTo === this.#told) return held
      const { roots, last } = this.#home.metadata.protectedBetween(this.#told, upTo, PAGE)
      for (const hex of await hold(roots)) held.add(hex)
      this.#told = last
    }
  }
}
