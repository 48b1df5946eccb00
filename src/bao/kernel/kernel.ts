/**
 * What a hashing kernel does. Two implementations keep this contract: `wasm.ts` (WebAssembly SIMD) and
 * `js.ts` (plain TypeScript, where SIMD is missing).
 *
 * All methods are synchronous and keep no reference to what they are given.
 */

/** Words (u32) per job in a job table. */
export const JOB_WORDS = 6

/** Jobs in one call of {@link Kernel.verify}, at most. */
export const MAX_JOBS = 2048

/** Bytes of `input` in one call of {@link Kernel.verify}, at most: a 1 MiB run with all its parents, and some slack. */
export const MAX_INPUT_BYTES = 1024 * 1024 + 128 * 1024

/** Bytes of `carry`: chaining values expected of subtrees whose parent came in an earlier call. */
export const CARRY_BYTES = 64 * 32

/** Word offsets within a job. */
export const JOB_FLAGS = 0
export const JOB_OFFSET = 1
export const JOB_LENGTH = 2
export const JOB_CHUNK_LOW = 3
export const JOB_CHUNK_HIGH = 4
export const JOB_EXPECTED = 5

/** Bits of the flags word. A job without `FLAG_PARENT` is a leaf. */
export const FLAG_PARENT = 1
export const FLAG_ROOT = 2

export interface Kernel {
  readonly name: 'wasm-simd' | 'js'

  /**
   * Checks hash-tree nodes against the chaining values they must have, in order, and stops at the first that differs.
   *
   * A job is {@link JOB_WORDS} words:
   * - flags: `FLAG_PARENT`, `FLAG_ROOT`
   * - offset: where the node's bytes start in `input`
   * - length: of a leaf 0..16384 bytes (a subtree of at most 16 chunks), of a parent 64
   * - chunk low, chunk high: number of a leaf's first chunk; ignored for parents
   * - expected: where the 32 expected bytes are. Below `CARRY_BYTES` an offset into `carry`, else `CARRY_BYTES` plus an
   *   offset into `input`
   *
   * @param input at most {@link MAX_INPUT_BYTES} bytes, together with `more`
   * @param carry exactly {@link CARRY_BYTES} bytes
   * @param jobs at least `count * JOB_WORDS` words
   * @param count 0..{@link MAX_JOBS}
   * @param more more bytes of `input`, which to all offsets lie directly behind it; no node lies across
   * @returns how many jobs were good before the first bad one; `count` when all were
   */
  verify(input: Uint8Array, carry: Uint8Array, jobs: Uint32Array, count: number, more?: Uint8Array): number

  /**
   * Hashes one subtree.
   *
   * @param data 0..1 MiB: the subtree's bytes. Only the blob's last chunk may be short, only the empty blob's is empty.
   * @param firstChunk number of the subtree's first chunk in the blob, 0..2^53
   * @param isRoot whether the subtree is the whole blob; `cv` is then its hash
   * @param cv receives the 32 bytes of the chaining value
   * @param pairs if given, receives the pairs of all nodes that cover more than 16 chunks, in pre-order: 64 * (G - 1)
   *   bytes, where G is the number of 16 KiB groups in `data`. `firstChunk` must then be a multiple of 16.
   */
  subtree(data: Uint8Array, firstChunk: number, isRoot: boolean, cv: Uint8Array, pairs?: Uint8Array): void

  /**
   * Chaining value of a parent node.
   *
   * @param pair 64 bytes: left, right
   * @param isRoot whether it is the top node; `cv` is then the blob's hash
   * @param cv receives 32 bytes; may overlap `pair`
   */
  parent(pair: Uint8Array, isRoot: boolean, cv: Uint8Array): void
}
