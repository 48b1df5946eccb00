/** The kernel in plain TypeScript: chunk by chunk, node by node. It is used where WebAssembly SIMD is missing. */
import { CHUNK_BYTES, CV_BYTES, GROUP_CHUNKS, PAIR_BYTES, RUN_CHUNKS } from '../constants.ts'
import { checkParent, checkSubtree, checkVerify, chunkCount } from './check.ts'
import { BLOCK_BYTES, CHUNK_END, CHUNK_START, compressBlocks, PARENT, ROOT } from './compress.ts'
import {
  CARRY_BYTES,
  FLAG_PARENT,
  FLAG_ROOT,
  JOB_CHUNK_HIGH,
  JOB_CHUNK_LOW,
  JOB_EXPECTED,
  JOB_FLAGS,
  JOB_LENGTH,
  JOB_OFFSET,
  JOB_WORDS,
  type Kernel
} from './kernel.ts'

const TWO_32 = 2 ** 32
const NOTHING = new Uint8Array(0)
const BLOCKS_PER_CHUNK = CHUNK_BYTES / BLOCK_BYTES
const MAX_DEPTH = Math.log2(RUN_CHUNKS)

/** A kernel with scratch memory of its own (2 KiB). */
export function createJsKernel(): Kernel {
  return new JsKernel()
}

class JsKernel implements Kernel {
  readonly name = 'js'
  /** A chunk whose last block is short, padded with zeros. */
  readonly #padded = new Uint8Array(CHUNK_BYTES)
  readonly #paddedView = viewOf(this.#padded)
  /** The pair of the node being hashed at each depth of the tree. */
  readonly #stack = new Uint8Array(PAIR_BYTES * MAX_DEPTH)
  readonly #stackView = viewOf(this.#stack)
  readonly #computed = new Uint8Array(CV_BYTES)
  readonly #computedView = viewOf(this.#computed)

  verify(input: Uint8Array, carry: Uint8Array, jobs: Uint32Array, count: number, more = NOTHING): number {
    checkVerify(input, carry, jobs, count, more)
    const seam = input.length
    const view = viewOf(input)
    const moreView = viewOf(more)
    for (let i = 0; i < count; i++) {
      const at = i * JOB_WORDS
      const offset = jobs[at + JOB_OFFSET]!
      if (offset < seam) this.#hashJob(view, offset, jobs, at)
      else this.#hashJob(moreView, offset - seam, jobs, at)
      if (!this.#isExpected(input, carry, more, jobs[at + JOB_EXPECTED]!)) {
        return i
      }
    }
    return count
  }

