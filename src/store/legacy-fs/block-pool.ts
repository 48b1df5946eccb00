/** Buffers of 1 MiB that are used again: making them anew for each MiB costs more than hashing it. */
import { RUN_BYTES } from '../../bao/constants.ts'

/** Buffers that are kept while nobody needs them. */
const MOST_KEPT = 16

export class BlockPool {
  readonly #free: Uint8Array[] = []

  /** A buffer of at least so many bytes, at most 1 MiB. What is in it is left from before. */
  readonly take = (bytes: number): Uint8Array => {
    // A small one is made anew: the pool's are for what is worth it.
    if (bytes <= RUN_BYTES / 2) return new Uint8Array(bytes)
    return this.#free.pop() ?? new Uint8Array(RUN_BYTES)
  }

  /** Takes back what `take` gave, or a part of it, that nobody uses any more. Other buffers are left to the system. */
  readonly give = (bytes: Uint8Array): void => {
    const whole = bytes.buffer
    if (whole.byteLength === RUN_BYTES && this.#free.length < MOST_KEPT)
      this.#free.push(new Uint8Array(whole))
  }
}
