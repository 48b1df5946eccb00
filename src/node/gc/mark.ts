/** Finding what is to be kept: the roots, and all that hash sequences among them link to. */
import { GROUP_BYTES, GROUP_CHUNKS } from '../../bao/constants.ts'
import { HASH_BYTES, type Hash } from '../../hash.ts'
import { isHashSequenceSize } from '../../protocol/hash-sequence.ts'
import { Links } from '../../protocol/links.ts'
import type { BlobStore, Root, WaitOptions } from '../../store/index.ts'
import { HashSet } from './hash-set.ts'

const LINKS_PER_GROUP = GROUP_BYTES / HASH_BYTES

export class Marks {
  readonly #store: BlobStore
  readonly #kept = new HashSet()
  /** Hash sequences whose links are all marked. */
  readonly #walked = new HashSet()
  /** Those of which some are not, because they are not all there. */
  readonly #unknown = new Map<string, Hash>()

  constructor(store: BlobStore) {
    this.#store = store
  }

  has(hash: Hash): boolean {
    return this.#kept.has(hash)
  }

  /** @returns whether all that the root keeps is known: of a hash sequence that is not all there it is not */
  async add({ hash, format }: Root, options: WaitOptions = {}): Promise<boolean> {
    this.#kept.add(hash)
    if (format === 'raw' || this.#walked.has(hash)) return true
    const isWhole = await this.#walk(hash, options)
    if (isWhole) this.#walked.add(hash)
    else this.#unknown.set(hash.toString(), hash)
    return isWhole
  }

  /** Looks whether more has come of hash sequences that were not all there. */
  async lookAgain(options: WaitOptions = {}): Promise<void> {
    for (const [hex, hash] of this.#unknown) {
      if (!(await this.#walk(hash, options))) continue
      this.#walked.add(hash)
      this.#unknown.delete(hex)
    }
  }

  async #walk(hash: Hash, options: WaitOptions): Promise<boolean> {
    const reader = await this.#store.open(hash, options)
    if (reader === undefined) return false
    const { held, size } = reader
    if (!isHashSequenceSize(size)) {
      await reader.close()
      // It links to nothing, whatever somebody takes it for; unless its size is not the real one.
      return held === undefined
    }
    await using links = Links.of(reader, options)
    for (let first = 0; first < links.count; first += LINKS_PER_GROUP) {
      if (held !== undefined && !held.contains((first / LINKS_PER_GROUP) * GROUP_CHUNKS)) continue
      const end = Math.min(first + LINKS_PER_GROUP, links.count)
      for (let i = first; i < end; i++) this.#kept.add(await links.link(i))
    }
    return held === undefined
  }
}
