/** Bytes with holes, in memory. */
import { copyOut } from './copy-out.ts'
import { PAGE_BYTES, type PagePool } from './page-pool.ts'

/** Room for a number of bytes, of which only the pages that are written to take memory. */
export class Pages {
  readonly #pages = new Map<number, Uint8Array>()
  readonly #pool: PagePool
  #size: number

  /** @param size bytes; Infinity when it is not known yet, see {@link end} */
  constructor(size: number, pool: PagePool) {
    this.#size = size
    this.#pool = pool
  }

  /** Bytes. */
  get size(): number {
    return this.#size
  }

  /** Fixes the size of what has been written from the start on, and gives back what its last page has too much. */
  end(size: number): void {
    this.#size = size
    const page = Math.floor(size / PAGE_BYTES)
    const last = this.#pages.get(page)
    if (last === undefined) return
    this.#pages.set(page, Uint8Array.from(last.subarray(0, size - page * PAGE_BYTES)))
    this.#giveBack(last)
  }

  /** Gives all memory back. Nothing is to be read or written after that. */
  free(): void {
    for (const page of this.#pages.values()) this.#giveBack(page)
    this.#pages.clear()
  }

  /** Memory in bytes that writing `length` bytes at `offset` would take in addition. */
  cost(offset: number, length: number): number {
    const end = offset + length
    let bytes = 0
    for (let from = offset; from < end; ) {
      const page = Math.floor(from / PAGE_BYTES)
      const there = this.#pages.get(page)?.length ?? 0
      bytes += this.#pageBytes(page, there, end) - there
      from = (page + 1) * PAGE_BYTES
    }
    return bytes
  }

  /** Memory in bytes that is taken. */
  get allocated(): number {
    let bytes = 0
    for (const page of this.#pages.values()) bytes += page.length
    return bytes
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length
    for (let from = offset; from < end; ) {
      const page = Math.floor(from / PAGE_BYTES)
      const start = page * PAGE_BYTES
      const to = Math.min(end, start + PAGE_BYTES)
      const isAll = to - from === bytes.length
      this.#page(page, end).set(isAll ? bytes : bytes.subarray(from - offset, to - offset), from - start)
      from = to
    }
  }

  /** Fills `target` from `offset` on; zeros where nothing was written. @throws RangeError beyond the end */
  read(offset: number, target: Uint8Array): void {
    if (offset < 0 || offset + target.length > this.#size) {
      throw new RangeError(`cannot read ${target.length} bytes at ${offset}: there are ${this.#size}`)
    }
    const end = offset + target.length
    for (let from = offset; from < end; ) {
      const page = Math.floor(from / PAGE_BYTES)
      const start = page * PAGE_BYTES
      const to = Math.min(end, start + PAGE_BYTES)
      const source = this.#pages.get(page)
      if (source === undefined) target.fill(0, from - offset, to - offset)
      else copyOut(source, from - start, to - start, target, from - offset)
      from = to
    }
  }

  /** The page, with room up to `end`. */
  #page(page: number, end: number): Uint8Array {
    const there = this.#pages.get(page)
    const bytes = this.#pageBytes(page, there?.length ?? 0, end)
    if (there?.length === bytes) return there
    const grown = bytes === PAGE_BYTES ? this.#pool.take(this.#likelyMore()) : new Uint8Array(bytes)
    if (there !== undefined) grown.set(there)
    this.#pages.set(page, grown)
    return grown
  }

  /** Whole pages that are still to come; as long as the size is not known, as many as there are. */
  #likelyMore(): number {
    const there = this.#pages.size
    return this.#size === Infinity ? there : Math.floor(this.#size / PAGE_BYTES) - there - 1
  }

  #giveBack(page: Uint8Array): void {
    if (page.length === PAGE_BYTES) this.#pool.give(page)
  }

  /** Bytes to have of a page of which there are `there`: as long as the size is not known, it grows by doubling. */
  #pageBytes(page: number, there: number, end: number): number {
    const start = page * PAGE_BYTES
    if (this.#size !== Infinity) return Math.min(PAGE_BYTES, this.#size - start)
    const needed = Math.min(PAGE_BYTES, end - start)
    return needed <= there ? there : Math.min(PAGE_BYTES, Math.max(needed, 2 * there))
  }
}
