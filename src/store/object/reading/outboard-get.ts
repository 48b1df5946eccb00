/** One GET of the outboard cache, for several pages of one outboard. */
import type { Limiter } from '../../limiter.ts'
import type { ObjectStorage } from '../storage/index.ts'
import type { OutboardPage } from './outboard-page.ts'
import { endsEarly } from './piece.ts'

export class OutboardGet {
  /** Ascending; what lies between them is read and dropped. */
  readonly #pages: readonly OutboardPage[]
  readonly #controller = new AbortController()
  /** Index of the first page that is not whole yet. */
  #next = 0

  constructor(pages: readonly OutboardPage[]) {
    this.#pages = pages
  }

  /**
   * Fetches the pages. Never rejects: those who wait for a page are told.
   *
   * @param onPage called when a page is there
   * @param onFail called with those that will not be there
   */
  async run(
    storage: ObjectStorage,
    limiter: Limiter,
    onPage: (page: OutboardPage, bytes: Uint8Array) => void,
    onFail: (pages: readonly OutboardPage[], error: unknown) => void
  ): Promise<void> {
    const { signal } = this.#controller
    const fail = (error: unknown) => onFail(this.#pages.slice(this.#next), error)
    for (const page of this.#pages) {
      page.onLeave = () => {
        // Once all who waited have left, the GET ends. Who comes now must not come to wait for it: others hear of it at once.
        if (this.#pages.some(({ waiting }) => waiting > 0)) return
        const reason = new Error('nobody waits for it')
        fail(reason)
        this.abort(reason)
      }
    }
    try {
      await limiter.run(() => this.#fetch(storage, signal, onPage), signal)
    } catch (error) {
      fail(error)
    }
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason)
  }

  async #fetch(
    storage: ObjectStorage,
    signal: AbortSignal,
    onPage: (page: OutboardPage, bytes: Uint8Array) => void
  ): Promise<void> {
    const { key, start } = this.#pages[0]!
    const length = this.#pages.at(-1)!.end - start
    const buffers = this.#pages.map(page => new Uint8Array(page.length))
    let at = start
    for await (const bytes of storage.read({ key, offset: start, length }, { signal })) {
      signal.throwIfAborted()
      const end = at + bytes.length
      while (this.#next < this.#pages.length) {
        const page = this.#pages[this.#next]!
        const from = Math.max(at, page.start)
        const to = Math.min(end, page.end)
        if (from < to) buffers[this.#next]!.set(bytes.subarray(from - at, to - at), from - page.start)
        if (end < page.end) break
        onPage(page, buffers[this.#next++]!)
      }
      at = end
    }
    if (this.#next < this.#pages.length) throw endsEarly(storage, key, at)
  }
}
