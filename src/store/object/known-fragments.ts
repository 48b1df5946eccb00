/**
 * The fragments that the index knows of, of blobs that are asked for again and again: a large blob has many, and those who
 * observe it ask each second.
 */
import { Fragments } from './fragments.ts'
import type { BlobRow, Metadata } from './metadata/index.ts'

/** Fragments that are remembered, about 400 bytes each. Of the blob that was asked for last they are, however many it has. */
export const MOST_REMEMBERED = 50_000

interface Entry {
  readonly createdAt: number
  readonly updatedAt: number
  readonly fragments: Fragments
  /** How many there are. */
  readonly count: number
}

export class KnownFragments {
  readonly #metadata: Metadata
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry>()
  #count = 0

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  /**
   * The fragments of a partial blob. They are read anew when its row has changed, whoever has changed it.
   *
   * @returns what others are given too: not to be added to
   */
  of({ hash, size, createdAt, updatedAt }: BlobRow): Fragments {
    const key = hash.toString()
    const known = this.#entries.get(key)
    this.#forget(key)
    const isSame = known?.createdAt === createdAt && known.updatedAt === updatedAt
    const entry = isSame ? known : { createdAt, updatedAt, ...this.#read(hash, size) }
    // One that was forgotten and has begun anew within this millisecond would look the same.
    if (Date.now() <= updatedAt) return entry.fragments
    this.#entries.set(key, entry)
    this.#count += entry.count
    for (const oldest of this.#entries.keys()) {
      if (this.#count <= MOST_REMEMBERED || oldest === key) break
      this.#forget(oldest)
    }
    return entry.fragments
  }

  #read(hash: BlobRow['hash'], size: number): Pick<Entry, 'fragments' | 'count'> {
    const names = this.#metadata.fragments(hash)
    return { fragments: new Fragments(hash, size, names), count: names.length }
  }

  #forget(key: string): void {
    this.#count -= this.#entries.get(key)?.count ?? 0
    this.#entries.delete(key)
  }
}
