/** Blob contents and sizes shared by the tests. */
import { GROUP_BYTES, RUN_BYTES } from '../../src/bao/constants.ts'

/** The content of the golden vectors' blobs (protocol/vectors/README.md). */
export function vectorData(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 167 + (i >> 8) * 13) & 255)
}

/** Bytes that do not repeat, so that a group in the wrong place is noticed; the same for the same seed. */
export function randomData(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(size / 4) * 4)
  const words = new Uint32Array(bytes.buffer)
  let state = (seed * 2654435761 + 1) >>> 0
  for (let i = 0; i < words.length; i++) {
    // xorshift32
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return bytes.subarray(0, size)
}

/** Every size at which something changes. */
export const INTERESTING_SIZES: readonly number[] = [
  0, // the empty blob: one empty chunk
  1, // one byte
  1023, // chunk - 1
  1024, // exactly a chunk: no parent at all
  1025, // two chunks: the first parent
  GROUP_BYTES - 1, // group - 1
  GROUP_BYTES, // a full group: still no outboard
  GROUP_BYTES + 1, // the first outboard node
  3 * GROUP_BYTES, // an odd number of groups
  100_000, // no boundary near
  RUN_BYTES - 1, // run - 1
  RUN_BYTES, // a full run, which is the root
  RUN_BYTES + 1, // the first node above the runs
  3 * RUN_BYTES + 5 * GROUP_BYTES + 7 // several runs, the last one odd
]
