/**
 * BLAKE3's tree, as the specification describes it and as slow as that is: one word at a time, recursive, BigInt
 * counter. The tests hold the kernels against it, so nothing here is shared with them.
 */

const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
] as const
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8] as const
const COLUMNS_AND_DIAGONALS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14]
] as const

const CHUNK_START = 1
const CHUNK_END = 2
const PARENT = 4
const ROOT = 8

const BLOCK = 64
const CHUNK = 1024
const GROUP = 16 * CHUNK

/** Chaining value of one chunk of 0..1024 bytes. */
export function chunkCv(chunk: Uint8Array, chunkNumber: bigint, isRoot: boolean): Uint8Array {
  let cv: readonly number[] = IV
  let start = 0
  do {
    const block = chunk.subarray(start, start + BLOCK)
    const isLast = start + BLOCK >= chunk.length
    const flags = (start === 0 ? CHUNK_START : 0) | (isLast ? CHUNK_END | (isRoot ? ROOT : 0) : 0)
    cv = compress(cv, block, chunkNumber, flags)
    start += BLOCK
  } while (start < chunk.length)
  return toBytes(cv)
}

/** Chaining value of the parent of two nodes. */
export function parentCv(left: Uint8Array, right: Uint8Array, isRoot: boolean): Uint8Array {
  return toBytes(compress(IV, concat(left, right), 0n, PARENT | (isRoot ? ROOT : 0)))
}

/** Chaining value of the subtree over `data`, whose first chunk is number `firstChunk` of the blob. */
export function subtreeCv(data: Uint8Array, firstChunk: bigint, isRoot: boolean): Uint8Array {
  if (data.length <= CHUNK) {
    return chunkCv(data, firstChunk, isRoot)
  }
  const [left, right, middle] = split(data, firstChunk)
  return parentCv(subtreeCv(left, firstChunk, false), subtreeCv(right, middle, false), isRoot)
}

/** The pairs of all nodes over more than 16 KiB, in pre-order: what is stored of the tree as the outboard. */
export function subtreePairs(data: Uint8Array, firstChunk: bigint): Uint8Array {
  if (data.length <= GROUP) {
    return new Uint8Array()
  }
  const [left, right, middle] = split(data, firstChunk)
  return concat(
    subtreeCv(left, firstChunk, false),
    subtreeCv(right, middle, false),
    subtreePairs(left, firstChunk),
    subtreePairs(right, middle)
  )
}

/** The left part is the largest power of two chunks that leaves at least one byte for the right. */
function split(data: Uint8Array, firstChunk: bigint): [left: Uint8Array, right: Uint8Array, middle: bigint] {
  let chunks = 1
  while (chunks * 2 * CHUNK < data.length) {
    chunks *= 2
  }
  return [data.subarray(0, chunks * CHUNK), data.subarray(chunks * CHUNK), firstChunk + BigInt(chunks)]
}

function compress(cv: readonly number[], block: Uint8Array, counter: bigint, flags: number): number[] {
  const counterLow = Number(counter & 0xffff_ffffn)
  const counterHigh = Number(counter >> 32n)
  const v = [...cv, ...IV.slice(0, 4), counterLow, counterHigh, block.length, flags]
  let message = words(block)
  for (let round = 0; round < 7; round++) {
    COLUMNS_AND_DIAGONALS.forEach(([a, b, c, d], i) => {
      mix(v, a, b, c, d, message[2 * i]!, message[2 * i + 1]!)
    })
    message = PERMUTATION.map(from => message[from]!)
  }
  return Array.from({ length: 8 }, (_, i) => (v[i]! ^ v[i + 8]!) >>> 0)
}

function mix(v: number[], a: number, b: number, c: number, d: number, x: number, y: number): void {
  v[a] = (v[a]! + v[b]! + x) >>> 0
  v[d] = rotateRight(v[d]! ^ v[a]!, 16)
  v[c] = (v[c]! + v[d]!) >>> 0
  v[b] = rotateRight(v[b]! ^ v[c]!, 12)
  v[a] = (v[a]! + v[b]! + y) >>> 0
  v[d] = rotateRight(v[d]! ^ v[a]!, 8)
  v[c] = (v[c]! + v[d]!) >>> 0
  v[b] = rotateRight(v[b]! ^ v[c]!, 7)
}

function rotateRight(word: number, bits: number): number {
  return ((word >>> bits) | (word << (32 - bits))) >>> 0
}

/** The 16 little-endian words of a block, zeros after its end. */
function words(block: Uint8Array): number[] {
  return Array.from({ length: 16 }, (_, i) => {
    const byte = (j: number): number => block[4 * i + j] ?? 0
    return byte(0) + byte(1) * 2 ** 8 + byte(2) * 2 ** 16 + byte(3) * 2 ** 24
  })
}

function toBytes(cv: readonly number[]): Uint8Array {
  return Uint8Array.from(
    cv.flatMap(word => [word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24])
  )
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap(part => [...part]))
}
