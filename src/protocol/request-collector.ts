/** Gathers the pieces of a stream until they are a request, reading each byte once however small the pieces are. */
import { MAX_REQUEST_BYTES } from './constants.ts'
import {
  decodeRequest,
  MalformedRequestError,
  type Request,
  requestBytesNeeded,
  tryDecodeRequest
} from './request.ts'

/** The request at the start of a stream, and the bytes that came after it. */
export interface CollectedRequest {
  readonly request: Request
  /** The first bytes of a push's data; of other requests, bytes that mean nothing. */
  readonly rest: Uint8Array
}

const INITIAL_BYTES = 256

/**
 * A push is known when its last byte is here; any other request when the getter has closed its side, as the protocol has it.
 *
 * Holds at most {@link MAX_REQUEST_BYTES}, twice that while growing, and the piece given last.
 */
export class RequestCollector {
  #bytes = new Uint8Array(INITIAL_BYTES)
  #length = 0
  #needed = 1

  /**
   * Takes the next piece of the stream.
   *
   * @returns the push that is now complete; undefined when more has to come, or the end of the stream
   * @throws MalformedRequestError
   */
  push(piece: Uint8Array): CollectedRequest | undefined {
    this.#append(piece)
    const bytes = this.#bytes.subarray(0, this.#length)
    if (this.#length >= this.#needed) {
      this.#needed = requestBytesNeeded(bytes)
    }
    if (this.#needed === Number.POSITIVE_INFINITY && this.#length > 1 + MAX_REQUEST_BYTES) {
      throw new MalformedRequestError(
        `malformed request: longer than ${MAX_REQUEST_BYTES} bytes`,
        1 + MAX_REQUEST_BYTES
      )
    }
    if (this.#length < this.#needed) {
      return undefined
    }
    const decoded = tryDecodeRequest(bytes)
    return decoded && { request: decoded.request, rest: bytes.slice(decoded.length) }
  }

  /**
   * To be called at the end of the stream, if {@link push} has returned no request.
   *
   * @throws MalformedRequestError
   */
  finish(): Request {
    return decodeRequest(this.#bytes.subarray(0, this.#length))
  }

  #append(piece: Uint8Array): void {
    const length = this.#length + piece.length
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, length))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#bytes.set(piece, this.#length)
    this.#length = length
  }
}
