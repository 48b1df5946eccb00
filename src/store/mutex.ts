/** One at a time, per key. */
import { abortable } from './waiting.ts'

export class KeyedMutex {
  readonly #last = new Map<string, Turn>()

  /**
   * Runs `action` when all that was asked for before under the same key has ended. Not to be nested.
   *
   * @throws the signal's reason when it aborts while waiting for that
   */
  async run<T>(key: string, action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last.get(key)
    const turn = new Turn()
    this.#last.set(key, turn)
    try {
      if (before !== undefined) await abortable(before.untilOver(), signal)
      else signal?.throwIfAborted()
      return await action()
    } finally {
      // Who gives up waiting leaves the line as it is: those behind wait for those before.
      if (before?.isOver === false) void before.untilOver().then(() => this.#end(key, turn))
      else this.#end(key, turn)
    }
  }

  #end(key: string, turn: Turn): void {
    turn.end()
    if (this.#last.get(key) === turn) this.#last.delete(key)
  }
}

/** Most turns are over before anybody waits for them: for these no promise is made. */
class Turn {
  isOver = false
  #over: PromiseWithResolvers<void> | undefined

  async untilOver(): Promise<void> {
    if (this.isOver) return
    this.#over ??= Promise.withResolvers()
    await this.#over.promise
  }

  end(): void {
    this.isOver = true
    this.#over?.resolve()
  }
}
