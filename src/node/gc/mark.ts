/** Finding what is to be kept: the roots, and all that hash sequences among them link to. */
import { GROUP_BYTES, GROUP_CHUNKS } from '../../bao/constants.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { HASH_BYTES, type Hash } from '../../hash.ts'
import { isHashSequenceSize } from '../../protocol/hash-sequence.ts'
import { Links } from '../../protocol/links.ts'
import type { BlobStore, Root, WaitOptions } from '../../store/index.ts'
import { HashSet } from './hash-set.ts'
import type { Pace } from './pace.ts'

const LINKS_PER_GROUP = GROUP_BYTES / HASH_BYTES

export class Marks {
  readonly #store: BlobStore
  readonly #kept = new HashSet()
  /** Hash sequences whose links are all marked. */
  readonly #walked = new HashSet()
  /** Those of which some are not, because they are not all there; and which chunks of these have been looked at. */
  readonly #unknown = new Map<string, { readonly hash: Hash; seen: ChunkRanges }>()

  constructor(store: BlobStore) {
    this.#store = store
  }

  has(hash: Hash): boolean {
    return this.#kept.has(hash)
  }

  /** @returns whether all that the root keeps is known: of a hash sequence that is not all there it is not */
  async add({ hash, format }: Root, pace: Pace, options: WaitOptions = {}): Promise<boolean> {
    this.#kept.add(hash)
    if (format === 'raw' || this.#walked.has(hash)) return true
    return await this.#walk(hash, pace, options)
  }

  /** Looks whether more has come of hash sequences that were not all there. */
  async lookAgain(pace: Pace, options: WaitOptions = {}): Promise<void> {
    for (const { hash } of [...this.#unknown.values()]) await this.#walk(hash, pace, options)
  }

  /** Marks the links that have come since the last time. @returns whether they are all marked now */
  async #walk(hash: Hash, pace: Pace, options: WaitOptions): Promise<boolean> {
    const key = hash.toString()
    const unknown = this.#unknown.get(key) ?? { hash, seen: ChunkRanges.empty }
    this.#unknown.set(key, unknown)
    const reader = await this.#store.open(hash, options)
    if (reader === undefined) return false
    const { held, size } = reader
    if (isHashSequenceSize(size)) {
      await using links = Links.of(reader, options)
      for (let first = 0; first < links.count; first += LINKS_PER_GROUP) {
        const chunk = (first / LINKS_PER_GROUP) * GROUP_CHUNKS
        if (unknown.seen.contains(chunk) || held?.contains(chunk) === false) continue
        const end = Math.min(first + LINKS_PER_GROUP, links.count)
        for (let i = first; i < end; i++) this.#kept.add(await links.link(i))
        await pace.breathe()
      }
      unknown.seen = unknown.seen.union(held ?? ChunkRanges.empty)
    } else {
      // It links to nothing, whatever somebody takes it for; unless its size is not the real one.
      await reader.close()
    }
    if (held !== undefined) return false
    this.#walked.add(hash)
    this.#unknown.delete(key)
    return true
  }
}
