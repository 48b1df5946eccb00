/** What can go wrong with an encoded blob. Missing and mismatch are different errors: only one of them is a lie. */
import { CHUNK_BYTES } from './constants.ts'

/** A node does not have the chaining value its parent (or the hash) promises: the bytes are wrong. */
export class HashMismatchError extends Error {
  override readonly name = 'HashMismatchError'
  readonly code = 'ERR_HASH_MISMATCH'
  /** Which kind of node was wrong. */
  readonly node: 'parent' | 'leaf'
  /** Number of the first chunk below the node. */
  readonly chunk: number

  constructor(node: 'parent' | 'leaf', chunk: number) {
    super(`the ${node} at chunk ${chunk} (byte ${chunk * CHUNK_BYTES}) does not match the blob's hash`)
    this.node = node
    this.chunk = chunk
  }
}

/** The encoding ends before all that was asked for has come. */
export class TruncatedEncodingError extends Error {
  override readonly name = 'TruncatedEncodingError'
  readonly code = 'ERR_TRUNCATED'
  /** Number of the first chunk that is missing. */
  readonly chunk: number

  constructor(chunk: number) {
    super(`the encoding ends before chunk ${chunk} (byte ${chunk * CHUNK_BYTES})`)
    this.chunk = chunk
  }
}

/** The blob that is to be encoded is held in part, and this part is not there. */
export class MissingChunksError extends Error {
  override readonly name = 'MissingChunksError'
  readonly code = 'ERR_MISSING_CHUNKS'
  /** Number of the first chunk that is missing. */
  readonly chunk: number

  constructor(chunk: number) {
    super(`chunk ${chunk} (byte ${chunk * CHUNK_BYTES}) is not held`)
    this.chunk = chunk
  }
}

/** The bytes that a store returned are not the bytes of the blob. */
export class CorruptSourceError extends Error {
  override readonly name = 'CorruptSourceError'
  readonly code = 'ERR_CORRUPT_SOURCE'
  /** Number of the first chunk below the damaged node. */
  readonly chunk: number

  /** @param cause where in the blob the stored bytes differ */
  constructor(cause: HashMismatchError) {
    super(`the stored data is damaged: ${cause.message}`, { cause })
    this.chunk = cause.chunk
  }
}
