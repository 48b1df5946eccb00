/**
 * Checks an encoding while it arrives (protocol/README.md, "Verification"). Synchronous and without I/O: whoever reads the
 * bytes hands them in, in pieces of any size, and gets back what has been proven. Or he asks for one node after the other, puts data
 * and parents each where they are to be, and has them checked there.
 *
 * All nodes that lie whole in the bytes at hand are checked by one call of the kernel. Nodes come in pre-order, so the
 * kernel's "how many were good before the first bad one" is exactly how much of the stream may be believed.
 */
import type { Hash } from '../hash.ts'
import { CHUNK_BYTES, CV_BYTES, PAIR_BYTES } from './constants.ts'
import { HashMismatchError } from './errors.ts'
import { isWholeGroups } from './geometry.ts'
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

/** What one call of {@link Decoder.decode} or {@link Decoder.check} has proven. */
export interface Verified {
  /** Bytes of the input that belong to nodes found good. */
  readonly consumed: number
  /**
   * Data, ascending, as views of the input: each piece is one leaf, or, where data and parents came apart, whole chunk groups that
   * follow each other.
   */
  readonly leaves: readonly Piece[]
  /**
   * Outboard, ascending: runs of consecutive 64-byte nodes; copied, but where data and parents came apart. Parents inside a chunk
   * group are not among them.
   */
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

/** Nodes to be checked by one call of the kernel. */
class Jobs {
  /** As the kernel takes them. */
  readonly words: Uint32Array
  /** First chunk of each, and its index in the outboard. */
  readonly start: Float64Array
  readonly node: Float64Array

  constructor(most: number) {
    this.words = new Uint32Array(most * JOB_WORDS)
    this.start = new Float64Array(most)
    this.node = new Float64Array(most)
  }
}

/** Those of {@link Decoder.decode}, for all decoders: a call is synchronous and leaves nothing behind in them. */
const shared = new Jobs(MAX_JOBS)

/** Nodes that may be added before they have to be checked. */
const MAX_ADDED = 256

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
  /** Nodes that were added, if any ever were. */
  #own: Jobs | undefined
  #added = 0
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
      this.#addJob(shared, count++, offset, length)
      offset += length
      this.#hasNode = this.#walker.next()
    }
    if (count === 0) return NOTHING

    const bytes = input.subarray(0, offset)
    const good = this.#verify(shared, count, bytes)
    return this.#outcome(shared, good, count, new LeafByLeaf(bytes), new CopiedParents(good, bytes))
  }

  /** Whether the next node is a leaf: of the data from chunk {@link position} on. */
  get isLeaf(): boolean {
    return this.#walker.isLeaf
  }

  /** How many nodes have been added and not been checked. */
  get added(): number {
    return this.#added
  }

  /** Whether {@link check} has to come before {@link add}. */
  get mustCheck(): boolean {
    return this.#added === MAX_ADDED
  }

  /**
   * For who puts data and parents in different places: the next node, whose bytes are all there, is to be checked, and the one behind
   * it is the next.
   *
   * @param at where it begins: a leaf in the `data`, a parent in the `parents` that `check` will be given
   */
  add(at: number): void {
    this.#own ??= new Jobs(MAX_ADDED)
    this.#addJob(this.#own, this.#added++, at, this.#walker.bytes)
    this.#hasNode = this.#walker.next()
  }

  /**
   * Checks what was added since the last time.
   *
   * @param parents together with `data` at most 1 MiB and 128 KiB
   */
  check(parents: Uint8Array, data: Uint8Array): Verified {
    const jobs = this.#own
    const count = this.#added
    if (this.#failed || jobs === undefined || count === 0) return NOTHING
    this.#added = 0
    // To the kernel the data comes behind the parents.
    for (let job = 0; job < count; job++) {
      const at = job * JOB_WORDS
      if ((jobs.words[at + JOB_FLAGS]! & FLAG_PARENT) === 0) jobs.words[at + JOB_OFFSET]! += parents.length
    }
    const good = this.#verify(jobs, count, parents, data)
    return this.#outcome(
      jobs,
      good,
      count,
      new GroupRuns(parents.length, data, this.size),
      new ParentViews(parents)
    )
  }

  #addJob(jobs: Jobs, job: number, offset: number, length: number): void {
    const { words } = jobs
    const walker = this.#walker
    const at = job * JOB_WORDS
    words[at + JOB_FLAGS] = (walker.isLeaf ? 0 : FLAG_PARENT) | (walker.isRoot ? FLAG_ROOT : 0)
    words[at + JOB_OFFSET] = offset
    words[at + JOB_LENGTH] = length
    words[at + JOB_CHUNK_LOW] = walker.start >>> 0
    words[at + JOB_CHUNK_HIGH] = Math.floor(walker.start / 2 ** 32)
    words[at + JOB_EXPECTED] = this.#expected[--this.#pending]!
    jobs.start[job] = walker.start
    jobs.node[job] = walker.node
    if (!walker.isLeaf) {
      if (walker.wantsRight) this.#expected[this.#pending++] = CARRY_BYTES + offset + CV_BYTES
      if (walker.wantsLeft) this.#expected[this.#pending++] = CARRY_BYTES + offset
    }
  }

  /**
   * @param input where the parents are, at least
   * @returns how many are good
   */
  #verify(jobs: Jobs, count: number, input: Uint8Array, data?: Uint8Array): number {
    const good = this.#kernel.verify(input, this.#carry, jobs.words, count, data)
    if (good < count) this.#failed = true
    else this.#keepExpected(input)
    return good
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

  #outcome(
    { words, start, node }: Jobs,
    good: number,
    count: number,
    leaves: Leaves,
    parents: Parents
  ): Verified {
    let consumed = 0
    for (let job = 0; job < good; job++) {
      const at = job * JOB_WORDS
      const offset = words[at + JOB_OFFSET]!
      const length = words[at + JOB_LENGTH]!
      consumed += length
      if ((words[at + JOB_FLAGS]! & FLAG_PARENT) === 0) {
        const from = start[job]! * CHUNK_BYTES
        leaves.add(from, offset, length)
        if (from + length === this.size) this.#isSizeProven = true
      } else if (node[job] !== INSIDE_GROUP) {
        parents.add(node[job]!, offset)
      }
    }
    const proven = { consumed, leaves: leaves.finish(), parents: parents.finish() }
    if (good === count) return proven
    const isParent = (words[good * JOB_WORDS + JOB_FLAGS]! & FLAG_PARENT) !== 0
    return { ...proven, error: new HashMismatchError(isParent ? 'parent' : 'leaf', start[good]!) }
  }
}

