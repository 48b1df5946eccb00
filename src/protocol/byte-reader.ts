/** Reads a stream of pieces as a stream of bytes. */

/** Bytes in pieces. */
export interface Pieces extends AsyncIterable<Uint8Array> {
  /** The next piece, if it is here already. A source need not have it: it saves the promises that a piece costs otherwise. */
  takeNow?(): Uint8Array | undefined
}

export class ByteReader {
  readonly #source: Pieces
  readonly #onBytes: ((bytes: number) => void) | undefined
  readonly #iterator: AsyncIterator<Uint8Array>
  #piece: Uint8Array
  /** How much of the piece has been taken. */
  #at = 0
  #ended = false
  /** How the source failed, once it has. */
  #failure: { readonly error: unknown } | undefined

  /** @param onBytes told of each piece of the source when it is taken */
  constructor(source: Pieces, first: Uint8Array = new Uint8Array(0), onBytes?: (bytes: number) => void) {
    this.#source = source
    this.#onBytes = onBytes
    this.#iterator = source[Symbol.asyncIterator]()
    this.#piece = first
  }

  /**
   * Copies what is here to `target`, from `from` up to `to`.
   *
   * @returns where that ends
   */
  fill(target: Uint8Array, from = 0, to = target.length): number {
    let at = from
    while (at < to && this.#isHere()) {
      const piece = this.#piece
      const count = Math.min(piece.length - this.#at, to - at)
      target.set(count === piece.length ? piece : piece.subarray(this.#at, this.#at + count), at)
      this.#at += count
      at += count
    }
    return at
  }

  /**
   * Waits until there is something to {@link fill} with.
   *
   * @returns false at the end of the stream
   * @throws what the source throws
   */
  async more(): Promise<boolean> {
    while (!this.#isHere() && !this.#ended) this.#take(await this.#next(false))
    return this.#isHere()
  }

  /**
   * Copies bytes to the start of `target`: waits until there are at least `least`, and takes more only of what is here.
   *
   * @returns how many; fewer than `least` only at the end of the stream, or before it failed: then the next call throws
   * @throws what the source throws
   */
  async readInto(target: Uint8Array, least: number): Promise<number> {
    let length = this.fill(target)
    while (length < least && !this.#ended) {
      const piece = await this.#next(length > 0)
      if (piece === undefined) break
      this.#take(piece)
      length = this.fill(target, length)
    }
    return length
  }

  #isHere(): boolean {
    if (this.#at === this.#piece.length && !this.#ended) this.#take(this.#source.takeNow?.())
    return this.#at < this.#piece.length
  }

  #take(piece: Uint8Array | undefined): void {
    if (piece === undefined) return
    this.#piece = piece
    this.#at = 0
    this.#onBytes?.(piece.length)
  }

  /**
   * @param hasBytes whether there are some to be handed out before a failure is
   * @returns undefined when there is no more
   */
  async #next(hasBytes: boolean): Promise<Uint8Array | undefined> {
    if (this.#failure !== undefined) throw this.#failure.error
    try {
      const { done, value } = await this.#iterator.next()
      if (!done) return value
      this.#ended = true
    } catch (error) {
      this.#failure = { error }
      if (!hasBytes) throw error
    }
    return undefined
  }

  /** Tells the source that nothing more will be read. */
  async stop(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true
      await this.#iterator.return?.()
    }
  }
}
