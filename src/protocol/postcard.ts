/** Cursors over messages: the part of the postcard format that the protocol uses (protocol/README.md, "Numbers"). */
import { MAX_VARINT_BYTES, varintEnd, varintValue, writeVarint } from './varint.ts'

/** The bytes are not a message of the kind they should be. */
export class MalformedError extends Error {
  override readonly name: string = 'MalformedError'
  readonly code: string = 'ERR_MALFORMED'
  /** What is wrong, without the position. */
  readonly reason: string
  /** Where, in bytes from the start of the message. */
  readonly position: number

  constructor(reason: string, position: number, options?: ErrorOptions) {
    super(`${reason} (at byte ${position})`, options)
    this.reason = reason
    this.position = position
  }
}

/** The bytes end before the message does; more of them could make it whole. */
export class TruncatedError extends MalformedError {
  override readonly name = 'TruncatedError'
  override readonly code = 'ERR_TRUNCATED'
}

/** Reads values one after another; each method throws {@link MalformedError} where its value is wrong. */
export class Reader {
  readonly bytes: Uint8Array
  /** Offset of the next byte to be read. */
  position: number

  constructor(bytes: Uint8Array, position = 0) {
    this.bytes = bytes
    this.position = position
  }

  get remaining(): number {
    return this.bytes.length - this.position
  }

  byte(what: string): number {
    const byte = this.bytes[this.position]
    if (byte === undefined) {
      throw new TruncatedError(`the message ends before ${what}`, this.position)
    }
    this.position++
    return byte
  }

  /** A view of the next `length` bytes, not a copy. */
  take(length: number, what: string): Uint8Array {
    if (this.remaining < length) {
      throw new TruncatedError(
        `${what} should have ${length} bytes, ${this.remaining} are there`,
        this.position
      )
    }
    this.position += length
    return this.bytes.subarray(this.position - length, this.position)
  }

  /** 0..2^64-1, in any spelling, also with superfluous zeros. */
  u64(what: string): bigint {
    const start = this.position
    const end = varintEnd(this.bytes, start)
    if (end === 'truncated') {
      throw new TruncatedError(`the message ends within ${what}`, start)
    }
    if (end === 'overflow') {
      throw new MalformedError(`${what} does not fit 64 bits`, start)
    }
    this.position = end
    return varintValue(this.bytes, start, end)
  }

  /** A number of at most `max`. */
  uint(what: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const start = this.position
    const value = this.u64(what)
    if (value > max) {
      throw new MalformedError(`${what} is ${value}, the largest allowed is ${max}`, start)
    }
    return Number(value)
  }

  /**
   * How many elements follow. A count that the remaining bytes cannot hold ends here, before anyone makes room for it.
   *
   * @param elementBytes the least number of bytes that one element takes
   */
  count(what: string, elementBytes: number): number {
    const start = this.position
    const value = this.uint(what)
    if (value * elementBytes > this.remaining) {
      throw new TruncatedError(
        `${what} is ${value}, too many for the ${this.remaining} bytes that follow`,
        start
      )
    }
    return value
  }

  /** A length and as many bytes of UTF-8. */
  string(what: string): string {
    const length = this.count(`length of ${what}`, 1)
    const start = this.position
    try {
      return UTF8.decode(this.take(length, what))
    } catch (cause) {
      throw new MalformedError(`${what} is not UTF-8`, start, { cause })
    }
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const SURROGATE = /\p{Surrogate}/u
const INITIAL_BYTES = 64

/** Collects values one after another. */
export class Writer {
  #bytes = new Uint8Array(INITIAL_BYTES)
  #length = 0

  get length(): number {
    return this.#length
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** @throws RangeError outside 0..2^64-1 */
  varint(value: bigint | number): void {
    this.#reserve(MAX_VARINT_BYTES)
    this.#length = writeVarint(value, this.#bytes, this.#length)
  }

  /** A length and the bytes. */
  sized(bytes: Uint8Array): void {
    this.varint(bytes.length)
    this.raw(bytes)
  }

  /**
   * A length and the UTF-8 bytes.
   *
   * @throws RangeError when the text has half a surrogate pair, which UTF-8 cannot express
   */
  string(text: string): void {
    if (SURROGATE.test(text)) {
      throw new RangeError(`${JSON.stringify(text)} has half a surrogate pair and cannot be written as UTF-8`)
    }
    this.sized(new TextEncoder().encode(text))
  }

  /** All that was written, as a copy of its own. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
  }
}
