/** Reads a stream of pieces as a stream of bytes. */

export class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  #piece: Uint8Array
  #ended = false

  constructor(source: AsyncIterable<Uint8Array>, first: Uint8Array = new Uint8Array(0)) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#piece = first
  }

  /**
   * Copies bytes to the start of `target`: waits until there are at least `least`, and takes more only of what is here.
   *
   * @returns how many; fewer than `least` only at the end of the stream
   */
  async readInto(target: Uint8Array, least: number): Promise<number> {
    let length = 0
    for (;;) {
      const taken = this.#piece.subarray(0, target.length - length)
      target.set(taken, length)
      length += taken.length
      this.#piece = this.#piece.subarray(taken.length)
      if (length >= least || this.#ended) return length
      const { done, value } = await this.#iterator.next()
      if (done) this.#ended = true
      else this.#piece = value
    }
  }

  /** Tells the source that nothing more will be read. */
  async stop(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true
      await this.#iterator.return?.()
    }
  }
}
