/** Finds out what is missing of the children of a hash sequence, a page at a time. */
import type { Hash } from '../../hash.ts'
import type { Links } from '../../protocol/links.ts'
import type { BlobStore } from '../../store/index.ts'
import { CHILDREN_PER_REQUEST } from '../constants.ts'
import { Item } from './item.ts'
import { lookUp } from './look-up.ts'
import type { Pool } from './pool.ts'
import { PrefixSet } from './prefix-set.ts'
import type { Tally } from './progress.ts'

interface Child {
  readonly index: number
  readonly hash: Hash
}

export class Children {
  readonly #store: BlobStore
  readonly #links: Links
  readonly #tally: Tally
  #next = 0
  /** Children that have been counted. */
  readonly #counted: PrefixSet

  constructor(store: BlobStore, links: Links, tally: Tally) {
    this.#store = store
    this.#links = links
    this.#tally = tally
    this.#counted = new PrefixSet(links.count)
  }

  /** How many links there are. */
  get count(): number {
    return this.#links.count
  }

  /** Whether all have been looked up. */
  get isAtEnd(): boolean {
    return this.#next >= this.#links.count
  }

  /** The next page's children that are missing, each once, and none that is in the pool. */
  async next(pool: Pool, signal: AbortSignal): Promise<Item[]> {
    const children = await this.#page(pool)
    const found = await lookUp(
      this.#store,
      children.map(({ hash }) => hash),
      { signal }
    )
    const items: Item[] = []
    for (const [i, { index, hash }] of children.entries()) {
      const { ranges, heldBytes, size } = found[i]!
      if (this.#counted.add(hash)) {
        this.#tally.had += heldBytes
        if (ranges.isEmpty) this.#tally.blobsDone++
      }
      if (!ranges.isEmpty) items.push(new Item({ index, hash, ranges, size, isLarge: false }))
    }
    return items
  }

  /** A child that is linked to twice is looked up once. */
  async #page(pool: Pool): Promise<Child[]> {
    const children: Child[] = []
    const seen = new Set<string>()
    const end = Math.min(this.#links.count, this.#next + CHILDREN_PER_REQUEST)
    for (; this.#next < end; this.#next++) {
      const hash = await this.#links.link(this.#next)
      const key = hash.toString()
      if (seen.has(key) || pool.has(hash)) continue
      seen.add(key)
      children.push({ index: this.#next + 1, hash })
    }
    return children
  }
}
