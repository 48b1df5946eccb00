/** So many at a time and no more; who comes later waits in line. */

export class Limiter {
  #free: number
  readonly #waiting: (() => void)[] = []

  /** @param most how many may run at once */
  constructor(most: number) {
    this.#free = most
  }

  /** @throws the signal's reason when it aborts while waiting in line */
  async run<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    if (this.#free > 0) this.#free--
    else await this.#turn(signal)
    try {
      return await action()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = () => {
      const place = this.#waiting.indexOf(resolve)
      // Not in line any more: the turn has come, and is passed on by whoever runs.
      if (place < 0) return
      this.#waiting.splice(place, 1)
      reject(signal?.reason)
    }
    this.#waiting.push(resolve)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }
}
