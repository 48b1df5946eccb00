/** Lets others have their turn: looking at files synchronously is quick, looking at a million of them is not. */
import { setImmediate } from 'node:timers/promises'

/** Milliseconds for which others are kept waiting. */
const TURN_MS = 5

export class Breather {
  readonly #signal: AbortSignal | undefined
  #since = performance.now()

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  /** To be called often. @throws the signal's reason when it has aborted */
  async breathe(): Promise<void> {
    this.#signal?.throwIfAborted()
    if (performance.now() - this.#since < TURN_MS) return
    await setImmediate()
    this.#since = performance.now()
    this.#signal?.throwIfAborted()
  }
}
