/**
 * Checks an encoding while it arrives (protocol/README.md, "Verification"). Synchronous and without I/O: whoever reads the
 * bytes hands them in, in pieces of any size, and gets back what has been proven.
 *
 * All nodes that lie whole in the bytes at hand are checked by one call of the kernel. Nodes come in pre-order, so the
 * kernel's "how many were good before the first bad one" is exactly how much of the stream may be believed.
 */
import type { Hash } from '../hash.ts'
import { CHUNK_BYTES, CV_BYTES, PAIR_BYTES } from './constants.ts'
import { HashMismatchError } from './errors.ts'
import {
  CARRY_BYTES,
  kernel as defaultKernel,
  FLAG_PARENT,
  FLAG_ROOT,
  JOB_CHUNK_HIGH,
  JOB_CHUNK_LOW,
  JOB_EXPECTED,
  JOB_FLAGS,
  JOB_LENGTH,
  JOB_OFFSET,
  JOB_WORDS,
  type Kernel,
  MAX_INPUT_BYTES,
  MAX_JOBS
} from './kernel/index.ts'
import type { ChunkRanges } from './ranges.ts'
import { INSIDE_GROUP, TreeWalker } from './walker.ts'

/** Bytes and where they belong. */
export interface Piece {
  /** Offset in bytes, in the blob or in its outboard. */
  readonly offset: number
  readonly bytes: Uint8Array
}

/** What one call of {@link Decoder.decode} has proven. */
export interface Verified {
  /** Bytes of the input that belong to nodes found good. */
  readonly consumed: number
  /** Data, ascending: each piece is one leaf, a view of the input. */
  readonly leaves: readonly Piece[]
  /** Outboard, ascending: runs of consecutive 64-byte nodes, copied. Parents inside a chunk group are not among them. */
  readonly parents: readonly Piece[]
  /** Set when the node after the good ones is wrong. The decoder is then of no further use. */
  readonly error?: HashMismatchError
}

const root = new Uint8Array(CV_BYTES)

/**
 * Checks all of a blob that has one chunk group, whose encoding is its data: what a {@link Decoder} does for larger ones costs
 * more than hashing it.
 *
 * @param bytes 1 byte to 16 KiB
 */
export function verifyGroup(hash: Hash, bytes: Uint8Array, kernel: Kernel = defaultKernel): Verified {
  kernel.subtree(bytes, 0, true, root)
  for (let i = 0; i < CV_BYTES; i++) {
    if (hash.bytes[i] !== root[i]) return { ...NOTHING, error: new HashMismatchError('leaf', 0) }
  }
  return { consumed: bytes.length, leaves: [{ offset: 0, bytes }], parents: [] }
}

const NOTHING: Verified = { consumed: 0, leaves: [], parents: [] }

/** Tree levels and pending siblings: as in the walker. */
const MAX_PENDING = CARRY_BYTES / CV_BYTES

// One call's work, shared by all decoders: a call is synchronous and leaves nothing behind in it.
const jobs = new Uint32Array(MAX_JOBS * JOB_WORDS)
const jobStart = new Float64Array(MAX_JOBS)
const jobNode = new Float64Array(MAX_JOBS)

export class Decoder {
  /** Bytes of the blob as claimed; true once {@link isSizeProven}. */
  readonly size: number

  readonly #kernel: Kernel
  readonly #walker: TreeWalker
  /** The walker's node has not been consumed yet. */
  #hasNode: boolean
  #failed = false
  #isSizeProven = false

  /** Where each pending subtree's expected value is: an offset into `carry ‖ input`, as the kernel takes it. */
  readonly #expected = new Uint32Array(MAX_PENDING)
  #pending = 1
  #carry = new Uint8Array(CARRY_BYTES)
  #spare = new Uint8Array(CARRY_BYTES)

  /**
   * @param hash what the blob must hash to
   * @param size the blob's size in bytes, as the provider claims it
   * @param ranges the chunks asked for
   */
  constructor(hash: Hash, size: number, ranges: ChunkRanges, kernel: Kernel = defaultKernel) {
    this.size = size
    this.#kernel = kernel
    this.#walker = new TreeWalker(size, ranges)
    this.#hasNode = this.#walker.next()
    this.#carry.set(hash.bytes)
  }

  /** Whether all that was asked for has been proven. */
  get isDone(): boolean {
    return !this.#hasNode
  }

  /** Whether the last chunk has been proven, and with it the size. */
  get isSizeProven(): boolean {
    return this.#isSizeProven
  }

  /** Bytes of the next node: as long as fewer are at hand, {@link decode} can do nothing. */
  get need(): number {
    return this.#hasNode ? this.#walker.bytes : 0
  }

  /** Number of the first chunk below the next node. */
  get position(): number {
    return this.#walker.start
  }

