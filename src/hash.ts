/**
 * The name of a blob: its 32-byte BLAKE3 hash (default mode, no key).
 *
 * Text forms (protocol/README.md, "Text forms"): 64 lower-case hex digits, which is how we print it, or
 * 52 characters of unpadded RFC 4648 base32. Content identifiers (CIDs) live in `cid.ts`.
 */

/** Length of a hash in bytes. */
export const HASH_BYTES = 32

const HEX_CODES = Array.from('0123456789abcdef', digit => digit.charCodeAt(0))
const HEX = /^[0-9a-f]{64}$/
const DIGIT_0 = 0x30
const LETTER_A = 0x61
const NOT_BASE32 = /[^a-zA-Z2-7]/
const BASE32_ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const BASE32_CHARS = 52

/** The text or bytes given cannot be a hash. */
export class InvalidHashError extends Error {
  override readonly name = 'InvalidHashError'
  readonly code = 'ERR_INVALID_HASH'
}

/** An immutable BLAKE3 hash. */
export class Hash {
  /** The 32 bytes. Not to be modified. */
  readonly bytes: Uint8Array
  #hex: string | undefined

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /**
   * Takes a copy of 32 bytes.
   *
   * @throws InvalidHashError when the length is another one
   */
  static fromBytes(bytes: Uint8Array): Hash {
    if (bytes.length !== HASH_BYTES) {
      throw new InvalidHashError(`a hash has ${HASH_BYTES} bytes, not ${bytes.length}`)
    }
    return new Hash(Uint8Array.from(bytes))
  }

  /**
   * Reads 64 lower-case hex digits or 52 base32 characters (either case).
   *
   * @throws InvalidHashError saying which of the two forms it came closest to, and what is wrong with it
   */
  static parse(text: string): Hash {
    if (text.length === HASH_BYTES * 2) {
      if (!HEX.test(text)) {
        throw new InvalidHashError(`"${text}" has 64 characters but is not lower-case hex`)
      }
      const hash = new Hash(hexToBytes(text))
      hash.#hex = text
      return hash
    }
    if (text.length === BASE32_CHARS) {
      return new Hash(base32ToBytes(text))
    }
    throw new InvalidHashError(
      `"${shorten(text)}" is not a hash: expected 64 hex digits or 52 base32 characters, got ${text.length} characters`
    )
  }

  /** 64 lower-case hex digits. */
  toString(): string {
    this.#hex ??= bytesToHex(this.bytes)
    return this.#hex
  }

  /** 52 lower-case base32 characters without padding. */
  toBase32(): string {
    return bytesToBase32(this.bytes)
  }

  /** The first ten hex digits, for log lines. */
  toShortString(): string {
    return this.toString().slice(0, 10)
  }

  toJSON(): string {
    return this.toString()
  }

  equals(other: Hash): boolean {
    if (this === other) return true
    // Most that are compared differ in their first byte: a function called for each costs more than all else.
    for (let i = 0; i < HASH_BYTES; i++) if (this.bytes[i] !== other.bytes[i]) return false
    return true
  }
}

/** BLAKE3 of no bytes at all: the one blob every node has. */
export const EMPTY_HASH: Hash = Hash.parse('af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262')

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`
}

function hexToBytes(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2)
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = (digitOf(hex, 2 * i) << 4) | digitOf(hex, 2 * i + 1)
  }
  return bytes
}

/** Of `0` to `9` and `a` to `f`. Lists of hashes are long: this is ten times as fast as `parseInt`. */
function digitOf(hex: string, position: number): number {
  const code = hex.charCodeAt(position)
  return code < LETTER_A ? code - DIGIT_0 : code - LETTER_A + 10
}

/** The codes of a hash's digits, made into a string at once: putting one together piece by piece makes twenty times as much garbage. */
const hexCodes: number[] = new Array(2 * HASH_BYTES).fill(0)

function bytesToHex(bytes: Uint8Array): string {
  for (let i = 0; i < HASH_BYTES; i++) {
    hexCodes[2 * i] = HEX_CODES[bytes[i]! >> 4]!
    hexCodes[2 * i + 1] = HEX_CODES[bytes[i]! & 15]!
  }
  return String.fromCharCode.apply(undefined, hexCodes)
}

function bytesToBase32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += BASE32_ALPHABET[(value >>> bits) & 31]
    }
  }
  return bits > 0 ? text + BASE32_ALPHABET[(value << (5 - bits)) & 31] : text
}

function base32ToBytes(text: string): Uint8Array {
  // Before lower-casing, which turns some characters outside the alphabet into ones inside.
  const wrong = NOT_BASE32.exec(text)
  if (wrong) {
    throw new InvalidHashError(`"${text}" has 52 characters but "${wrong[0]}" is not a base32 digit`)
  }
  const bytes = new Uint8Array(HASH_BYTES)
  let bits = 0
  let value = 0
  let length = 0
  for (const char of text.toLowerCase()) {
    const digit = BASE32_ALPHABET.indexOf(char)
    value = ((value << 5) | digit) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes[length++] = (value >>> bits) & 255
    }
  }
  if ((value & ((1 << bits) - 1)) !== 0) {
    throw new InvalidHashError(
      `"${text}" is not a hash: its last base32 character has bits that must be zero`
    )
  }
  return bytes
}
