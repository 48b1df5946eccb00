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
  /** Writes that still read from it. */
  writes: number
  /** Resolves when there are none any more. There if somebody waits for it. */
  free: PromiseWithResolvers<void> | undefined
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
    if (slot !== undefined) await isFree(slot)
    this.throwIfFailed()
    if (slot?.bytes.length === bytes) return slot.bytes
    const made = new Uint8Array(bytes)
    this.#slots[place] = { bytes: made, writes: 0, free: undefined }
    return made
  }

  /** Keeps the current buffer until `write` is done. */
  hold(write: Promise<void>): void {
    const slot = this.#slots[this.#turn % BUFFERS]!
    slot.writes++
    write.then(
      () => release(slot),
      error => {
        this.#error ??= { error }
        release(slot)
      }
    )
  }

  /** Waits for all writes, be they good or bad. */
  async settle(): Promise<void> {
    for (const slot of this.#slots) await isFree(slot)
  }

  /** @throws what the first bad write has thrown */
  throwIfFailed(): void {
    if (this.#error !== undefined) throw this.#error.error
  }
}

async function isFree(slot: Slot): Promise<void> {
  if (slot.writes === 0) return
  slot.free ??= Promise.withResolvers()
  await slot.free.promise
}

function release(slot: Slot): void {
  if (--slot.writes > 0) return
  slot.free?.resolve()
  slot.free = undefined
}
