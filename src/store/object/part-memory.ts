/**
 * The memory that all blobs arriving at a store have for their parts. When it is used up, whoever has used his least recently is
 * asked to save what it holds and to give it back; so a slow transfer never stops the others. Who waits is served in turn.
 */
import { alignedBuffer } from '../../bao/aligned-buffer.ts'
import { PART_BYTES } from './parts.ts'

/** Bytes: 12 parts, which is six transfers at full speed. */
export const PART_MEMORY_BYTES = 12 * PART_BYTES

/** Buffers of one part's length that are kept for the next one: new memory as large as the blob costs a lot of CPU. */
const MOST_SPARE = 4

/** Asks for memory to be given back, soon. Called once. */
export type Relieve = () => void

interface Waiting {
  readonly bytes: number
  readonly grant: () => void
}

export class PartMemory {
  readonly #most: number
  readonly #spare: Uint8Array[] = []
  /** What is in use, the least recently used first. */
  readonly #used = new Map<Uint8Array, Relieve>()
  /** What was asked back. */
  readonly #asked = new Set<Uint8Array>()
  readonly #waiting: Waiting[] = []
  #usedBytes = 0
  #askedBytes = 0
  #waitingBytes = 0

  /** @param most bytes */
  constructor(most = PART_MEMORY_BYTES) {
    this.#most = most
  }

  /** Bytes that are in use. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /**
   * Memory of a length in bytes. It holds anything.
   *
   * @throws the signal's reason
   */
  async take(bytes: number, relieve: Relieve, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted()
    if (this.#waiting.length > 0 || !this.#hasRoom(bytes)) await this.#turn(bytes, signal)
    else this.#usedBytes += bytes
    // Only what is used again is worth being aligned.
    const buffer = bytes === PART_BYTES ? (this.#spare.pop() ?? alignedBuffer(bytes)) : new Uint8Array(bytes)
    this.#used.set(buffer, relieve)
    this.#relieve()
    return buffer
  }

  /** To be told when memory is in use. */
  touch(buffer: Uint8Array): void {
    const relieve = this.#used.get(buffer)
    if (relieve === undefined) return
    this.#used.delete(buffer)
    this.#used.set(buffer, relieve)
  }

  /** Nothing happens when it was given back already. */
  give(buffer: Uint8Array): void {
    if (!this.#used.delete(buffer)) return
    this.#usedBytes -= buffer.length
    if (this.#asked.delete(buffer)) this.#askedBytes -= buffer.length
    if (buffer.length === PART_BYTES && this.#spare.length < MOST_SPARE) this.#spare.push(buffer)
    this.#serve()
  }

  /** One part is always possible, however little there is. */
  #hasRoom(bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#most
  }

  /** Waits in line. When it returns, the bytes count as used. */
  async #turn(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting = { bytes, grant: resolve }
    const onAbort = () => {
      const place = this.#waiting.indexOf(waiting)
      // Not in line any more: it has its memory, and gives it back like any other.
      if (place < 0) return
      this.#waiting.splice(place, 1)
      this.#waitingBytes -= bytes
      reject(signal?.reason)
      // Those behind it may need less.
      this.#serve()
    }
    this.#waiting.push(waiting)
    this.#waitingBytes += bytes
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      this.#relieve()
      await promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #serve(): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#hasRoom(first.bytes); ) {
      this.#waiting.shift()
      this.#waitingBytes -= first.bytes
      this.#usedBytes += first.bytes
      first.grant()
      first = this.#waiting[0]
    }
    this.#relieve()
  }

  /** Asks for as much as those in line need, and no more. */
  #relieve(): void {
    for (const [buffer, relieve] of this.#used) {
      if (this.#usedBytes - this.#askedBytes + this.#waitingBytes <= this.#most) return
      if (this.#asked.has(buffer)) continue
      this.#asked.add(buffer)
      this.#askedBytes += buffer.length
      relieve()
    }
  }
}
