/** Working in short turns, so that what else goes on in the process comes through. */
import { setImmediate } from 'node:timers/promises'
import { pause } from '../../store/waiting.ts'

/** Milliseconds for which others are kept waiting. */
const TURN_MS = 5

export interface PaceOptions {
  /** The part of the time that is spent on it, above 0 and up to 1; the rest is left to others. */
  readonly share?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export class Pace {
  readonly #share: number
  readonly #signal: AbortSignal | undefined
  #since = performance.now()

  constructor({ share = 1, signal }: PaceOptions) {
    if (!(share > 0 && share <= 1)) throw new RangeError(`a share is above 0 and at most 1, not ${share}`)
    this.#share = share
    this.#signal = signal
  }

  /** To be called often. @throws the signal's reason when it has aborted */
  async breathe(): Promise<void> {
    this.#signal?.throwIfAborted()
    const worked = performance.now() - this.#since
    if (worked < TURN_MS) return
    if (this.#share === 1) await setImmediate()
    else await pause((worked * (1 - this.#share)) / this.#share, this.#signal)
    this.#signal?.throwIfAborted()
    this.#since = performance.now()
  }
}
