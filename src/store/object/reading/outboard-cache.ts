/**
 * Keeps pages of outboards, for all readers of a store: whoever reads a blob begins with the same nodes at the top of its
 * tree.
 *
 * Missing pages that are asked for together and lie near each other are fetched in one GET; a page under way is fetched once,
 * whoever waits for it. What is kept is what the storage returned, not yet checked: when it is found damaged, `forget` it.
 */
import { StoreClosedError } from '../../errors.ts'
import { Limiter } from '../../limiter.ts'
import { abortable } from '../../waiting.ts'
import type { ObjectStorage } from '../storage/index.ts'
import {
  MOST_OUTBOARD_GET_BYTES,
  OUTBOARD_CACHE_BYTES,
  OUTBOARD_GETS,
  PAGE_BYTES,
  PAGE_COST_BYTES,
  PAGE_GAP_BYTES,
  PAGES_AHEAD
} from './constants.ts'
import { OutboardGet } from './outboard-get.ts'
import { OutboardPage } from './outboard-page.ts'

export interface OutboardReadOptions {
  readonly signal?: AbortSignal | undefined
  /** Offset up to which reading will go on in order, so that the next pages can be fetched before they are asked for. */
  readonly until?: number | undefined
}

export class OutboardCache {
  readonly #storage: ObjectStorage
  readonly #maxBytes: number
  readonly #limiter = new Limiter(OUTBOARD_GETS)
  /** Pages that are there or under way, by the object's key and their number. */
  readonly #pages = new Map<string, Map<number, OutboardPage>>()
  /** Pages that are there, the one that was used longest ago first. */
  readonly #kept = new Set<OutboardPage>()
  readonly #gets = new Map<OutboardGet, Promise<void>>()
  /** Pages that are to be fetched when this turn of the event loop's microtasks has come to its end. */
  #missing: OutboardPage[] = []
  #keptBytes = 0
  #isClosed = false

  /** @param maxBytes for what is kept; what is under way, at most 16 GETs of 1 MiB, comes on top */
  constructor(storage: ObjectStorage, maxBytes = OUTBOARD_CACHE_BYTES) {
    this.#storage = storage
    this.#maxBytes = maxBytes
  }

  /** Bytes that are kept, with what keeping them costs. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  /**
   * Fills `target` with an outboard's bytes from `offset` on.
   *
   * @param size bytes of the outboard; `target` must lie in it
   * @throws what the storage throws; a later read tries again
   */
  async read(
    key: string,
    size: number,
    offset: number,
    target: Uint8Array,
    options: OutboardReadOptions = {}
  ): Promise<void> {
    options.signal?.throwIfAborted()
    if (this.#isClosed) throw new StoreClosedError()
    if (target.length === 0) return
    const last = Math.floor((offset + target.length - 1) / PAGE_BYTES)
    const pages: OutboardPage[] = []
    for (let n = Math.floor(offset / PAGE_BYTES); n <= last; n++) pages.push(this.#page(key, size, n))
    this.#fetchAhead(key, size, last, options.until ?? 0)

    for (const page of pages) page.waiting++
    try {
      for (const page of pages) {
        page.copyTo(target, offset, page.bytes ?? (await abortable(page.arrival, options.signal)))
      }
    } finally {
      for (const page of pages) {
        page.waiting--
        if (page.bytes === undefined) page.onLeave?.()
      }
    }
  }

  /** Drops what is kept of an outboard. What is under way is not kept when it comes. */
  forget(key: string): void {
    for (const page of this.#pages.get(key)?.values() ?? []) this.#drop(page)
  }

  /** Ends all GETs; who waits for one gets a StoreClosedError. May be called again. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const get of this.#gets.keys()) get.abort(new StoreClosedError())
    await Promise.all(this.#gets.values())
    this.#pages.clear()
    this.#kept.clear()
    this.#keptBytes = 0
  }

  /** A page, which is to be fetched if it is neither there nor under way. */
  #page(key: string, size: number, number: number): OutboardPage {
    const known = this.#pages.get(key)?.get(number)
    if (known !== undefined) {
      if (this.#kept.delete(known)) this.#kept.add(known)
      return known
    }
    const start = number * PAGE_BYTES
    const page = new OutboardPage(key, number, start, Math.min(start + PAGE_BYTES, size))
    if (!this.#pages.has(key)) this.#pages.set(key, new Map())
    this.#pages.get(key)!.set(number, page)
    if (this.#missing.push(page) === 1) queueMicrotask(() => this.#fetchMissing())
    return page
  }

  /** When one of the two pages after the last is missing, fetches some: the one after next arrives while the next is used. */
  #fetchAhead(key: string, size: number, last: number, until: number): void {
    const end = Math.ceil(Math.min(until, size) / PAGE_BYTES)
    const has = (number: number) => number >= end || this.#pages.get(key)?.has(number)
    if (has(last + 1) && has(last + 2)) return
    for (let n = last + 1; n < Math.min(end, last + 1 + PAGES_AHEAD); n++) {
      if (!has(n)) this.#page(key, size, n)
    }
  }

  #fetchMissing(): void {
    const byKey = Map.groupBy(this.#missing, ({ key }) => key)
    this.#missing = []
    for (const pages of byKey.values()) {
      pages.sort((a, b) => a.number - b.number)
      for (const near of groupNear(pages)) this.#get(near)
    }
  }

  #get(pages: readonly OutboardPage[]): void {
    const get = new OutboardGet(pages)
    const onPage = (page: OutboardPage, bytes: Uint8Array) => {
      page.bytes = bytes
      page.resolve(bytes)
      this.#keep(page)
    }
    const onFail = (failed: readonly OutboardPage[], error: unknown) => {
      for (const page of failed) {
        this.#drop(page)
        page.reject(error)
      }
    }
    const running = get.run(this.#storage, this.#limiter, onPage, onFail)
    this.#gets.set(get, running)
    running.then(() => this.#gets.delete(get))
    if (this.#isClosed) get.abort(new StoreClosedError())
  }

  #keep(page: OutboardPage): void {
    if (this.#pages.get(page.key)?.get(page.number) !== page) return
    this.#kept.add(page)
    this.#keptBytes += page.length + PAGE_COST_BYTES
    for (const oldest of this.#kept) {
      if (this.#keptBytes <= this.#maxBytes) return
      this.#drop(oldest)
    }
  }

  #drop(page: OutboardPage): void {
    const pages = this.#pages.get(page.key)
    if (pages?.get(page.number) === page) {
      pages.delete(page.number)
      if (pages.size === 0) this.#pages.delete(page.key)
    }
    if (this.#kept.delete(page)) this.#keptBytes -= page.length + PAGE_COST_BYTES
  }
}

/** Cuts ascending pages into runs that are worth one GET each. */
function groupNear(pages: readonly OutboardPage[]): OutboardPage[][] {
  const groups: OutboardPage[][] = []
  for (const page of pages) {
    const group = groups.at(-1)
    const isNear =
      group !== undefined &&
      page.start - group.at(-1)!.end <= PAGE_GAP_BYTES &&
      page.end - group[0]!.start <= MOST_OUTBOARD_GET_BYTES
    if (isNear) group.push(page)
    else groups.push([page])
  }
  return groups
}
