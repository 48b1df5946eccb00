/** Takes a blob of unknown size into memory, hashing it on the way. */
import { groupCount, outboardBytes, runOutboardOffset } from '../../bao/geometry.ts'
import { OutboardBuilder } from '../../bao/outboard.ts'
import type { Hash } from '../../hash.ts'
import { MemoryBlob } from './blob.ts'
import type { PagePool } from './page-pool.ts'
import { Pages } from './pages.ts'

export class Collector {
  readonly #data: Pages
  readonly #runs: Uint8Array[] = []
  readonly #builder = new OutboardBuilder(({ pairs }) => this.#runs.push(pairs.slice()))
  readonly #pool: PagePool
  readonly #reserve: (bytes: number) => void
  #reserved = 0

  /** @param reserve is told how many more bytes of memory are needed, and throws when there are not so many */
  constructor(pool: PagePool, reserve: (bytes: number) => void) {
    this.#pool = pool
    this.#data = new Pages(Infinity, pool)
    this.#reserve = reserve
  }

  /** Bytes of memory that were reserved. */
  get reserved(): number {
    return this.#reserved
  }

  push(bytes: Uint8Array): void {
    const offset = this.#builder.size
    const cost = this.#data.cost(offset, bytes.length)
    this.#reserve(cost)
    this.#reserved += cost
    this.#data.write(offset, bytes)
    this.#builder.push(bytes)
  }

  finish(): { hash: Hash; blob: MemoryBlob } {
    const { hash, size, top } = this.#builder.finish()
    this.#data.end(size)
    const outboard = new Pages(outboardBytes(size), this.#pool)
    this.#runs.forEach((pairs, run) => {
      outboard.write(runOutboardOffset(run, groupCount(size)), pairs)
    })
    for (const { offset, bytes } of top) outboard.write(offset, bytes)
    return { hash, blob: MemoryBlob.complete(this.#data, outboard) }
  }

  /** Gives up what was collected. */
  discard(): void {
    this.#data.free()
  }
}
