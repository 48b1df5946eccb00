/**
 * Shares the turns of the event loop among all who write.
 *
 * When many connections take more at the same time, Node tells all of them within one turn. Each then encrypts a piece, and reads
 * and hashes the next one: with 200 of them everything else would wait for a quarter of a second.
 */

/** How long writing may go on within one turn, in ms. What it brings about, such as hashing the next piece, comes on top. */
const TURN_MS = 5

/** Browsers have none; they have no sockets either that could all be ready in one turn. */
const nextTurn: (callback: () => void) => unknown = globalThis.setImmediate ?? setTimeout

export class Turns {
  /** When the first one wrote in this turn, if somebody has. */
  #since: number | undefined
  readonly #waiting: (() => void)[] = []

  /** Does `write` at once when there is time left in this turn, or in one of the next, in the order of the calls. */
  async write(write: () => void): Promise<void> {
    if (this.#waiting.length === 0 && this.#hasTime()) {
      write()
      return
    }
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          write()
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  #hasTime(): boolean {
    if (this.#since !== undefined) return performance.now() - this.#since < TURN_MS
    this.#since = performance.now()
    nextTurn(this.#begin)
    return true
  }

  readonly #begin = (): void => {
    this.#since = undefined
    while (this.#waiting.length > 0 && this.#hasTime()) this.#waiting.shift()!()
  }
}
