/** One at a time, per key. */

export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>()

  /** Runs `action` when all that was asked for before under the same key has ended. Not to be nested. */
  async run<T>(key: string, action: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve()
    const running = before.then(action)
    const settle = () => undefined
    const tail = running.then(settle, settle)
    this.#tails.set(key, tail)
    try {
      return await running
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
  }
}