/** Makes pieces of the leaves that are good. */
interface Leaves {
  /** @param at where it is in the kernel's input */
  add(offset: number, at: number, length: number): void
  finish(): Piece[]
}

class LeafByLeaf implements Leaves {
  readonly #input: Uint8Array
  readonly #leaves: Piece[] = []

  constructor(input: Uint8Array) {
    this.#input = input
  }

  add(offset: number, at: number, length: number): void {
    this.#leaves.push({ offset, bytes: this.#input.subarray(at, at + length) })
  }

  finish(): Piece[] {
    return this.#leaves
  }
}

/** Whole groups that follow each other, in the blob and in memory, make one piece: an object for each would cost more. */
class GroupRuns implements Leaves {
  readonly #base: number
  readonly #data: Uint8Array
  readonly #size: number
  readonly #leaves: Piece[] = []
  #offset = 0
  #at = 0
  #length = 0
  #isOpen = false

  /** @param base where the data begins in the kernel's input */
  constructor(base: number, data: Uint8Array, size: number) {
    this.#base = base
    this.#data = data
    this.#size = size
  }

  add(offset: number, at: number, length: number): void {
    const isGroup = isWholeGroups(offset, length, this.#size)
    const follows = offset === this.#offset + this.#length && at === this.#at + this.#length
    if (this.#isOpen && isGroup && follows) {
      this.#length += length
      return
    }
    this.#close()
    this.#offset = offset
    this.#at = at
    this.#length = length
    this.#isOpen = true
    if (!isGroup) this.#close()
  }

  finish(): Piece[] {
    this.#close()
    return this.#leaves
  }

  #close(): void {
    if (!this.#isOpen) return
    const from = this.#at - this.#base
    this.#leaves.push({ offset: this.#offset, bytes: this.#data.subarray(from, from + this.#length) })
    this.#isOpen = false
  }
}

/** Gathers 64-byte nodes into runs that are consecutive in the outboard. */
interface Parents {
  /** @param at where the pair is in the kernel's input */
  add(node: number, at: number): void
  finish(): Piece[]
}

/** Where parents lie side by side, as in the outboard. */
class ParentViews implements Parents {
  readonly #input: Uint8Array
  readonly #runs: Piece[] = []
  #runNode = 0
  #from = 0
  #end = 0

  constructor(input: Uint8Array) {
    this.#input = input
  }

  add(node: number, at: number): void {
    if (at !== this.#end || node !== this.#runNode + (this.#end - this.#from) / PAIR_BYTES) {
      this.#close()
      this.#runNode = node
      this.#from = at
    }
    this.#end = at + PAIR_BYTES
  }

  finish(): Piece[] {
    this.#close()
    return this.#runs
  }

  #close(): void {
    if (this.#end > this.#from) {
      this.#runs.push({
        offset: this.#runNode * PAIR_BYTES,
        bytes: this.#input.subarray(this.#from, this.#end)
      })
    }
  }
}

/**
 * Memory for the parents of several calls, those of 4 MiB of data; who holds on to a run keeps all of it. Never written twice. Larger
 * ones are in use for so long that V8 takes them for old, and frees them late: they added up to 4 MiB for each GiB.
 */
const SLAB_BYTES = 16 * 1024
let slab = new Uint8Array(0)

/** Where they lie between the data. */
class CopiedParents implements Parents {
  readonly #input: Uint8Array
  readonly #bytes: Uint8Array<ArrayBuffer>
  readonly #runs: Piece[] = []
  #runNode = 0
  #runStart = 0
  #end = 0

  constructor(most: number, input: Uint8Array) {
    if (slab.length < most * PAIR_BYTES) slab = new Uint8Array(Math.max(SLAB_BYTES, most * PAIR_BYTES))
    this.#input = input
    this.#bytes = slab
  }

  add(node: number, at: number): void {
    if (node !== this.#runNode + (this.#end - this.#runStart) / PAIR_BYTES) {
      this.#close()
      this.#runNode = node
    }
    this.#bytes.set(this.#input.subarray(at, at + PAIR_BYTES), this.#end)
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
