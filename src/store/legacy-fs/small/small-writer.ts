/** Writes a blob of one chunk group, which is there as a whole or not at all. */
import type { Verified } from '../../../bao/decoder.ts'
import type { Hash } from '../../../hash.ts'
import { HandleClosedError } from '../../errors.ts'
import type { BlobStatus, BlobWriter, WaitOptions } from '../../index.ts'
import type { WriterHome } from '../writer.ts'

export class SmallWriter implements BlobWriter {
  readonly hash: Hash
  readonly size: number
  readonly #home: WriterHome
  readonly #wasAbsent: boolean
  /** Once all of the blob has come. */
  #placing: Promise<void> | undefined
  #closing: Promise<BlobStatus> | undefined

  /** @param wasAbsent whether there was nothing of the blob when it was looked for, a moment ago */
  constructor(hash: Hash, size: number, home: WriterHome, wasAbsent: boolean) {
    this.hash = hash
    this.size = size
    this.#home = home
    this.#wasAbsent = wasAbsent
  }

  async write({ leaves }: Verified, { signal }: WaitOptions = {}): Promise<void> {
    this.#home.lifetime.check(signal)
    if (this.#closing !== undefined) throw new HandleClosedError('writer', this.hash)
    const [leaf] = leaves
    const isAll = this.size > 0 && leaf?.bytes.length === this.size
    if (isAll) this.#placing ??= this.#home.place(this.hash, leaf.bytes, this.#wasAbsent)
    // A failure is thrown by this write and all that follow.
    await this.#placing
  }

  close(): Promise<BlobStatus> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<BlobStatus> {
    try {
      const isPlaced = await this.#placing?.then(
        () => true,
        () => false
      )
      return isPlaced ? { state: 'complete', size: this.size } : await this.#home.status(this.hash)
    } finally {
      this.#home.onClose(this)
    }
  }
}
