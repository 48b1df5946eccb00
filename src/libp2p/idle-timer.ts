/** One timer for many waits: a transfer waits ten thousand times for half a gigabyte, and none of them takes long. */

export class IdleTimer {
  readonly #ms: number
  readonly #onExpired: () => void
  /** When the wait has begun, if somebody waits. */
  #since: number | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  /** @param onExpired called once for each wait that takes longer than `ms`, unless it has ended by then */
  constructor(ms: number, onExpired: () => void) {
    this.#ms = ms
    this.#onExpired = onExpired
  }

  begin(): void {
    this.#since = performance.now()
    this.#timer ??= setTimeout(this.#look, this.#ms)
  }

  /** The timer goes on, for the next wait. */
  end(): void {
    this.#since = undefined
  }

  /** There is nothing to wait for any more: keeps no process alive. */
  stop(): void {
    this.#since = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  readonly #look = (): void => {
    this.#timer = undefined
    if (this.#since === undefined) return
    const left = this.#since + this.#ms - performance.now()
    if (left > 0) {
      this.#timer = setTimeout(this.#look, Math.ceil(left))
      return
    }
    this.#since = undefined
    this.#onExpired()
  }
}