  /** Whether the value computed last is the one at `expected` of `carry`, `input` and `more`, which lie behind one another. */
  #isExpected(input: Uint8Array, carry: Uint8Array, more: Uint8Array, expected: number): boolean {
    if (expected < CARRY_BYTES) return equalCv(this.#computed, carry, expected)
    const at = expected - CARRY_BYTES
    return at < input.length
      ? equalCv(this.#computed, input, at)
      : equalCv(this.#computed, more, at - input.length)
  }

  subtree(data: Uint8Array, firstChunk: number, isRoot: boolean, cv: Uint8Array, pairs?: Uint8Array): void {
    checkSubtree(data, firstChunk, cv, pairs)
    const node = {
      data: viewOf(data),
      low: firstChunk % TWO_32,
      high: Math.floor(firstChunk / TWO_32),
      pairs
    }
    const rootFlag = isRoot ? ROOT : 0
    this.#node(node, 0, data.length, rootFlag, 0, 0, viewOf(cv), 0)
  }

  parent(pair: Uint8Array, isRoot: boolean, cv: Uint8Array): void {
    checkParent(pair, cv)
    compressParent(viewOf(pair), 0, isRoot ? ROOT : 0, viewOf(cv), 0)
  }

  /** Puts the chaining value of the job whose words start at `at`, and whose bytes at `offset`, into `#computed`. */
  #hashJob(input: DataView, offset: number, jobs: Uint32Array, at: number): void {
    const flags = jobs[at + JOB_FLAGS]!
    const rootFlag = (flags & FLAG_ROOT) === 0 ? 0 : ROOT
    if ((flags & FLAG_PARENT) !== 0) {
      compressParent(input, offset, rootFlag, this.#computedView, 0)
      return
    }
    const low = jobs[at + JOB_CHUNK_LOW]!
    const high = jobs[at + JOB_CHUNK_HIGH]!
    const length = jobs[at + JOB_LENGTH]!
    const leaf = new DataView(input.buffer, input.byteOffset + offset, length)
    this.#node({ data: leaf, low, high, pairs: undefined }, 0, length, rootFlag, 0, 0, this.#computedView, 0)
  }

  /**
   * Hashes the node over `length` bytes of the subtree, from its byte `start` on.
   *
   * @param pairAt where the node's own pair goes in `pairs`, in bytes; those of its children follow (pre-order)
   */
  #node(
    subtree: Subtree,
    start: number,
    length: number,
    rootFlag: number,
    depth: number,
    pairAt: number,
    target: DataView,
    targetOffset: number
  ): void {
    const chunks = chunkCount(length)
    if (chunks === 1) {
      this.#chunk(subtree, start, length, rootFlag, target, targetOffset)
      return
    }
    const leftChunks = 2 ** (31 - Math.clz32(chunks - 1))
    const leftBytes = leftChunks * CHUNK_BYTES
    const here = depth * PAIR_BYTES
    const leftAt = pairAt + PAIR_BYTES
    const rightAt = pairAt + PAIR_BYTES * Math.max(1, leftChunks / GROUP_CHUNKS)
    this.#node(subtree, start, leftBytes, 0, depth + 1, leftAt, this.#stackView, here)
    this.#node(
      subtree,
      start + leftBytes,
      length - leftBytes,
      0,
      depth + 1,
      rightAt,
      this.#stackView,
      here + CV_BYTES
    )
    if (subtree.pairs !== undefined && chunks > GROUP_CHUNKS) {
      subtree.pairs.set(this.#stack.subarray(here, here + PAIR_BYTES), pairAt)
    }
    compressParent(this.#stackView, here, rootFlag, target, targetOffset)
  }

  /** Hashes the chunk of `length` bytes (0..1024) that starts at byte `start` of the subtree. */
  #chunk(
    subtree: Subtree,
    start: number,
    length: number,
    rootFlag: number,
    target: DataView,
    targetOffset: number
  ): void {
    const chunkLow = subtree.low + start / CHUNK_BYTES
    const low = chunkLow % TWO_32
    const high = chunkLow < TWO_32 ? subtree.high : subtree.high + 1
    const end = CHUNK_END | rootFlag
    const { data } = subtree
    if (length === CHUNK_BYTES) {
      compressBlocks(
        data,
        start,
        BLOCKS_PER_CHUNK,
        BLOCK_BYTES,
        low,
        high,
        CHUNK_START,
        end,
        0,
        target,
        targetOffset
      )
      return
    }
    const blocks = Math.max(1, Math.ceil(length / BLOCK_BYTES))
    const lastBytes = length - (blocks - 1) * BLOCK_BYTES
    this.#padded.set(new Uint8Array(data.buffer, data.byteOffset + start, length))
    this.#padded.fill(0, length)
    compressBlocks(
      this.#paddedView,
      0,
      blocks,
      lastBytes,
      low,
      high,
      CHUNK_START,
      end,
      0,
      target,
      targetOffset
    )
  }
}

/** What all nodes of one subtree share. */
interface Subtree {
  readonly data: DataView
  /** Number of the first chunk modulo 2^32, and divided by it. */
  readonly low: number
  readonly high: number
  /** Receives the pairs of nodes over more than one group. */
  readonly pairs: Uint8Array | undefined
}

function compressParent(
  pair: DataView,
  at: number,
  rootFlag: number,
  target: DataView,
  targetOffset: number
): void {
  compressBlocks(pair, at, 1, BLOCK_BYTES, 0, 0, 0, 0, PARENT | rootFlag, target, targetOffset)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function equalCv(computed: Uint8Array, expected: Uint8Array, at: number): boolean {
  for (let i = 0; i < CV_BYTES; i++) {
    if (computed[i] !== expected[at + i]) {
      return false
    }
  }
  return true
}
