/** Memory for reading ahead, shared by all readers of a store. */
import { BLOCK_BYTES, IDLE_MS, MOST_FREE_BLOCKS, READ_BUDGET_BYTES } from './constants.ts'

/** Who has taken memory out of a budget. */
export interface BudgetHolder {
  /** Asked to free what it does not need at this moment. */
  giveBack(): void
}

export class ReadBudget {
  readonly totalBytes: number
  readonly #now: () => number
  readonly #blocks: Uint8Array[] = []
  /** When each holder last was active, in ms; the least recently active first. */
  readonly #holders = new Map<BudgetHolder, number>()
  #usedBytes = 0

  /** @param now a clock in milliseconds that never goes back */
  constructor(totalBytes = READ_BUDGET_BYTES, now: () => number = () => performance.now()) {
    this.totalBytes = totalBytes
    this.#now = now
  }

  /** Bytes that are taken. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /**
   * Takes memory for `wanted` bytes, or for fewer, down to a block, when little is left: nobody gets more than a quarter of
   * the rest, so that there is something for everybody.
   *
   * @returns undefined when there is too little. One does not wait for more, but reads without reading ahead.
   */
  take(wanted: number, holder: BudgetHolder): ReadBuffer | undefined {
    if (this.#share < wanted) this.#takeBackFromIdle(holder)
    const share = this.#share
    if (wanted <= BLOCK_BYTES / 2) return wanted <= share ? this.#lend(wanted, wanted) : undefined
    return share < BLOCK_BYTES ? undefined : this.#lend(Math.min(wanted, share), BLOCK_BYTES)
  }

  /** What one may take now: a quarter of what is left in whole blocks, a block at least while there is one. */
  get #share(): number {
    const left = this.totalBytes - this.#usedBytes
    if (left < BLOCK_BYTES) return left
    return Math.max(1, Math.floor(left / 4 / BLOCK_BYTES)) * BLOCK_BYTES
  }

  /** To be called whenever the holder of memory is used: who is not used for long is asked to give back. */
  touch(holder: BudgetHolder): void {
    this.#holders.delete(holder)
    this.#holders.set(holder, this.#now())
  }

  /** To be called when a holder takes no more. */
  leave(holder: BudgetHolder): void {
    this.#holders.delete(holder)
  }

  #lend(length: number, blockBytes: number): ReadBuffer {
    const blocks: Uint8Array[] = []
    for (let at = 0; at < length; at += blockBytes) {
      blocks.push((blockBytes === BLOCK_BYTES ? this.#blocks.pop() : undefined) ?? new Uint8Array(blockBytes))
    }
    this.#usedBytes += blocks.length * blockBytes
    return new ReadBuffer(length, blockBytes, blocks, block => {
      this.#usedBytes -= block.length
      if (block.length === BLOCK_BYTES && this.#blocks.length < MOST_FREE_BLOCKS) this.#blocks.push(block)
    })
  }

  #takeBackFromIdle(taker: BudgetHolder): void {
    const now = this.#now()
    for (const [holder, activeAt] of this.#holders) {
      if (now - activeAt < IDLE_MS) return
      if (holder === taker) continue
      this.#holders.delete(holder)
      holder.giveBack()
    }
  }
}

/** Memory for the bytes of one GET. It is freed from its start on, as they are consumed. */
export class ReadBuffer {
  /** Bytes. */
  readonly length: number
  readonly #blockBytes: number
  readonly #blocks: (Uint8Array | undefined)[]
  readonly #free: (block: Uint8Array) => void
  /** Blocks that are freed. */
  #freed = 0

  constructor(length: number, blockBytes: number, blocks: Uint8Array[], free: (block: Uint8Array) => void) {
    this.length = length
    this.#blockBytes = blockBytes
    this.#blocks = blocks
    this.#free = free
  }

  /** Bytes for what is freed already are dropped. */
  write(offset: number, bytes: Uint8Array): void {
    let at = offset
    let rest = bytes
    while (rest.length > 0) {
      const inBlock = at % this.#blockBytes
      const part = rest.subarray(0, this.#blockBytes - inBlock)
      this.#blocks[Math.floor(at / this.#blockBytes)]?.set(part, inBlock)
      at += part.length
      rest = rest.subarray(part.length)
    }
  }

  /** Fills `target` with the bytes from `offset` on, none of which may be freed. */
  copy(offset: number, target: Uint8Array): void {
    let done = 0
    while (done < target.length) {
      const block = this.#blocks[Math.floor((offset + done) / this.#blockBytes)]
      if (block === undefined) throw new RangeError(`byte ${offset + done} of this buffer has been freed`)
      const inBlock = (offset + done) % this.#blockBytes
      const part = block.subarray(inBlock, inBlock + target.length - done)
      target.set(part, done)
      done += part.length
    }
  }

  /** Frees the memory of what is below `offset`, as far as these are whole blocks, or all of it. */
  freeBelow(offset: number): void {
    const end =
      offset >= this.length ? this.#blocks.length : Math.max(0, Math.floor(offset / this.#blockBytes))
    for (; this.#freed < end; this.#freed++) {
      const block = this.#blocks[this.#freed]!
      this.#blocks[this.#freed] = undefined
      this.#free(block)
    }
  }
}
