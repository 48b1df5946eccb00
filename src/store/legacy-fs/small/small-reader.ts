/** Reads a blob of one chunk group, which is in memory and has been checked. No file is open. */
import type { Hash } from '../../../hash.ts'
import { HandleClosedError } from '../../errors.ts'
import type { BlobReader } from '../../index.ts'

export class SmallReader implements BlobReader {
  readonly hash: Hash
  readonly size: number
  readonly held = undefined
  readonly isProven = true
  readonly #bytes: Uint8Array
  readonly #onClose: (reader: BlobReader) => void
  #isClosed = false

  constructor(hash: Hash, bytes: Uint8Array, onClose: (reader: BlobReader) => void) {
    this.hash = hash
    this.size = bytes.length
    this.#bytes = bytes
    this.#onClose = onClose
  }

  async readData(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#check('data', this.size, offset, target.length, signal)
    target.set(this.#bytes.subarray(offset, offset + target.length))
  }

  async readDataInto(offset: number, targets: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    const length = targets.reduce((sum, target) => sum + target.length, 0)
    this.#check('data', this.size, offset, length, signal)
    let at = offset
    for (const target of targets) {
      target.set(this.#bytes.subarray(at, at + target.length))
      at += target.length
    }
  }

  /** It has none: nothing can be read of it. */
  async readOutboard(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#check('outboard', 0, offset, target.length, signal)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onClose(this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #check(kind: string, size: number, offset: number, length: number, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#isClosed) throw new HandleClosedError('reader', this.hash)
    if (offset < 0 || offset + length > size)
      throw new RangeError(`cannot read ${length} bytes at ${offset} of the ${kind}: it has ${size}`)
  }
}
