/**
 * A set of hashes that takes 8 bytes and a little for each: it remembers their first 64 bits. Among a million hashes it takes one
 * that was never added for one that was with a chance of 1 in 10^13.
 *
 * The hashes may come from strangers, who can make them up: where each is put is not for them to know, or a list of hashes that
 * all want the same place would take hours.
 */
import { randomInt } from 'node:crypto'
import type { Hash } from '../../hash.ts'

/** Tables, by the first byte of a hash: each grows by itself, so that growing never holds anything up. */
const TABLES = 256

const MIN_SLOTS = 4

/** How full a table may be before it grows. */
const LOAD = 0.7

export class HashSet {
  readonly #tables = Array.from({ length: TABLES }, () => new Table())

  /** How many hashes there are. */
  get size(): number {
    return this.#tables.reduce((sum, table) => sum + table.size, 0)
  }

  /** @returns whether it is new */
  add({ bytes }: Hash): boolean {
    return this.#tables[bytes[0]!]!.add(word(bytes, 0), word(bytes, 4))
  }

  has({ bytes }: Hash): boolean {
    return this.#tables[bytes[0]!]!.has(word(bytes, 0), word(bytes, 4))
  }
}

class Table {
  /** Two words for each slot; both 0 when it is empty. */
  #words = new Uint32Array(2 * MIN_SLOTS)
  #count = 0
  /** A hash that begins with 64 zeros would look like an empty slot. */
  #hasZero = false

  get size(): number {
    return this.#count + (this.#hasZero ? 1 : 0)
  }

  add(high: number, low: number): boolean {
    if (high === 0 && low === 0) {
      const isNew = !this.#hasZero
      this.#hasZero = true
      return isNew
    }
    if ((this.#count + 1) * 2 > this.#words.length * LOAD) this.#grow()
    const at = slotOf(this.#words, high, low)
    if (!isFree(this.#words, at)) return false
    this.#words[at] = high
    this.#words[at + 1] = low
    this.#count++
    return true
  }

  has(high: number, low: number): boolean {
    if (high === 0 && low === 0) return this.#hasZero
    return !isFree(this.#words, slotOf(this.#words, high, low))
  }

  #grow(): void {
    const larger = new Uint32Array(2 * this.#words.length)
    for (let i = 0; i < this.#words.length; i += 2) {
      if (isFree(this.#words, i)) continue
      const at = slotOf(larger, this.#words[i]!, this.#words[i + 1]!)
      larger[at] = this.#words[i]!
      larger[at + 1] = this.#words[i + 1]!
    }
    this.#words = larger
  }
}

const [HIGH_SECRET, LOW_SECRET] = [randomInt(2 ** 32), randomInt(2 ** 32)]

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

function isFree(words: Uint32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0
}

/** Where the two words are, or where they would be put. There is always a free slot. */
function slotOf(words: Uint32Array, high: number, low: number): number {
  const mask = words.length / 2 - 1
  for (let slot = mixed(high, low) & mask; ; slot = (slot + 1) & mask) {
    const at = 2 * slot
    if (isFree(words, at) || (words[at] === high && words[at + 1] === low)) return at
  }
}

/** The steps are those of MurmurHash3. */
function mixed(high: number, low: number): number {
  let mix = Math.imul(high ^ HIGH_SECRET, 0x85eb_ca6b)
  mix ^= mix >>> 13
  mix = Math.imul(mix + (low ^ LOW_SECRET), 0xc2b2_ae35)
  return mix ^ (mix >>> 16)
}
