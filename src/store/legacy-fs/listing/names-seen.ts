/**
 * Of which of many blobs there is anything: to read the names of a folder takes a tenth of the time of looking for each blob, if the
 * folder does not have many more names than that.
 */
import type { Hash } from '../../../hash.ts'
import type { Layout } from '../layout.ts'
import { namesIn } from './names.ts'

/** Of fewer blobs, each is looked for. */
const LEAST = 64

/** Names that are read at most for each blob that is asked about. */
const NAMES_EACH = 3

const HEX_CHARS = 64

export class NamesSeen {
  readonly #layout: Layout
  /** Names that the folder is known to have had. */
  #most = 0

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /**
   * Blobs that a file belongs to, as hex. What another process or this one adds, completes or deletes meanwhile may or may not be
   * among them.
   *
   * @returns undefined when it is quicker to look for each
   */
  async among(hashes: readonly Hash[]): Promise<ReadonlySet<string> | undefined> {
    const room = hashes.length * NAMES_EACH
    if (hashes.length < LEAST || room < this.#most) return undefined
    const wanted = new Set(hashes.map(hash => hash.toString()))
    const seen = new Set<string>()
    let count = 0
    for await (const names of namesIn(this.#layout)) {
      count += names.length
      if (count > room) {
        this.#most = count
        return undefined
      }
      for (const name of names) {
        const hex = name.slice(0, HEX_CHARS)
        if (wanted.has(hex)) seen.add(hex)
      }
    }
    return seen
  }
}
