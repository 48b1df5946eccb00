/**
 * Whether a disk is so quick that the main thread had better wait for it itself: to hand a call to another thread and to be told of
 * its end takes as long as such a disk, and JavaScript on top.
 */

/** A call that took longer has held up all else for longer than it would have taken to hand it on, in ms. */
const SLOW_MS = 3

/** So many one after the other are no coincidence, as the system doing something else just then. */
const SLOW_CALLS = 2

/** For how long after that others wait instead, in ms: then a slow disk holds up the main thread once in all that time. */
const AVOID_MS = 5000

export class DiskPace {
  #slowCalls = 0
  #slowAt = 0

  get isQuick(): boolean {
    return this.#slowCalls < SLOW_CALLS || performance.now() - this.#slowAt > AVOID_MS
  }

  /** Does something that waits for the disk, and takes note of how long. */
  time<T>(action: () => T): T {
    const start = performance.now()
    try {
      return action()
    } finally {
      const end = performance.now()
      if (end - start > SLOW_MS) {
        this.#slowCalls++
        this.#slowAt = end
      } else {
        this.#slowCalls = 0
      }
    }
  }
}
