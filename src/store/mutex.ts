/** One at a time, per key. */
import { abortable } from './waiting.ts'

export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>()

  /**
   * Runs `action` when all that was asked for before under the same key has ended. Not to be nested.
   *
   * @throws the signal's reason when it aborts while waiting for that
   */
  async run<T>(key: string, action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#tails.get(key)
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    // Who gives up waiting leaves the line as it is: those behind wait for those before.
    const tail = before === undefined ? ended : before.then(() => ended)
    this.#tails.set(key, tail)
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    })
    try {
      if (before !== undefined) await abortable(before, signal)
      else signal?.throwIfAborted()
      return await action()
    } finally {
      end()
    }
  }
}
