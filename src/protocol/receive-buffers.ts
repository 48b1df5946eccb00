/**
 * The memory a response passes through: a few buffers of fixed size, filled in turn. A buffer is filled again only when
 * everything in it has been written, which is what holds a fast peer to the pace of a slow disk.
 */
import { MAX_INPUT_BYTES } from '../bao/kernel/index.ts'

/** Bytes of the first buffer: most blobs are small, and a response may hold one of them only. */
const FIRST_BUFFER_BYTES = 128 * 1024

/** Bytes of every other buffer: a 1 MiB run of data with its parents. */
const BUFFER_BYTES = MAX_INPUT_BYTES

/** One is filled and checked while the others are written. */
const BUFFERS = 3

interface Slot {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Writes that still read from it. They never reject. */
  readonly writes: Set<Promise<void>>
}

export class ReceiveBuffers {
  readonly #slots: Slot[] = []
  #turn = -1
  #error: { readonly error: unknown } | undefined

  /**
   * The next buffer, once what is in it has been written.
   *
   * @throws what a write has thrown
   */
  async next(): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = ++this.#turn === 0 ? FIRST_BUFFER_BYTES : BUFFER_BYTES
    const place = this.#turn % BUFFERS
    const slot = this.#slots[place]
    if (slot !== undefined) await Promise.all(slot.writes)
    this.throwIfFailed()
    if (slot?.bytes.length !== bytes) this.#slots[place] = { bytes: new Uint8Array(bytes), writes: new Set() }
    return this.#slots[place]!.bytes
  }

  /** Keeps the current buffer until `write` is done. */
  hold(write: Promise<void>): void {
    const { writes } = this.#slots[this.#turn % BUFFERS]!
    const settled = write
      .catch(error => {
        this.#error ??= { error }
      })
      .finally(() => writes.delete(settled))
    writes.add(settled)
  }

  /** Waits for all writes, be they good or bad. */
  async settle(): Promise<void> {
    await Promise.all(this.#slots.flatMap(slot => [...slot.writes]))
  }

  /** @throws what the first bad write has thrown */
  throwIfFailed(): void {
    if (this.#error !== undefined) throw this.#error.error
  }
}
