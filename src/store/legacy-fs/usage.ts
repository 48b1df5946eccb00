/** How much the folder holds. There is no index: all files have to be looked at, so the answer is kept for a while. */
import type { BlobInfo, Usage, UsageOptions, WaitOptions } from '../index.ts'
import { heldBytes } from '../status.ts'
import { abortable } from '../waiting.ts'

/** Milliseconds for which an answer is good, and at least this many times as long as it took to find. */
const GOOD_FOR_MS = 2_000
const TIMES_AS_LONG = 10

export class FsUsage {
  readonly #list: (options: WaitOptions) => AsyncIterable<BlobInfo>
  #looking: Promise<Usage> | undefined
  #usage: Usage | undefined
  #goodUntil = 0

  constructor(list: (options: WaitOptions) => AsyncIterable<BlobInfo>) {
    this.#list = list
  }

  /** One look serves all who ask meanwhile. */
  async get({ isFresh, signal }: UsageOptions): Promise<Usage> {
    const isGood = isFresh !== true && performance.now() < this.#goodUntil
    if (this.#usage !== undefined && isGood) return this.#usage
    // One that began before may have missed what the caller knows of.
    if (isFresh === true) await this.#looking?.catch(() => undefined)
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return await abortable(this.#looking, signal)
  }

  async #look(): Promise<Usage> {
    const startedAt = performance.now()
    let bytes = 0
    let partialBytes = 0
    for await (const { status } of this.#list({})) {
      const held = heldBytes(status)
      bytes += held
      if (status.state === 'partial') partialBytes += held
    }
    const now = performance.now()
    this.#goodUntil = now + Math.max(GOOD_FOR_MS, (now - startedAt) * TIMES_AS_LONG)
    this.#usage = { bytes, partialBytes }
    return this.#usage
  }
}
