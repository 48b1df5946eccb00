/**
 * Whether a disk is so quick that the main thread had better wait for it itself: to hand a call to another thread and to be told of
 * its end takes as long as such a disk, and JavaScript on top.
 */

/** A call that took longer has held up all else for longer than it would have taken to hand it on, in ms. */
const SLOW_MS = 3

/** So many are no coincidence, as the system doing something else just then. */
const SLOW_CALLS = 2

/** Quick calls that make up for a slow one. When only some of the files are in the system's memory, slow calls come between quick ones. */
const QUICK_FOR_SLOW = 64

/** So many times as long as a slow call took, others wait instead: so a slow disk holds up the main thread for a hundredth of its time. */
const AVOID_TIMES = 100

/** Milliseconds in one turn of the event loop after which no further call is made in it: calls that are not slow add up, too. */
const MOST_IN_TURN_MS = 3

export class DiskPace {
  #slowCalls = 0
  #avoidUntil = 0
  #isTurnTimed = false
  #inTurnMs = 0

  get isQuick(): boolean {
    if (this.#inTurnMs >= MOST_IN_TURN_MS) return false
    return this.#slowCalls < SLOW_CALLS || performance.now() >= this.#avoidUntil
  }

  /** Whether something was done in this turn of the event loop. */
  get isInTurn(): boolean {
    return this.#isTurnTimed
  }

  /** Does something that waits for the disk, and takes note of how long. */
  time<T>(action: () => T): T {
    const start = performance.now()
    try {
      return action()
    } finally {
      const end = performance.now()
      this.#note(end - start, end)
    }
  }

  #note(ms: number, now: number): void {
    this.#timeTurn(ms)
    if (ms > SLOW_MS) {
      this.#slowCalls = Math.min(SLOW_CALLS, this.#slowCalls + 1)
      this.#avoidUntil = now + AVOID_TIMES * ms
    } else this.#slowCalls = Math.max(0, this.#slowCalls - 1 / QUICK_FOR_SLOW)
  }

  #timeTurn(ms: number): void {
    this.#inTurnMs += ms
    if (this.#isTurnTimed) return
    this.#isTurnTimed = true
    setImmediate(() => {
      this.#isTurnTimed = false
      this.#inTurnMs = 0
    })
  }
}
