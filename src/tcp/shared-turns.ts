/** How connections share the turns of the event loop, of all that have been read for. */

/** Milliseconds of a turn in which they hand out what has come. What a few of them get takes less. */
const TURN_MS = 5

/**
 * Hundreds of connections may be read for in one turn, and each hands out what begins a stream, or is hashed at once: all of that in one
 * turn holds up everything else for a tenth of a second. So when it has taken long enough, the others have the next turn.
 */
export class SharedTurns {
  /** Each has an immediate of its own, but that is for who has waited longest: whose own comes too early in each turn would never be let in. */
  readonly #waiting: (() => void)[] = []
  /** When the first has begun to hand out, in this turn. */
  #since: number | undefined
  #isOver = false

  /** Calls it when all has been read that has come by now, or in one of the next turns, in the order of the calls. */
  soon(handOut: () => void): void {
    if (this.#waiting.push(handOut) === 1) this.#since = undefined
    setImmediate(this.#inTurn)
  }

  readonly #inTurn = (): void => {
    const now = performance.now()
    this.#since ??= now
    if (now - this.#since < TURN_MS) {
      this.#waiting.shift()!()
      return
    }
    if (!this.#isOver) {
      this.#isOver = true
      setImmediate(this.#beginNext)
    }
    setImmediate(this.#inTurn)
  }

  readonly #beginNext = (): void => {
    this.#isOver = false
    this.#since = undefined
  }
}
