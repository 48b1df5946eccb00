/**
 * Whether a disk is so quick that the main thread had better wait for it itself: to hand a call to another thread and to be told of
 * its end takes as long as such a disk, and JavaScript on top.
 */

/** A call that took longer has held up all else for longer than it would have taken to hand it on, in ms. */
const SLOW_MS = 3

/** So many one after the other are no coincidence, as the system doing something else just then. */
const SLOW_CALLS = 2

/** So many times as long as a slow call took, others wait instead: so a slow disk holds up the main thread for a hundredth of its time. */
const AVOID_TIMES = 100

export class DiskPace {
  #slowCalls = 0
  #avoidUntil = 0

  get isQuick(): boolean {
    return this.#slowCalls < SLOW_CALLS || performance.now() >= this.#avoidUntil
  }

  /** Does something that waits for the disk, and takes note of how long. */
  time<T>(action: () => T): T {
    const start = performance.now()
    try {
      return action()
    } finally {
      const end = performance.now()
      const isSlow = end - start > SLOW_MS
      this.#slowCalls = isSlow ? this.#slowCalls + 1 : 0
      if (isSlow) this.#avoidUntil = end + AVOID_TIMES * (end - start)
    }
  }
}
