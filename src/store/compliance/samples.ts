/** Blobs to test with. */
import { CHUNK_BYTES, GROUP_BYTES, GROUP_CHUNKS, RUN_BYTES } from '../../bao/constants.ts'
import { Decoder, type Verified } from '../../bao/decoder.ts'
import { type EncodeSource, encode } from '../../bao/encoder.ts'
import { hashBytes } from '../../bao/outboard.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'

/** Every size in bytes at which something changes. */
export const INTERESTING_SIZES: readonly number[] = [
  0, // the empty blob, which is always there
  1, // one byte
  CHUNK_BYTES - 1,
  CHUNK_BYTES, // a chunk: no parent at all
  CHUNK_BYTES + 1, // the first parent, inside the group
  GROUP_BYTES - 1,
  GROUP_BYTES, // a full group: still no outboard
  GROUP_BYTES + 1, // the first outboard node, and the first blob that can be partial
  3 * GROUP_BYTES, // an odd number of groups
  100_000, // no boundary near
  RUN_BYTES - 1,
  RUN_BYTES, // a full run, which is the root
  RUN_BYTES + 1, // the first node above the runs
  3 * RUN_BYTES + 5 * GROUP_BYTES + 7 // several runs, the last one odd
]

export interface Sample {
  readonly data: Uint8Array
  readonly hash: Hash
  readonly size: number
  readonly source: EncodeSource
}

/** A blob whose bytes do not repeat, so that a group in the wrong place is noticed; the same for the same arguments. */
export function sample(size: number, seed = 1): Sample {
  const data = pseudoRandomBytes(size, seed)
  const { hash, outboard } = hashBytes(data)
  const fill = (from: Uint8Array) => async (offset: number, target: Uint8Array) => {
    target.set(from.subarray(offset, offset + target.length))
  }
  return { data, hash, size, source: { size, readData: fill(data), readOutboard: fill(outboard) } }
}

function pseudoRandomBytes(size: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4))
  let state = (seed * 2654435761 + 1) >>> 0 || 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return new Uint8Array(words.buffer, 0, size)
}

/** The chunks of groups `first` up to, not including, `end`. */
export function groups(first: number, end: number = first + 1): ChunkRanges {
  return ChunkRanges.range(first * GROUP_CHUNKS, end * GROUP_CHUNKS)
}

/** The encoding of some of a blob, as a provider sends it. */
export async function encoded(blob: Sample, ranges: ChunkRanges): Promise<Uint8Array> {
  return await join(encode(blob.hash, blob.source, ranges))
}

/**
 * What a getter has proven when `ranges` of a blob have come in.
 *
 * @param size the size in bytes that the provider claims
 * @param stepBytes bytes that come in at a time
 */
export async function* proven(
  blob: Sample,
  ranges: ChunkRanges,
  { size = blob.size, stepBytes = RUN_BYTES } = {}
): AsyncGenerator<Verified, void, undefined> {
  const bytes = await encoded(blob, ranges)
  const decoder = new Decoder(blob.hash, size, ranges)
  let consumed = 0
  let arrived = 0
  while (!decoder.isDone) {
    arrived = Math.min(bytes.length, Math.max(arrived, consumed + stepBytes, consumed + decoder.need))
    const verified = decoder.decode(bytes.subarray(consumed, arrived))
    if (verified.error !== undefined) throw verified.error
    consumed += verified.consumed
    yield verified
  }
}

export async function join(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all = await Array.fromAsync(pieces)
  const bytes = new Uint8Array(all.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of all) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/** Pieces of `bytes`, as a stream. */
export async function* streamOf(bytes: Uint8Array, pieceBytes = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.slice(at, at + pieceBytes)
}
