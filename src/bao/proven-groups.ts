/**
 * Finding out what is right of a blob that is damaged: unlike the encoder, which stops at the first wrong byte, this goes on
 * behind it.
 */
import type { Hash } from '../hash.ts'
import { CHUNK_BYTES, CV_BYTES, PAIR_BYTES } from './constants.ts'
import { kernel as defaultKernel, type Kernel } from './kernel/index.ts'
import { ChunkRanges } from './ranges.ts'
import { type Batch, type EncodeSource, Planner, StoredBatch } from './stored-batches.ts'
import { MAX_DEPTH, TreeWalker } from './walker.ts'

export interface ProveOptions {
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of data looked at so far, at most once per MiB. */
  readonly onProgress?: ((bytes: number) => void) | undefined
  readonly kernel?: Kernel | undefined
}

/**
 * The chunk groups, of those that the source holds, that are proven right by the source's own outboard.
 *
 * Whatever is wrong, all is read once, up to 2 MiB of it in memory. A wrong node of the outboard proves nothing of what is below
 * it: a caller who can compute the outboard anew does so before. So all nodes above the groups that are returned are right, too.
 *
 * @returns whole groups, the last one of the blob may be short
 * @throws what the source throws when it cannot be read, and the signal's reason when it aborts
 */
export async function provenGroups(
  hash: Hash,
  source: EncodeSource,
  { signal, onProgress, kernel = defaultKernel }: ProveOptions = {}
): Promise<ChunkRanges> {
  const ranges = source.held ?? ChunkRanges.all
  const planner = new Planner(source, ranges)
  const prover = new Prover(hash, source.size, ranges, kernel)
  // The batch that is being looked at and the one that is being read.
  const buffers = [new StoredBatch(), new StoredBatch()] as const
  let turn = 0
  const read = (batch: Batch): Promise<StoredBatch> | undefined => {
    if (batch.isEmpty) return undefined
    const reading = buffers[turn++ % 2]!.read(batch, source, signal)
    // Awaited, and its failure thrown, when its turn comes.
    reading.catch(() => undefined)
    return reading
  }
  let batch = planner.next()
  let reading = read(batch)
  try {
    while (reading !== undefined) {
      const stored: StoredBatch = await reading
      const following = planner.next()
      reading = read(following)
      prover.look(batch, stored)
      onProgress?.(prover.bytes)
      batch = following
    }
  } finally {
    // The source must not be closed while it is being read.
    await reading?.catch(() => undefined)
  }
  return prover.proven
}

/** Walks the tree beside those who read it, and knows of each node that comes what it must be. */
class Prover {
  /** Bytes of data looked at. */
  bytes = 0
  readonly #walker: TreeWalker
  readonly #kernel: Kernel
  /** What the pending subtrees must have as chaining values, the next one last, and whether that is known. */
  readonly #expected = new Uint8Array(MAX_DEPTH * CV_BYTES)
  readonly #isKnown = new Uint8Array(MAX_DEPTH)
  #pending = 1
  readonly #found = new Uint8Array(CV_BYTES)
  readonly #boundaries: number[] = []

  constructor(hash: Hash, size: number, ranges: ChunkRanges, kernel: Kernel) {
    this.#walker = new TreeWalker(size, ranges)
    this.#kernel = kernel
    this.#expected.set(hash.bytes)
    this.#isKnown[0] = 1
  }

  get proven(): ChunkRanges {
    return ChunkRanges.fromBoundaries(this.#boundaries)
  }

  /** Looks at the nodes of one batch, which come in the order of the walk. */
  look(batch: Batch, stored: StoredBatch): void {
    for (let left = batch.count; left > 0 && this.#walker.next(); left--) {
      if (this.#walker.isLeaf) this.#lookAtGroup(stored)
      else this.#lookAtParent(stored)
    }
  }

  #lookAtGroup(stored: StoredBatch): void {
    const { start, end, bytes, isRoot } = this.#walker
    this.bytes += bytes
    const expected = this.#takeExpected()
    if (expected === undefined) return
    this.#kernel.subtree(stored.data.view(start * CHUNK_BYTES, bytes), start, isRoot, this.#found)
    if (!isSame(this.#found, expected)) return
    if (this.#boundaries.at(-1) === start) this.#boundaries.pop()
    else this.#boundaries.push(start)
    this.#boundaries.push(end)
  }

  #lookAtParent(stored: StoredBatch): void {
    const { node, isRoot, wantsLeft, wantsRight } = this.#walker
    const pair = stored.outboard.view(node * PAIR_BYTES, PAIR_BYTES)
    const expected = this.#takeExpected()
    let isRight = false
    if (expected !== undefined) {
      this.#kernel.parent(pair, isRoot, this.#found)
      isRight = isSame(this.#found, expected)
    }
    if (wantsRight) this.#expect(pair.subarray(CV_BYTES), isRight)
    if (wantsLeft) this.#expect(pair.subarray(0, CV_BYTES), isRight)
  }

  #takeExpected(): Uint8Array | undefined {
    const place = --this.#pending
    if (this.#isKnown[place] === 0) return undefined
    return this.#expected.subarray(place * CV_BYTES, (place + 1) * CV_BYTES)
  }

  #expect(value: Uint8Array, isKnown: boolean): void {
    const place = this.#pending++
    this.#isKnown[place] = isKnown ? 1 : 0
    if (isKnown) this.#expected.set(value, place * CV_BYTES)
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i])
}
