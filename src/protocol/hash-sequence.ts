/** Blobs that are lists of hashes (protocol/README.md, "Hash sequences"). */
import { HASH_BYTES, Hash } from '../hash.ts'

/** The blob is no list of hashes. */
export class InvalidHashSequenceError extends Error {
  override readonly name = 'InvalidHashSequenceError'
  readonly code = 'ERR_INVALID_HASH_SEQUENCE'
  /** Size of the blob in bytes. */
  readonly size: number

  constructor(size: number) {
    super(`a hash sequence is made of ${HASH_BYTES}-byte hashes: ${size} bytes cannot be one`)
    this.size = size
  }
}

/** Whether a blob of this size can be a hash sequence. Size 0 can: it links to nothing. */
export function isHashSequenceSize(size: number): boolean {
  return size % HASH_BYTES === 0
}

/** An immutable list of hashes, kept as the bytes of its blob. */
export class HashSequence implements Iterable<Hash> {
  /** The content of the blob. Not to be modified. */
  readonly bytes: Uint8Array

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /**
   * Takes the content of a blob, not a copy of it.
   *
   * @throws InvalidHashSequenceError when the length is no multiple of 32
   */
  static fromBytes(bytes: Uint8Array): HashSequence {
    if (!isHashSequenceSize(bytes.length)) {
      throw new InvalidHashSequenceError(bytes.length)
    }
    return new HashSequence(bytes)
  }

  static fromHashes(hashes: Iterable<Hash>): HashSequence {
    const list = Array.from(hashes)
    const bytes = new Uint8Array(list.length * HASH_BYTES)
    for (const [i, hash] of list.entries()) {
      bytes.set(hash.bytes, i * HASH_BYTES)
    }
    return new HashSequence(bytes)
  }

  /** How many links there are. */
  get count(): number {
    return this.bytes.length / HASH_BYTES
  }

  /** Link `i`, counted from 0; undefined behind the last. Child `i` of a request is link `i - 1`. */
  link(i: number): Hash | undefined {
    return Number.isInteger(i) && i >= 0 && i < this.count
      ? Hash.fromBytes(this.bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES))
      : undefined
  }

  *[Symbol.iterator](): Generator<Hash> {
    for (let i = 0; i < this.count; i++) {
      yield this.link(i)!
    }
  }
}
