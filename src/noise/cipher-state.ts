/** One direction's key, and how often it was used: the CipherState of the Noise protocol, section 5.1. */
import {
  type CipherChaCha20Poly1305,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherChaCha20Poly1305,
  type KeyObject
} from 'node:crypto'
import { NONCE_BYTES, NONCE_NUMBER_AT, TAG_BYTES } from './constants.ts'
import { NoiseKeyError } from './errors.ts'

const ALGORITHM = 'chacha20-poly1305'
const OPTIONS = { authTagLength: TAG_BYTES }

export class CipherState {
  /** Messages encrypted or decrypted so far. */
  count = 0
  /** Node takes 12 µs to import a key, as long as it takes to encrypt 25 KB: so once, and not for each message. */
  #key: KeyObject | undefined
  readonly #nonce = new DataView(new ArrayBuffer(NONCE_BYTES))

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key)
  }

  /** @throws NoiseKeyError */
  encipher(): CipherChaCha20Poly1305 {
    const key = this.#use()
    return createCipheriv(ALGORITHM, key, this.#nonce, OPTIONS)
  }

  /** @throws NoiseKeyError */
  decipher(): DecipherChaCha20Poly1305 {
    const key = this.#use()
    return createDecipheriv(ALGORITHM, key, this.#nonce, OPTIONS)
  }

  /** Drops the key. */
  forget(): void {
    this.#key = undefined
  }

  #use(): KeyObject {
    if (this.#key === undefined) throw new NoiseKeyError('the connection is closed')
    // Noise allows 2^64 - 1, which at 64 KiB each nobody will see either.
    if (this.count >= Number.MAX_SAFE_INTEGER) throw new NoiseKeyError('too many messages for one key')
    this.#nonce.setBigUint64(NONCE_NUMBER_AT, BigInt(this.count++), true)
    return this.#key
  }
}
