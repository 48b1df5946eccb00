/**
 * A set of hashes that takes 8 bytes and a little for each: it remembers their first 64 bits. Among a million hashes it takes one
 * that was never added for one that was with a chance of 1 in 10^13.
 */
import type { Hash } from '../../hash.ts'

const MIN_SLOTS = 1024

/** How full the table may be before it grows. */
const LOAD = 0.7

export class HashSet {
  /** Two words for each slot; both 0 when it is empty. */
  #words = new Uint32Array(2 * MIN_SLOTS)
  #size = 0
  /** A hash that begins with 64 zeros would look like an empty slot. */
  #hasZero = false

  /** How many hashes there are. */
  get size(): number {
    return this.#size + (this.#hasZero ? 1 : 0)
  }

  /** @returns whether it is new */
  add(hash: Hash): boolean {
    const [low, high] = wordsOf(hash)
    if (low === 0 && high === 0) {
      const isNew = !this.#hasZero
      this.#hasZero = true
      return isNew
    }
    if ((this.#size + 1) * 2 > this.#words.length * LOAD) this.#grow()
    const at = slotOf(this.#words, low, high)
    if (this.#words[at] !== 0 || this.#words[at + 1] !== 0) return false
    this.#words[at] = low
    this.#words[at + 1] = high
    this.#size++
    return true
  }

  has(hash: Hash): boolean {
    const [low, high] = wordsOf(hash)
    if (low === 0 && high === 0) return this.#hasZero
    const at = slotOf(this.#words, low, high)
    return this.#words[at] !== 0 || this.#words[at + 1] !== 0
  }

  #grow(): void {
    const larger = new Uint32Array(2 * this.#words.length)
    for (let i = 0; i < this.#words.length; i += 2) {
      const low = this.#words[i]!
      const high = this.#words[i + 1]!
      if (low === 0 && high === 0) continue
      const at = slotOf(larger, low, high)
      larger[at] = low
      larger[at + 1] = high
    }
    this.#words = larger
  }
}

function wordsOf({ bytes }: Hash): [low: number, high: number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return [view.getUint32(0), view.getUint32(4)]
}

/** Where the two words are, or where they would be put. There is always a free slot. */
function slotOf(words: Uint32Array, low: number, high: number): number {
  const mask = words.length / 2 - 1
  for (let slot = low & mask; ; slot = (slot + 1) & mask) {
    const at = 2 * slot
    const isFree = words[at] === 0 && words[at + 1] === 0
    if (isFree || (words[at] === low && words[at + 1] === high)) return at
  }
}