  /**
   * Checks as many whole nodes as the input holds.
   *
   * @param input bytes of the encoding from where the last call's `consumed` ended; at most 1 MiB and 128 KiB are looked at
   */
  decode(input: Uint8Array): Verified {
    if (this.#failed || !this.#hasNode) return NOTHING
    const limit = Math.min(input.length, MAX_INPUT_BYTES)
    let offset = 0
    let count = 0
    while (this.#hasNode && count < MAX_JOBS) {
      const length = this.#walker.bytes
      if (offset + length > limit) break
      this.#addJob(count++, offset, length)
      offset += length
      this.#hasNode = this.#walker.next()
    }
    if (count === 0) return NOTHING

    const bytes = input.subarray(0, offset)
    const good = this.#kernel.verify(bytes, this.#carry, jobs, count)
    if (good < count) this.#failed = true
    else this.#keepExpected(bytes)
    return this.#verified(bytes, good, count)
  }

  #addJob(job: number, offset: number, length: number): void {
    const walker = this.#walker
    const at = job * JOB_WORDS
    jobs[at + JOB_FLAGS] = (walker.isLeaf ? 0 : FLAG_PARENT) | (walker.isRoot ? FLAG_ROOT : 0)
    jobs[at + JOB_OFFSET] = offset
    jobs[at + JOB_LENGTH] = length
    jobs[at + JOB_CHUNK_LOW] = walker.start >>> 0
    jobs[at + JOB_CHUNK_HIGH] = Math.floor(walker.start / 2 ** 32)
    jobs[at + JOB_EXPECTED] = this.#expected[--this.#pending]!
    jobStart[job] = walker.start
    jobNode[job] = walker.node
    if (!walker.isLeaf) {
      if (walker.wantsRight) this.#expected[this.#pending++] = CARRY_BYTES + offset + CV_BYTES
      if (walker.wantsLeft) this.#expected[this.#pending++] = CARRY_BYTES + offset
    }
  }

  /** Copies what is still expected out of the input, which the caller may overwrite. */
  #keepExpected(input: Uint8Array): void {
    const next = this.#spare
    for (let i = 0; i < this.#pending; i++) {
      const from = this.#expected[i]!
      const source = from < CARRY_BYTES ? this.#carry : input
      const start = from < CARRY_BYTES ? from : from - CARRY_BYTES
      next.set(source.subarray(start, start + CV_BYTES), i * CV_BYTES)
      this.#expected[i] = i * CV_BYTES
    }
    this.#spare = this.#carry
    this.#carry = next
  }

  #verified(input: Uint8Array, good: number, count: number): Verified {
    const leaves: Piece[] = []
    const parents = new ParentRuns(good)
    let consumed = 0
    for (let job = 0; job < good; job++) {
      const at = job * JOB_WORDS
      const offset = jobs[at + JOB_OFFSET]!
      const end = offset + jobs[at + JOB_LENGTH]!
      consumed = end
      if ((jobs[at + JOB_FLAGS]! & FLAG_PARENT) === 0) {
        const start = jobStart[job]! * CHUNK_BYTES
        leaves.push({ offset: start, bytes: input.subarray(offset, end) })
        if (start + end - offset === this.size) this.#isSizeProven = true
      } else if (jobNode[job] !== INSIDE_GROUP) {
        parents.add(jobNode[job]!, input.subarray(offset, end))
      }
    }
    const proven = { consumed, leaves, parents: parents.finish() }
    if (good === count) return proven
    const isParent = (jobs[good * JOB_WORDS + JOB_FLAGS]! & FLAG_PARENT) !== 0
    return { ...proven, error: new HashMismatchError(isParent ? 'parent' : 'leaf', jobStart[good]!) }
  }
}

/**
 * Memory for the parents of several calls, those of 4 MiB of data; who holds on to a run keeps all of it. Never written twice. Larger
 * ones are in use for so long that V8 takes them for old, and frees them late: they added up to 4 MiB for each GiB.
 */
const SLAB_BYTES = 16 * 1024
let slab = new Uint8Array(0)

/** Gathers 64-byte nodes into runs that are consecutive in the outboard. */
class ParentRuns {
  readonly #bytes: Uint8Array<ArrayBuffer>
  readonly #runs: Piece[] = []
  #runNode = 0
  #runStart = 0
  #end = 0

  constructor(most: number) {
    if (slab.length < most * PAIR_BYTES) slab = new Uint8Array(Math.max(SLAB_BYTES, most * PAIR_BYTES))
    this.#bytes = slab
  }

  add(node: number, pair: Uint8Array): void {
    if (node !== this.#runNode + (this.#end - this.#runStart) / PAIR_BYTES) {
      this.#close()
      this.#runNode = node
    }
    this.#bytes.set(pair, this.#end)
    this.#end += PAIR_BYTES
  }

  finish(): Piece[] {
    this.#close()
    slab = this.#bytes.subarray(this.#end)
    return this.#runs
  }

  #close(): void {
    if (this.#end > this.#runStart) {
      this.#runs.push({
        offset: this.#runNode * PAIR_BYTES,
        bytes: this.#bytes.subarray(this.#runStart, this.#end)
      })
    }
    this.#runStart = this.#end
  }
}
