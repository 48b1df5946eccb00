/** Where the whole pages of a MemoryStore come from, and go when their blob is gone. */
import { RUN_BYTES } from '../../bao/constants.ts'

/** Bytes per page. */
export const PAGE_BYTES = RUN_BYTES

/**
 * Pages that are used again.
 *
 * They are shared memory where there is such a thing, though nobody shares them: V8 counts the bytes of all other buffers, and
 * marks its whole heap whenever they have grown by some tens of MiB, which cost a getter as much CPU as receiving did. But what
 * V8 does not count it is in no hurry to take back; so it is kept here for the blobs that come next.
 */
export class PagePool {
  readonly #free: Uint8Array<ArrayBufferLike>[] = []

  /** A page of zeros. */
  take(): Uint8Array<ArrayBufferLike> {
    const used = this.#free.pop()
    if (used !== undefined) return used.fill(0)
    // Browsers have it only on pages that are isolated from other sites.
    const isShared = typeof SharedArrayBuffer === 'function'
    return new Uint8Array(isShared ? new SharedArrayBuffer(PAGE_BYTES) : new ArrayBuffer(PAGE_BYTES))
  }

  /** Takes back a page that nobody reads or writes any more. */
  give(page: Uint8Array<ArrayBufferLike>): void {
    this.#free.push(page)
  }
}
