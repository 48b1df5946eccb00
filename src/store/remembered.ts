/** An answer that takes some time to find, and is kept for a while. */
import type { WaitOptions } from './index.ts'
import { abortable } from './waiting.ts'

/** Milliseconds for which an answer is good, and at least this many times as long as it took to find. */
const GOOD_FOR_MS = 2_000
const TIMES_AS_LONG = 10

export class Remembered<T> {
  readonly #find: () => Promise<T>
  #finding: Promise<T> | undefined
  #found: { readonly value: T } | undefined
  #goodUntil = 0

  constructor(find: () => Promise<T>) {
    this.#find = find
  }

  /**
   * One look serves all who ask meanwhile.
   *
   * @param options `isFresh`: an answer that was found before will not do
   */
  async get({
    isFresh = false,
    signal
  }: WaitOptions & { readonly isFresh?: boolean | undefined } = {}): Promise<T> {
    if (!isFresh && this.#found !== undefined && performance.now() < this.#goodUntil) return this.#found.value
    // One that began before may have missed what the caller knows of.
    if (isFresh && this.#finding !== undefined)
      await abortable(
        this.#finding.catch(() => undefined),
        signal
      )
    this.#finding ??= this.#findAnew().finally(() => {
      this.#finding = undefined
    })
    return await abortable(this.#finding, signal)
  }

  async #findAnew(): Promise<T> {
    const startedAt = performance.now()
    const value = await this.#find()
    const now = performance.now()
    this.#goodUntil = now + Math.max(GOOD_FOR_MS, (now - startedAt) * TIMES_AS_LONG)
    this.#found = { value }
    return value
  }
}
