/**
 * Requests for objects, signed once and sent for a while. To sign one takes 0.5 ms, a quarter of what a small read from a server nearby
 * takes, and S3 wants the range to be signed as little as it wants the length: so one signature is good for all ranges of an object.
 */
import type { RequestOptions } from 'node:http'
import { MOST_SIGNED, SIGNED_MS } from './constants.ts'

interface Signed {
  readonly request: RequestOptions
  /** By the system's clock, in ms: that is what the signature tells the server. */
  readonly at: number
}

export class SignedGets {
  readonly #sign: (key: string) => Promise<RequestOptions>
  readonly #now: () => number
  /** The one that was signed longest ago first. */
  readonly #signed = new Map<string, Signed>()

  /**
   * @param sign signs a GET of the whole object
   * @param now the system's clock, in ms. It may be set back, and goes on while the machine sleeps
   */
  constructor(sign: (key: string) => Promise<RequestOptions>, now: () => number = Date.now) {
    this.#sign = sign
    this.#now = now
  }

  /** @param range as the header has it: `bytes=0-99` */
  async request(key: string, range: string): Promise<RequestOptions> {
    const known = this.#signed.get(key)
    const isGood = known !== undefined && Math.abs(this.#now() - known.at) < SIGNED_MS
    const { request } = isGood ? known : await this.#signAnew(key)
    return { ...request, headers: { ...request.headers, range } }
  }

  /** To be called when the server has refused: the next request is signed anew. */
  forget(key: string): void {
    this.#signed.delete(key)
  }

  async #signAnew(key: string): Promise<Signed> {
    const at = this.#now()
    const signed = { request: await this.#sign(key), at }
    this.#signed.delete(key)
    this.#signed.set(key, signed)
    for (const oldest of this.#signed.keys()) {
      if (this.#signed.size <= MOST_SIGNED) break
      this.#signed.delete(oldest)
    }
    return signed
  }
}
