/** Where the whole pages of a MemoryStore come from, and go when their blob is gone. */
import { RUN_BYTES } from '../../bao/constants.ts'

/** Bytes per page. */
export const PAGE_BYTES = RUN_BYTES

/**
 * Pages to have ready for who is going to take more. Together they have to be more than a getter receives in one turn of its event
 * loop (1.5 MiB), as none comes in between.
 */
const PAGES_AHEAD = 8

type Page = Uint8Array<ArrayBufferLike>

/**
 * Pages that are used again, and new ones that are made in time.
 *
 * They are shared memory where there is such a thing, though nobody shares them: V8 counts the bytes of all other buffers, and
 * marks its whole heap whenever they have grown by some tens of MiB, which cost a getter as much CPU as receiving did. But what
 * V8 does not count it is in no hurry to take back; so it is kept here for the blobs that come next.
 *
 * New memory is only a promise of the system's until somebody touches it, and to keep the promise takes longer than to fill it: a
 * quarter of what receiving costs. So a thread touches the next pages while the ones before are being filled.
 */
export class PagePool {
  /** What is in them is of no use any more. */
  readonly #used: Page[] = []
  /** Zeros, that have been touched. */
  readonly #ready: Page[] = []
  #isPreparing = false
  #canPrepare = true

  /**
   * A page of zeros.
   *
   * @param more how many further ones are likely to be taken
   */
  take(more: number): Page {
    const page = this.#ready.pop() ?? this.#used.pop()?.fill(0) ?? newPages(1)[0]!
    const wanted = Math.min(more, PAGES_AHEAD)
    if (this.#canPrepare && !this.#isPreparing && this.#ready.length + this.#used.length < wanted) {
      void this.#prepare(wanted)
    }
    return page
  }

  /** Takes back a page that nobody reads or writes any more. */
  give(page: Page): void {
    this.#used.push(page)
  }

  async #prepare(count: number): Promise<void> {
    this.#isPreparing = true
    const pages = newPages(count)
    try {
      const { touchMemory } = await import('../touch-memory.ts')
      await touchMemory(pages[0]!.buffer)
    } catch {
      // In a browser, or on a system that has nothing to do it with. They are pages all the same.
      this.#canPrepare = false
    }
    this.#ready.push(...pages)
    this.#isPreparing = false
  }
}

/** Pages that follow each other in one buffer. */
function newPages(count: number): Page[] {
  // Browsers have it only on pages that are isolated from other sites.
  const isShared = typeof SharedArrayBuffer === 'function'
  const memory = isShared ? new SharedArrayBuffer(count * PAGE_BYTES) : new ArrayBuffer(count * PAGE_BYTES)
  return Array.from({ length: count }, (_, i) => new Uint8Array(memory, i * PAGE_BYTES, PAGE_BYTES))
}
