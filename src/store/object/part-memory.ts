/**
 * The memory that all blobs arriving at a store have for their parts. When it is used up, the part that was written to least
 * recently is asked to save what it holds and to give its memory back; so a slow transfer never stops the others.
 */
import { abortable } from '../waiting.ts'
import { PART_BYTES } from './parts.ts'

/** Bytes: 12 parts, which is six transfers at full speed. */
export const PART_MEMORY_BYTES = 12 * PART_BYTES

/** Buffers of one part's length that are kept for the next one: new memory as large as the blob costs a lot of CPU. */
const MOST_SPARE = 4

/** Who has memory. */
export interface Holder {
  /** Asks for the memory back, soon. */
  readonly relieve: () => void
}

export class PartMemory {
  readonly #most: number
  readonly #spare: Uint8Array[] = []
  /** Those with memory, the least recently used first. */
  readonly #holders = new Set<Holder>()
  readonly #waiting: (() => void)[] = []
  #used = 0

  /** @param most bytes */
  constructor(most = PART_MEMORY_BYTES) {
    this.#most = most
  }

  /** Memory of a length in bytes. It holds anything. @throws the signal's reason */
  async take(bytes: number, holder: Holder, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted()
    // One part is always possible, however large.
    while (this.#used > 0 && this.#used + bytes > this.#most) {
      this.#relieveOldest()
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.push(resolve)
      await abortable(promise, signal)
    }
    this.#used += bytes
    this.#holders.add(holder)
    const spare = bytes === PART_BYTES ? this.#spare.pop() : undefined
    return spare ?? new Uint8Array(bytes)
  }

  /** To be told when memory is in use. */
  touch(holder: Holder): void {
    if (this.#holders.delete(holder)) this.#holders.add(holder)
  }

  give(buffer: Uint8Array, holder: Holder): void {
    this.#used -= buffer.length
    this.#holders.delete(holder)
    if (buffer.length === PART_BYTES && this.#spare.length < MOST_SPARE) this.#spare.push(buffer)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #relieveOldest(): void {
    const [oldest] = this.#holders
    if (oldest === undefined) return
    // Asked once: others wait for the next one.
    this.#holders.delete(oldest)
    oldest.relieve()
  }
}
