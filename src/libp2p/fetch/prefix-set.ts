/** Hashes, by their first 48 bits: small, and good enough for counting. */
import type { Hash } from '../../hash.ts'

export class PrefixSet {
  /** A hash table of prefixes, each plus one; 0 where there is none. At least every other place has none. */
  readonly #table: Float64Array

  /** @param most hashes that it is to have room for: 16 to 32 bytes for each, taken up when they come */
  constructor(most: number) {
    this.#table = new Float64Array(2 ** Math.ceil(Math.log2(2 * most + 1)))
  }

  /** @returns whether it was not there */
  add({ bytes }: Hash): boolean {
    const low = bytes[3]! + 256 * bytes[4]! + 65_536 * bytes[5]!
    const prefix = bytes[0]! + 256 * bytes[1]! + 65_536 * bytes[2]! + 16_777_216 * low + 1
    const mask = this.#table.length - 1
    for (let place = prefix & mask; ; place = (place + 1) & mask) {
      if (this.#table[place] === prefix) return false
      if (this.#table[place] !== 0) continue
      this.#table[place] = prefix
      return true
    }
  }
}
