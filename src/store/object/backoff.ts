/** Blobs with which something has failed, and how long it is not to be tried again. */
import type { Hash } from '../../hash.ts'

/** Milliseconds after the first failure; twice as many after each further one … */
const FIRST_MS = 1_000

/** … up to here. */
const LONGEST_MS = 5 * 60 * 1000

/** Blobs that are remembered. The oldest are forgotten, and tried again. */
const MOST = 1_000

export class Backoff {
  readonly #failures = new Map<string, { readonly count: number; readonly until: number }>()

  mustWait(hash: Hash): boolean {
    return (this.#failures.get(hash.toString())?.until ?? 0) > performance.now()
  }

  failed(hash: Hash): void {
    const key = hash.toString()
    const count = (this.#failures.get(key)?.count ?? 0) + 1
    const wait = Math.min(FIRST_MS * 2 ** (count - 1), LONGEST_MS)
    this.#failures.delete(key)
    this.#failures.set(key, { count, until: performance.now() + wait })
    if (this.#failures.size > MOST) this.#failures.delete(this.#failures.keys().next().value!)
  }

  succeeded(hash: Hash): void {
    this.#failures.delete(hash.toString())
  }
}
