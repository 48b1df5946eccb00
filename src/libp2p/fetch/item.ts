/** One blob that a fetch lacks something of. */
import { chunkCount } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import type { FetchProvider } from './fetch-provider.ts'

/** What is known of what a provider holds of a blob. */
export interface Holding {
  /** As the provider tells; undefined when it was not asked, or cannot tell. */
  held: ChunkRanges | undefined
  /** What it was asked for in vain. */
  lacks: ChunkRanges
  /** How often it was asked in vain for what it says that it holds. */
  misses: number
  /** Ends the telling, while the provider tells what it holds. */
  watch: AbortController | undefined
}

/** So many of them are enough. */
const MAX_MISSES = 3

export interface ItemInit {
  /** 0 for the blob that is fetched, from 1 on for its children. */
  readonly index: number
  readonly hash: Hash
  /** What is missing. */
  readonly ranges: ChunkRanges
  /** Bytes, when it is known for certain. */
  readonly size?: number | undefined
  /** Whether to share it out among the providers before its size is known. */
  readonly isLarge: boolean
}

/** Thousands of small blobs have the same few sizes. */
let lastWhole = { chunks: 1, ranges: ChunkRanges.range(0, 1) }

function wholeOf(chunks: number): ChunkRanges {
  if (lastWhole.chunks !== chunks) lastWhole = { chunks, ranges: ChunkRanges.range(0, chunks) }
  return lastWhole.ranges
}

export class Item {
  readonly index: number
  readonly hash: Hash
  readonly isLarge: boolean
  /** What was missing at first. */
  readonly wanted: ChunkRanges
  /** What nobody is being asked for. Set by the pool. */
  todo: ChunkRanges
  /** Bytes of it, guessed as long as the size is not known. */
  todoBytes = 0
  /** Whether the pool counts it among those that something can be taken of. */
  isOpen = false
  /** Bytes that have come. */
  received = 0
  /** Bytes, as the first provider claimed that said anything. */
  size: number | undefined
  isSizeProven: boolean
  /** Who claimed the size. */
  claimant: FetchProvider | undefined
  /** Tasks in which it is being asked for. */
  taskCount = 0
  #holdings: Map<FetchProvider, Holding> | undefined

  constructor({ index, hash, ranges, size, isLarge }: ItemInit) {
    this.index = index
    this.hash = hash
    this.isLarge = isLarge
    this.size = size
    this.isSizeProven = size !== undefined
    this.wanted = ranges
    this.todo = ranges
  }

  /** These ranges, up to the blob's end as far as it is known. */
  trimmed(ranges: ChunkRanges): ChunkRanges {
    if (this.size === undefined || ranges.isEmpty) return ranges
    return ranges.intersect(wholeOf(chunkCount(this.size)))
  }

  /** What of these ranges the provider may be asked for. */
  heldBy(provider: FetchProvider, ranges: ChunkRanges): ChunkRanges {
    const holding = this.knownHolding(provider)
    if (holding === undefined) return ranges
    if (holding.misses >= MAX_MISSES) return ChunkRanges.empty
    if (holding.held !== undefined) return ranges.intersect(holding.held)
    // A child is taken for small until somebody says that it is not: then there is no other part of it to ask for.
    const isOnePiece = this.size === undefined && !this.isLarge && !holding.lacks.isEmpty
    return isOnePiece ? ChunkRanges.empty : ranges.subtract(holding.lacks)
  }

  /** Begins to keep account of what the provider holds. */
  holdingOf(provider: FetchProvider): Holding {
    // Most blobs never need this, and there may be thousands.
    this.#holdings ??= new Map()
    let holding = this.#holdings.get(provider)
    if (holding === undefined) {
      holding = { held: undefined, lacks: ChunkRanges.empty, misses: 0, watch: undefined }
      this.#holdings.set(provider, holding)
    }
    return holding
  }

  /** Nobody needs to tell any more what it holds: all has come. */
  stopWatching(): void {
    for (const { watch } of this.#holdings?.values() ?? [])
      watch?.abort(new Error('all of the blob has come'))
  }

  /** As far as anything is known. */
  knownHolding(provider: FetchProvider): Holding | undefined {
    return this.#holdings?.get(provider)
  }
}
