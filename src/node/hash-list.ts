/** The hashes of many blobs, 32 bytes each: as objects, those of a million files take ten times as much memory. */
import { HASH_BYTES, type Hash } from '../hash.ts'

const WORDS = HASH_BYTES / Uint32Array.BYTES_PER_ELEMENT

export class HashList {
  readonly #words: Uint32Array<ArrayBuffer>
  /** A hash table: places in the list, counted from 1; 0 where there is none. At least every other one is. */
  readonly #table: Uint32Array

  constructor(count: number) {
    this.#words = new Uint32Array(count * WORDS)
    this.#table = new Uint32Array(2 ** Math.ceil(Math.log2(2 * count + 1)))
  }

  /**
   * Puts a hash to a place that has none yet.
   *
   * @returns whether it is in no other place
   */
  put(index: number, hash: Hash): boolean {
    const at = index * WORDS
    this.bytes.set(hash.bytes, index * HASH_BYTES)
    const mask = this.#table.length - 1
    // A hash has no order in it: any of its words is as good as a hash of it.
    for (let slot = this.#words[at]! & mask; ; slot = (slot + 1) & mask) {
      const other = this.#table[slot]! - 1
      if (other < 0) {
        this.#table[slot] = index + 1
        return true
      }
      if (this.#isSame(at, other * WORDS)) return false
    }
  }

  /** The list as the content of a hash sequence. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#words.buffer)
  }

  #isSame(at: number, other: number): boolean {
    for (let i = 0; i < WORDS; i++) if (this.#words[at + i] !== this.#words[other + i]) return false
    return true
  }
}
