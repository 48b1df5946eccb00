/**
 * BLAKE3's compression function over a chain of blocks, in 32-bit integer arithmetic.
 *
 * One round is written out, the seven rounds loop and permute the message words in place: writing out all seven is a
 * fifth faster and seven times as long, and this code runs only where WebAssembly SIMD is missing.
 */

/** Bytes in a block. */
export const BLOCK_BYTES = 64

/** Domain flags (BLAKE3 specification, section 2.1). */
export const CHUNK_START = 1
export const CHUNK_END = 2
export const PARENT = 4
export const ROOT = 8

const ROUNDS = 7

const IV0 = 0x6a09e667 | 0
const IV1 = 0xbb67ae85 | 0
const IV2 = 0x3c6ef372 | 0
const IV3 = 0xa54ff53a | 0
const IV4 = 0x510e527f | 0
const IV5 = 0x9b05688c | 0
const IV6 = 0x1f83d9ab | 0
const IV7 = 0x5be0cd19 | 0

/**
 * Hashes `blocks` consecutive blocks into one chaining value, starting from the initial vector.
 *
 * Reads and writes through DataView: the bytes may start at any offset and the result does not depend on the machine's
 * byte order.
 *
 * @param source holds the blocks, all of them whole: a short last block is padded with zeros
 * @param offset where the first block starts in `source`
 * @param blocks how many, at least 1
 * @param lastBytes how many bytes of the last block count, 0..64
 * @param counterLow chunk number modulo 2^32, on every block; 0 for a parent
 * @param counterHigh chunk number divided by 2^32
 * @param firstFlags flags of the first block only
 * @param lastFlags flags of the last block only
 * @param flags flags of every block
 * @param target receives the 32 bytes
 * @param targetOffset where in `target`; may overlap the blocks
 */
