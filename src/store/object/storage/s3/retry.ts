/** Trying again, with growing and random pauses, until it works or it has taken too long. */
import { setTimeout as sleep } from 'node:timers/promises'
import { FIRST_BACKOFF_MS, MAX_BACKOFF_MS } from './constants.ts'
import { S3Failure } from './failure.ts'

export class Tries {
  readonly #forMs: number
  readonly #signal: AbortSignal
  #failures = 0
  #deadline: number | undefined

  /** @param forMs how long, from the first failure on, to try again */
  constructor(forMs: number, signal: AbortSignal) {
    this.#forMs = forMs
    this.#signal = signal
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures
  }

  /** Something of the work is done, so that the next failure is the first one again. */
  progressed(): void {
    this.#failures = 0
    this.#deadline = undefined
  }

  /** Waits until it is time for another try. @throws what failed, when there is none; the signal's reason */
  async failed(failure: unknown): Promise<void> {
    this.#signal.throwIfAborted()
    if (!(failure instanceof S3Failure) || !failure.isPassing) throw failure
    const isFirst = this.#failures++ === 0
    const now = performance.now()
    this.#deadline ??= now + this.#forMs
    // A socket that had been idle, and was closed just then, says nothing about the server.
    if (failure.isStale && isFirst) return
    const bound = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(this.#failures, 10))
    const pause = Math.random() * bound
    if (now + pause > this.#deadline) throw failure
    try {
      await sleep(pause, undefined, { signal: this.#signal })
    } catch {
      throw this.#signal.reason
    }
  }
}
