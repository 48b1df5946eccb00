/** The children of a hash sequence in a store, read a page at a time: a sequence of millions is never in memory. */
import { GROUP_BYTES } from '../bao/constants.ts'
import { readVerified } from '../bao/encoder.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import { HASH_BYTES, Hash } from '../hash.ts'
import type { BlobReader, BlobStore, WaitOptions } from '../store/index.ts'
import { NotAHashSequenceError } from './errors.ts'
import { isHashSequenceSize } from './hash-sequence.ts'

const PAGE_LINKS = GROUP_BYTES / HASH_BYTES

/** The links of one hash sequence. Link `i` is child `i + 1` of a request. */
export class Links implements AsyncDisposable {
  /** How many there are. */
  readonly count: number
  readonly #reader: BlobReader
  readonly #options: WaitOptions
  #pageNumber = -1
  #page = new Uint8Array(0)

  private constructor(reader: BlobReader, options: WaitOptions) {
    this.#reader = reader
    this.#options = options
    this.count = reader.size / HASH_BYTES
  }

  /**
   * Takes over the reader.
   *
   * @throws NotAHashSequenceError when the blob's size is no multiple of 32
   */
  static of(reader: BlobReader, options: WaitOptions = {}): Links {
    if (!isHashSequenceSize(reader.size)) {
      throw new NotAHashSequenceError(
        reader.hash,
        `${reader.size} bytes are no list of ${HASH_BYTES}-byte hashes`
      )
    }
    return new Links(reader, options)
  }

  /** @throws NotAHashSequenceError when the blob is absent, or its size is no multiple of 32 */
  static async open(store: BlobStore, hash: Hash, options: WaitOptions = {}): Promise<Links> {
    const reader = await store.open(hash, options)
    if (reader === undefined) throw new NotAHashSequenceError(hash, 'it is not in the store')
    try {
      return Links.of(reader, options)
    } catch (error) {
      await reader.close()
      throw error
    }
  }

  /**
   * Checked against the hash of the sequence.
   *
   * @param i 0..count-1
   * @throws MissingChunksError when this part of the sequence is not held, CorruptSourceError
   */
  async link(i: number): Promise<Hash> {
    const page = Math.floor(i / PAGE_LINKS)
    if (page !== this.#pageNumber) await this.#load(page)
    const start = (i % PAGE_LINKS) * HASH_BYTES
    return Hash.fromBytes(this.#page.subarray(start, start + HASH_BYTES))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Hash> {
    for (let i = 0; i < this.count; i++) yield await this.link(i)
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #load(page: number): Promise<void> {
    const start = page * GROUP_BYTES
    const bytes = new Uint8Array(Math.min(GROUP_BYTES, this.#reader.size - start))
    const ranges = ChunkRanges.ofBytes(start, start + bytes.length)
    for await (const piece of readVerified(this.#reader.hash, this.#reader, ranges, this.#options)) {
      bytes.set(piece.bytes, piece.offset - start)
    }
    this.#page = bytes
    this.#pageNumber = page
  }
}
