/** How fast a provider sends: bytes per second of the last few seconds in which it was asked for something. */

/** What happened so many ms ago counts half as much as what happens now. */
const HALF_LIFE_MS = 2_000

/** After so many ms a speed can be told, whatever it is. */
const ENOUGH_MS = 1_000

/** And sooner when so many bytes have come: of a few, most of the time went by until the first of them. */
const ENOUGH_BYTES = 256 * 1024

export class Speed {
  #bytes = 0
  #ms = 0
  #at = 0
  #isRunning = false

  /** The provider has something to do from now on, or has not any more. */
  run(isRunning: boolean, now = performance.now()): void {
    this.#advance(now)
    this.#isRunning = isRunning
  }

  add(bytes: number, now = performance.now()): void {
    this.#advance(now)
    this.#bytes += bytes
  }

  /** Bytes per second; undefined as long as nobody knows. */
  rate(now = performance.now()): number | undefined {
    this.#advance(now)
    if (this.#ms < ENOUGH_MS && this.#bytes < ENOUGH_BYTES) return undefined
    return (this.#bytes / Math.max(1, this.#ms)) * 1000
  }

  #advance(now: number): void {
    const ms = now - this.#at
    this.#at = now
    if (!this.#isRunning) return
    const fade = 2 ** (-ms / HALF_LIFE_MS)
    this.#bytes *= fade
    this.#ms = this.#ms * fade + ms
  }
}
