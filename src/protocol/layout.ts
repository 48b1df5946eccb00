/**
 * Puts what arrives of one blob to where it is to be: data side by side, as in the blob, and parents side by side, as in its outboard.
 * So a store can write a MiB of data as one piece, and past the system's cache from the very memory in which it was received.
 */
import { CHUNK_BYTES, PAIR_BYTES, RUN_BYTES } from '../bao/constants.ts'
import type { Decoder, Verified } from '../bao/decoder.ts'
import type { ByteReader } from './byte-reader.ts'
import type { ReceiveBuffer } from './receive-buffers.ts'

/**
 * Bytes to gather before the kernel is called, if as many are to come: below, its calls cost more than its work. With more, what is
 * hashed would not be in the processor's nearest cache any more.
 */
const GATHER_BYTES = 64 * 1024

export class Layout {
  readonly #decoder: Decoder
  #buffer: ReceiveBuffer
  /** Bytes of data that have not come yet. */
  #left: number
  /** Bytes that were put since the last check. */
  #gathered = 0
  /** Where in the buffer's memory begins what was not checked, and where whole leaves end. */
  #parentsFrom = 0
  #dataFrom = 0
  #dataTo = 0
  /** Where the buffer's first data is in the blob, and where its last ends; as long as there is no gap between them. */
  #first: number | undefined
  #last = 0
  #hasGap = false
  /** The memory that the next node is put into, if it has a place: from where on, how far it has come, and where it ends. */
  #target: Uint8Array | undefined
  #start = 0
  #at = 0
  #end = 0

  /**
   * @param buffer may hold something already
   * @param left bytes of data that will come
   */
  constructor(decoder: Decoder, buffer: ReceiveBuffer, left: number) {
    this.#decoder = decoder
    this.#left = left
    this.#buffer = buffer
    this.use(buffer)
  }

  /** Goes on in another buffer. To be called when there was no place any more, and all was checked. */
  use(buffer: ReceiveBuffer): void {
    buffer.align()
    this.#buffer = buffer
    this.#parentsFrom = buffer.parentsEnd
    this.#dataFrom = buffer.dataEnd
    this.#dataTo = buffer.dataEnd
    this.#first = undefined
    this.#hasGap = false
  }

  /** Whether there is enough to be checked. */
  get isEnough(): boolean {
    return this.#gathered >= GATHER_BYTES || this.#decoder.mustCheck
  }

  /**
   * Puts what is here to its place, until it is enough.
   *
   * @returns false when the buffer has no place for the next node
   */
  put(reader: ByteReader): boolean {
    while (!this.isEnough && !this.#decoder.isDone) {
      if (this.#target === undefined && !this.#findPlace()) return false
      const at = reader.fill(this.#target!, this.#at, this.#end)
      this.#gathered += at - this.#at
      this.#at = at
      // The empty blob has a leaf that lacks nothing.
      if (at < this.#end) return true
      this.#add()
    }
    return true
  }

  /** Checks the nodes that are whole. */
  check(): Verified {
    const { parents, parentsEnd } = this.#buffer
    const parentsTo = this.#target === parents ? this.#start : parentsEnd
    const verified = this.#decoder.check(
      parents.subarray(this.#parentsFrom, parentsTo),
      this.#buffer.dataFor(this.#left).subarray(this.#dataFrom, this.#dataTo)
    )
    this.#parentsFrom = parentsTo
    this.#dataFrom = this.#dataTo
    this.#gathered = 0
    return verified
  }

  /** The node is whole. */
  #add(): void {
    const decoder = this.#decoder
    if (decoder.isLeaf) {
      this.#left -= this.#end - this.#start
      this.#dataTo = this.#end
      decoder.add(this.#start - this.#dataFrom)
    } else {
      decoder.add(this.#start - this.#parentsFrom)
    }
    this.#target = undefined
  }

  #findPlace(): boolean {
    const buffer = this.#buffer
    const { isLeaf, need, position } = this.#decoder
    if (!isLeaf) {
      if (buffer.parentsEnd + PAIR_BYTES > buffer.parents.length) return false
      this.#open(buffer.parents, buffer.parentsEnd)
      buffer.parentsEnd += PAIR_BYTES
      return true
    }
    const offset = position * CHUNK_BYTES
    if (this.#isCutAt(offset)) return false
    const data = buffer.dataFor(this.#left)
    if (buffer.dataEnd + need > data.length) return false
    this.#hasGap ||= this.#first !== undefined && offset !== this.#last
    this.#first ??= offset
    this.#last = offset + need
    this.#open(data, buffer.dataEnd)
    buffer.dataEnd += need
    return true
  }

  /**
   * Data without a gap goes into the next buffer where a MiB of the blob begins: so each write begins there, and lies in one page of
   * a memory store.
   */
  #isCutAt(offset: number): boolean {
    return this.#first !== undefined && offset > this.#first && !this.#hasGap && offset % RUN_BYTES === 0
  }

  #open(target: Uint8Array, start: number): void {
    this.#target = target
    this.#start = start
    this.#at = start
    this.#end = start + this.#decoder.need
  }
}
