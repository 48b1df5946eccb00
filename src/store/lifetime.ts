/** From when a store is opened until it is closed: what may begin, and what its end has to wait for. */
import { StoreClosedError } from './errors.ts'

export class Lifetime {
  readonly #controller = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  get isOver(): boolean {
    return this.#controller.signal.aborted
  }

  /** @throws StoreClosedError after the end, else the signal's reason when it has aborted */
  check(signal?: AbortSignal): void {
    if (this.isOver) throw new StoreClosedError()
    signal?.throwIfAborted()
  }

  /**
   * Runs something that the end waits for, and asks to stop.
   *
   * @param signal the caller's
   * @param action gets a signal that aborts with the caller's reason, or with a StoreClosedError at the end
   */
  async run<T>(signal: AbortSignal | undefined, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const ending = this.#controller.signal
    return await this.runShort(signal, () =>
      action(signal === undefined ? ending : AbortSignal.any([ending, signal]))
    )
  }

  /** Runs something so short that nobody asks it to stop; the end waits for it all the same. */
  async runShort<T>(signal: AbortSignal | undefined, action: () => Promise<T>): Promise<T> {
    this.check(signal)
    const running = action()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Ends it, and waits for what is running. May be called again. */
  async end(): Promise<void> {
    if (!this.isOver) this.#controller.abort(new StoreClosedError())
    await Promise.allSettled(this.#running)
  }
}
