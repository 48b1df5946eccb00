/**
 * Puts the parts of an arriving blob together while the rest of it is still on its way, so that little is left to be done
 * when the last one is there. It saves time and nothing else: whatever goes wrong with it, the blob can still be composed of
 * its fragments.
 */
import type { Slice, Upload } from './storage/index.ts'

/** Copies that are under way at once while the blob is arriving: the storage takes new parts meanwhile. */
const COPIES_MEANWHILE = 2

/** The same at the end, when nothing else is to be done. */
const COPIES_AT_END = 8

export class Assembly {
  readonly #begin: () => Promise<Upload>
  readonly #sliceOf: (part: number) => Slice
  readonly #known = new Set<number>()
  readonly #waiting: number[] = []
  readonly #running = new Set<Promise<void>>()
  readonly #ending = new AbortController()
  #most = COPIES_MEANWHILE
  #upload: Promise<Upload> | undefined
  #hasFailed = false

  /**
   * @param begin the upload that the parts go to. It is called when there is something to do.
   * @param sliceOf where a part's data is, for parts that were added
   */
  constructor(begin: () => Promise<Upload>, sliceOf: (part: number) => Slice) {
    this.#begin = begin
    this.#sliceOf = sliceOf
  }

  /** A part is there, whole. What is there already may be added again. */
  add(part: number): void {
    if (this.#known.has(part)) return
    this.#known.add(part)
    this.#waiting.push(part)
    this.#goOn()
  }

  /**
   * Makes the object visible, when all its parts were added.
   *
   * @param size bytes that it has to have
   * @returns false when it could not be made in this way
   */
  async complete(size: number): Promise<boolean> {
    this.#most = COPIES_AT_END
    this.#goOn()
    while (this.#running.size > 0) await Promise.race(this.#running)
    try {
      if (this.#hasFailed || this.#upload === undefined) return false
      await (await this.#upload).complete(size)
      return true
    } catch {
      // The caller composes the object in one go, and is told then what is wrong.
      return false
    } finally {
      await this.abort()
    }
  }

  /** Gives up what was put together, unless it is complete. */
  async abort(): Promise<void> {
    this.#hasFailed = true
    this.#ending.abort(new Error('the object is not put together any more'))
    await Promise.all(this.#running)
    await (await this.#upload?.catch(() => undefined))?.abort()
  }

  #goOn(): void {
    while (!this.#hasFailed && this.#running.size < this.#most && this.#waiting.length > 0) {
      const running = this.#copy(this.#waiting.shift()!).finally(() => {
        this.#running.delete(running)
        this.#goOn()
      })
      this.#running.add(running)
    }
  }

  /** Never rejects. */
  async #copy(part: number): Promise<void> {
    try {
      this.#upload ??= this.#begin()
      await (await this.#upload).copy(part, this.#sliceOf(part), { signal: this.#ending.signal })
    } catch {
      this.#hasFailed = true
    }
  }
}
