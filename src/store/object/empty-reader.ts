/** Reads the empty blob, which no storage keeps. */
import { EMPTY_HASH, type Hash } from '../../hash.ts'
import { HandleClosedError } from '../errors.ts'
import type { BlobReader } from '../index.ts'

export class EmptyReader implements BlobReader {
  readonly hash: Hash = EMPTY_HASH
  readonly size = 0
  readonly #onClose: (reader: EmptyReader) => void
  #isClosed = false

  constructor(onClose: (reader: EmptyReader) => void) {
    this.#onClose = onClose
  }

  async readData(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.#isClosed) throw new HandleClosedError('reader', this.hash)
    if (offset !== 0 || target.length > 0) {
      throw new RangeError(`cannot read ${target.length} bytes at ${offset}: it has 0`)
    }
  }

  async readOutboard(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.readData(offset, target, signal)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onClose(this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