export function compressBlocks(
  source: DataView,
  offset: number,
  blocks: number,
  lastBytes: number,
  counterLow: number,
  counterHigh: number,
  firstFlags: number,
  lastFlags: number,
  flags: number,
  target: DataView,
  targetOffset: number
): void {
  let h0 = IV0
  let h1 = IV1
  let h2 = IV2
  let h3 = IV3
  let h4 = IV4
  let h5 = IV5
  let h6 = IV6
  let h7 = IV7
  for (let block = 0; block < blocks; block++, offset += BLOCK_BYTES) {
    const isLast = block === blocks - 1
    let m0 = source.getInt32(offset, true)
    let m1 = source.getInt32(offset + 4, true)
    let m2 = source.getInt32(offset + 8, true)
    let m3 = source.getInt32(offset + 12, true)
    let m4 = source.getInt32(offset + 16, true)
    let m5 = source.getInt32(offset + 20, true)
    let m6 = source.getInt32(offset + 24, true)
    let m7 = source.getInt32(offset + 28, true)
    let m8 = source.getInt32(offset + 32, true)
    let m9 = source.getInt32(offset + 36, true)
    let m10 = source.getInt32(offset + 40, true)
    let m11 = source.getInt32(offset + 44, true)
    let m12 = source.getInt32(offset + 48, true)
    let m13 = source.getInt32(offset + 52, true)
    let m14 = source.getInt32(offset + 56, true)
    let m15 = source.getInt32(offset + 60, true)
    let v0 = h0
    let v1 = h1
    let v2 = h2
    let v3 = h3
    let v4 = h4
    let v5 = h5
    let v6 = h6
    let v7 = h7
    let v8 = IV0
    let v9 = IV1
    let v10 = IV2
    let v11 = IV3
    let v12 = counterLow | 0
    let v13 = counterHigh | 0
    let v14 = isLast ? lastBytes : BLOCK_BYTES
    let v15 = flags | (block === 0 ? firstFlags : 0) | (isLast ? lastFlags : 0)

    for (let round = 1; ; round++) {
      v0 = (v0 + m0 + v4) | 0
      v12 ^= v0
      v12 = (v12 >>> 16) | (v12 << 16)
      v8 = (v8 + v12) | 0
      v4 ^= v8
      v4 = (v4 >>> 12) | (v4 << 20)
      v0 = (v0 + m1 + v4) | 0
      v12 ^= v0
      v12 = (v12 >>> 8) | (v12 << 24)
      v8 = (v8 + v12) | 0
      v4 ^= v8
      v4 = (v4 >>> 7) | (v4 << 25)
      v1 = (v1 + m2 + v5) | 0
      v13 ^= v1
      v13 = (v13 >>> 16) | (v13 << 16)
      v9 = (v9 + v13) | 0
      v5 ^= v9
      v5 = (v5 >>> 12) | (v5 << 20)
      v1 = (v1 + m3 + v5) | 0
      v13 ^= v1
      v13 = (v13 >>> 8) | (v13 << 24)
      v9 = (v9 + v13) | 0
      v5 ^= v9
      v5 = (v5 >>> 7) | (v5 << 25)
      v2 = (v2 + m4 + v6) | 0
      v14 ^= v2
      v14 = (v14 >>> 16) | (v14 << 16)
      v10 = (v10 + v14) | 0
      v6 ^= v10
      v6 = (v6 >>> 12) | (v6 << 20)
      v2 = (v2 + m5 + v6) | 0
      v14 ^= v2
      v14 = (v14 >>> 8) | (v14 << 24)
      v10 = (v10 + v14) | 0
      v6 ^= v10
      v6 = (v6 >>> 7) | (v6 << 25)
      v3 = (v3 + m6 + v7) | 0
      v15 ^= v3
      v15 = (v15 >>> 16) | (v15 << 16)
      v11 = (v11 + v15) | 0
      v7 ^= v11
      v7 = (v7 >>> 12) | (v7 << 20)
      v3 = (v3 + m7 + v7) | 0
      v15 ^= v3
      v15 = (v15 >>> 8) | (v15 << 24)
      v11 = (v11 + v15) | 0
      v7 ^= v11
      v7 = (v7 >>> 7) | (v7 << 25)

      v0 = (v0 + m8 + v5) | 0
      v15 ^= v0
      v15 = (v15 >>> 16) | (v15 << 16)
      v10 = (v10 + v15) | 0
      v5 ^= v10
      v5 = (v5 >>> 12) | (v5 << 20)
      v0 = (v0 + m9 + v5) | 0
      v15 ^= v0
      v15 = (v15 >>> 8) | (v15 << 24)
      v10 = (v10 + v15) | 0
      v5 ^= v10
      v5 = (v5 >>> 7) | (v5 << 25)
      v1 = (v1 + m10 + v6) | 0
      v12 ^= v1
      v12 = (v12 >>> 16) | (v12 << 16)
      v11 = (v11 + v12) | 0
      v6 ^= v11
      v6 = (v6 >>> 12) | (v6 << 20)
      v1 = (v1 + m11 + v6) | 0
      v12 ^= v1
      v12 = (v12 >>> 8) | (v12 << 24)
      v11 = (v11 + v12) | 0
      v6 ^= v11
      v6 = (v6 >>> 7) | (v6 << 25)
      v2 = (v2 + m12 + v7) | 0
      v13 ^= v2
      v13 = (v13 >>> 16) | (v13 << 16)
      v8 = (v8 + v13) | 0
      v7 ^= v8
      v7 = (v7 >>> 12) | (v7 << 20)
      v2 = (v2 + m13 + v7) | 0
      v13 ^= v2
      v13 = (v13 >>> 8) | (v13 << 24)
      v8 = (v8 + v13) | 0
      v7 ^= v8
      v7 = (v7 >>> 7) | (v7 << 25)
      v3 = (v3 + m14 + v4) | 0
      v14 ^= v3
      v14 = (v14 >>> 16) | (v14 << 16)
      v9 = (v9 + v14) | 0
      v4 ^= v9
      v4 = (v4 >>> 12) | (v4 << 20)
      v3 = (v3 + m15 + v4) | 0
      v14 ^= v3
      v14 = (v14 >>> 8) | (v14 << 24)
      v9 = (v9 + v14) | 0
      v4 ^= v9
      v4 = (v4 >>> 7) | (v4 << 25)

      if (round === ROUNDS) break

      const t0 = m0
      m0 = m2
      m2 = m3
      m3 = m10
      m10 = m12
      m12 = m9
      m9 = m11
      m11 = m5
      m5 = t0
      const t1 = m1
      m1 = m6
      m6 = m4
      m4 = m7
      m7 = m13
      m13 = m14
      m14 = m15
      m15 = m8
      m8 = t1
    }
    h0 = v0 ^ v8
    h1 = v1 ^ v9
    h2 = v2 ^ v10
    h3 = v3 ^ v11
    h4 = v4 ^ v12
    h5 = v5 ^ v13
    h6 = v6 ^ v14
    h7 = v7 ^ v15
  }
  target.setInt32(targetOffset, h0, true)
  target.setInt32(targetOffset + 4, h1, true)
  target.setInt32(targetOffset + 8, h2, true)
  target.setInt32(targetOffset + 12, h3, true)
  target.setInt32(targetOffset + 16, h4, true)
  target.setInt32(targetOffset + 20, h5, true)
  target.setInt32(targetOffset + 24, h6, true)
  target.setInt32(targetOffset + 28, h7, true)
}
