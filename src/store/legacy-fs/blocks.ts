/** Cuts streams into blocks that are ours to keep. */
import { RUN_BYTES } from '../../bao/constants.ts'
import type { BlockPool } from './block-pool.ts'

/** Room that is made for the first block, in bytes: most streams are short. */
const FIRST_BYTES = 16 * 1024

/** The bytes of a stream in blocks of 1 MiB, copied; the last may be shorter. */
export async function* blocksOf(
  source: AsyncIterable<Uint8Array>,
  pool: BlockPool
): AsyncGenerator<Uint8Array, void, undefined> {
  let block: Uint8Array = new Uint8Array(FIRST_BYTES)
  let filled = 0
  for await (const piece of source) {
    let rest = piece
    while (rest.length > 0) {
      if (block.length < RUN_BYTES && filled + rest.length > block.length) {
        block = grow(block, filled, filled + rest.length, pool)
      }
      const taken = rest.subarray(0, block.length - filled)
      block.set(taken, filled)
      filled += taken.length
      rest = rest.subarray(taken.length)
      if (filled === RUN_BYTES) {
        yield block
        block = pool.take(RUN_BYTES)
        filled = 0
      }
    }
  }
  if (filled > 0) yield block.subarray(0, filled)
}

/** Blocks of 1 MiB of bytes at hand, as views. */
export function* slicesOf(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += RUN_BYTES) yield bytes.subarray(at, at + RUN_BYTES)
}

function grow(block: Uint8Array, filled: number, needed: number, pool: BlockPool): Uint8Array {
  const grown = pool.take(Math.min(RUN_BYTES, Math.max(needed, 2 * block.length)))
  grown.set(block.subarray(0, filled))
  return grown
}
