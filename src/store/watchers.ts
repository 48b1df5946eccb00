/** Tells those who observe a blob when its status changes. */
import type { Hash } from '../hash.ts'
import type { BlobStatus } from './index.ts'
import { isSameStatus } from './status.ts'
import { pause } from './waiting.ts'

/** Changes that follow each other faster than this many milliseconds are reported as one. */
export const REPORT_INTERVAL_MS = 50

/**
 * How often, in milliseconds, the status is looked up without having been told of a change, where others than this process
 * can change it.
 */
export const POLL_INTERVAL_MS = 1000

export interface ObserveOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds; without it, only changes that {@link StatusWatchers.notify} tells of are seen. */
  readonly pollMs?: number | undefined
}

export class StatusWatchers {
  readonly #wakers = new Map<string, Set<() => void>>()

  /** To be called whenever a blob's status may have changed. Costs next to nothing when nobody observes it. */
  notify(hash: Hash): void {
    if (this.#wakers.size === 0) return
    for (const wake of this.#wakers.get(hash.toString()) ?? []) wake()
  }

  /** Makes all observers look again: when the store closes, they meet its error. */
  notifyAll(): void {
    for (const wakers of this.#wakers.values()) for (const wake of wakers) wake()
  }

  /** What `BlobStore.observe` promises, given how to look the status up. */
  async *observe(
    hash: Hash,
    look: () => Promise<BlobStatus>,
    options: ObserveOptions = {}
  ): AsyncGenerator<BlobStatus, void, undefined> {
    const { signal, pollMs } = options
    const bell = new Bell()
    const wake = () => bell.ring()
    this.#add(hash, wake)
    signal?.addEventListener('abort', wake)
    try {
      let reported: BlobStatus | undefined
      while (!signal?.aborted) {
        bell.reset()
        const status = await look()
        if (signal?.aborted) return
        if (reported === undefined || !isSameStatus(reported, status)) {
          reported = status
          yield status
          if (signal?.aborted) return
          await pause(REPORT_INTERVAL_MS, signal)
        }
        await bell.wait(pollMs)
      }
    } finally {
      signal?.removeEventListener('abort', wake)
      this.#remove(hash, wake)
    }
  }

  #add(hash: Hash, wake: () => void): void {
    const key = hash.toString()
    const wakers = this.#wakers.get(key) ?? new Set()
    this.#wakers.set(key, wakers.add(wake))
  }

  #remove(hash: Hash, wake: () => void): void {
    const wakers = this.#wakers.get(hash.toString())
    wakers?.delete(wake)
    if (wakers?.size === 0) this.#wakers.delete(hash.toString())
  }
}

/** Remembers that it was rung while nobody was waiting. */
class Bell {
  #ring = Promise.withResolvers<void>()

  ring(): void {
    this.#ring.resolve()
  }

  reset(): void {
    this.#ring = Promise.withResolvers<void>()
  }

  async wait(atMostMs: number | undefined): Promise<void> {
    if (atMostMs === undefined) return await this.#ring.promise
    const timer = setTimeout(() => this.ring(), atMostMs)
    await this.#ring.promise
    clearTimeout(timer)
  }
}
