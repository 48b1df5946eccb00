/** The versions of files that were last dealt with, by their blobs' hashes as hex. */

export class RecentVersions {
  readonly #most: number
  /**
   * Two maps, of which the older one is forgotten as a whole: a map whose oldest entry is deleted each time that one is added
   * takes a hundred times as long.
   */
  #newer = new Map<string, string>()
  #older = new Map<string, string>()

  /** @param most so many are kept at least, and twice as many at most */
  constructor(most: number) {
    this.#most = most
  }

  get(hex: string): string | undefined {
    return this.#newer.get(hex) ?? this.#older.get(hex)
  }

  set(hex: string, version: string): void {
    this.#older.delete(hex)
    this.#newer.set(hex, version)
    if (this.#newer.size < this.#most) return
    this.#older = this.#newer
    this.#newer = new Map()
  }

  delete(hex: string): void {
    this.#newer.delete(hex)
    this.#older.delete(hex)
  }
}
