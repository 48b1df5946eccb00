/** Encoding and decoding of whole byte arrays, for tests. */

import type { EncodeOptions, EncodeSource } from '../../src/bao/encoder.ts'
import { Decoder, encode, type HashMismatchError, hashBytes } from '../../src/bao/index.ts'
import type { ChunkRanges } from '../../src/bao/ranges.ts'
import type { Hash } from '../../src/hash.ts'

export function memorySource(data: Uint8Array, held?: ChunkRanges): EncodeSource & { hash: Hash } {
  const { hash, outboard } = hashBytes(data)
  const fill = (from: Uint8Array) => async (offset: number, target: Uint8Array) => {
    if (offset + target.length > from.length)
      throw new RangeError(`read beyond the end: ${offset} + ${target.length}`)
    target.set(from.subarray(offset, offset + target.length))
  }
  return { hash, size: data.length, held, readData: fill(data), readOutboard: fill(outboard) }
}

export async function encodeAll(
  source: EncodeSource & { hash: Hash },
  ranges: ChunkRanges,
  options?: EncodeOptions
): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(encode(source.hash, source, ranges, options)))
}

export interface Decoded {
  /** What was handed out, in order. */
  readonly leaves: { offset: number; bytes: Uint8Array }[]
  readonly parents: { offset: number; bytes: Uint8Array }[]
  readonly consumed: number
  readonly isDone: boolean
  readonly error: HashMismatchError | undefined
}

/** Decodes `encoded`, handed in as pieces of `step` bytes. */
export function decodeAll(
  hash: Hash,
  size: number,
  ranges: ChunkRanges,
  encoded: Uint8Array,
  step = Infinity
): Decoded {
  const decoder = new Decoder(hash, size, ranges)
  const leaves: Decoded['leaves'] = []
  const parents: Decoded['parents'] = []
  let consumed = 0
  let arrived = 0
  for (;;) {
    const verified = decoder.decode(encoded.subarray(consumed, arrived))
    consumed += verified.consumed
    leaves.push(...verified.leaves)
    parents.push(...verified.parents)
    const isStuck = verified.consumed === 0 && (verified.leaves.length === 0 || decoder.isDone)
    if (verified.error !== undefined || decoder.isDone || (isStuck && arrived >= encoded.length)) {
      return { leaves, parents, consumed, isDone: decoder.isDone, error: verified.error }
    }
    if (isStuck) arrived = Math.min(encoded.length, arrived + step)
  }
}
