/** Work that may find all it needs at hand, and would hold up the event loop until it is done with all of it. */

/** After what has arrived by now was read; in a browser, a millisecond later. */
export const nextTurn: (run: () => void) => void =
  typeof setImmediate === 'function' ? setImmediate : run => setTimeout(run, 0)

/** Milliseconds after which others have their turn. */
const TURN_MS = 5

export class FairTurns {
  #since = performance.now()

  /** Whether it is the others' turn. */
  get isOver(): boolean {
    return performance.now() - this.#since >= TURN_MS
  }

  async next(): Promise<void> {
    await new Promise<void>(nextTurn)
    this.#since = performance.now()
  }
}
