/** One request to one provider, and what has come of it. */
import type { Piece } from '../../bao/decoder.ts'
import { bytesWithin, chunkCount, isWhole } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { RangesSeq, type RangesSeqEntry } from '../../protocol/ranges-seq.ts'
import type { LinkSource } from '../../protocol/receive.ts'
import type { GetManyRequest, GetRequest } from '../../protocol/request.ts'
import { keepGroups } from '../../store/kept-groups.ts'
import { PIECE_BYTES } from '../constants.ts'
import type { FetchProvider } from './fetch-provider.ts'
import type { Item } from './item.ts'
import { cutAfter } from './pieces.ts'

/** Some of a blob. */
export interface Share {
  readonly item: Item
  readonly ranges: ChunkRanges
  /** Guessed as long as the blob's size is not known. */
  readonly bytes: number
}

/** What a task may give up of one of its parts. */
export interface Tail {
  readonly part: Part
  readonly ranges: ChunkRanges
  readonly bytes: number
}

/** What a task asks for of one blob. */
export class Part {
  readonly item: Item
  /** Becomes less when a part of it is given to another provider. */
  ranges: ChunkRanges
  /** What is in the store. */
  got = ChunkRanges.empty
  /** Bytes still to come; guessed until the blob has begun. */
  left: number
  isDone = false
  #isHeld = true

  constructor({ item, ranges, bytes }: Share) {
    this.item = item
    this.ranges = ranges
    this.left = bytes
  }

  get rest(): ChunkRanges {
    return this.isDone ? ChunkRanges.empty : this.ranges.subtract(this.got)
  }

  /** The task has nothing to do with the blob any more. */
  letGo(): void {
    if (this.#isHeld) this.item.taskCount--
    this.#isHeld = false
  }
}

export class Task {
  readonly provider: FetchProvider
  readonly startedAt = performance.now()
  /** In the order of their index. */
  readonly #parts: Part[]
  readonly #byIndex: Map<number, Part>
  readonly #stopping = new AbortController()
  /** By hash, because the provider does not have the hash sequence. */
  readonly #isByHash: boolean
  #firstUndone = 0
  #left = 0
  /** Whether the response will bring more than is wanted of it by now. */
  #isCut = false
  /** Whether a byte has come. */
  hasBegun = false

  constructor(provider: FetchProvider, shares: readonly Share[], isByHash: boolean) {
    this.provider = provider
    this.#isByHash = isByHash
    this.#parts = shares.map(share => new Part(share))
    this.#byIndex = new Map(this.#parts.map((part, i) => [isByHash ? i : part.item.index, part]))
    for (const { item, left } of this.#parts) {
      item.taskCount++
      this.#left += left
    }
  }

  get parts(): readonly Part[] {
    return this.#parts
  }

  /** Bytes still to come, as far as known. */
  get left(): number {
    return this.#left
  }

  /** Aborts when the task is to end, because it is done or somebody else does the rest. */
  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  stop(): void {
    this.#stopping.abort(new Error('enough has been received'))
  }

  /** What the provider is asked. @param root the hash sequence, or the only blob */
  request(root: Hash): GetRequest | GetManyRequest {
    if (this.#isByHash) {
      const ranges = RangesSeq.fromList(this.#parts.map(part => part.ranges))
      return { type: 'get_many', hashes: this.#parts.map(({ item }) => item.hash), ranges }
    }
    const entries: RangesSeqEntry[] = []
    for (const { item, ranges } of this.#parts) {
      if (entries.at(-1)?.from === item.index) entries.pop()
      entries.push({ from: item.index, ranges }, { from: item.index + 1, ranges: ChunkRanges.empty })
    }
    return { type: 'get', hash: root, ranges: RangesSeq.fromEntries(entries) }
  }

  /** The hash sequence, as far as the request goes. */
  get links(): LinkSource {
    const last = this.#parts.at(-1)!.item.index
    return {
      count: last,
      link: async i => this.#byIndex.get(i + 1)!.item.hash,
      close: async () => undefined
    }
  }

  /** @param index in the request */
  partAt(index: number): Part {
    return this.#byIndex.get(index)!
  }

  /** The first part that has not come in full. */
  get current(): Part | undefined {
    while (this.#parts[this.#firstUndone]?.isDone) this.#firstUndone++
    return this.#parts[this.#firstUndone]
  }

  /** A blob begins, and its size is known. */
  begin(part: Part): void {
    part.ranges = part.item.trimmed(part.ranges)
    this.#setLeft(part, bytesWithin(part.rest, part.item.size!))
  }

  /** Leaves are in the store. @returns bytes that nobody has counted yet */
  landed(part: Part, leaves: readonly Piece[]): number {
    const size = part.item.size!
    if (isAllAtOnce(part, leaves)) {
      part.got = part.ranges
      part.item.received += size
      part.item.isSizeProven = true
      this.finish(part)
      return size
    }
    const fresh = keepGroups(leaves, size).ranges.intersect(part.ranges).subtract(part.got)
    if (fresh.isEmpty) return 0
    part.got = part.got.union(fresh)
    const bytes = bytesWithin(fresh, size)
    part.item.received += bytes
    if (fresh.contains(chunkCount(size) - 1)) part.item.isSizeProven = true
    this.#setLeft(part, Math.max(0, part.left - bytes))
    if (part.rest.isEmpty) this.finish(part)
    return bytes
  }

  /** All that was asked for of a blob has come. */
  finish(part: Part): void {
    if (part.isDone) return
    part.isDone = true
    this.#setLeft(part, 0)
    this.#stopWhenDone()
  }

  /**
   * What comes after about the next `keep` bytes: whole blobs that have not begun, and of one that is long its last pieces.
   * Nothing is less than a piece of a blob.
   */
  tailAfter(keep: number): Tail[] {
    const tail: Tail[] = []
    let kept = 0
    for (let i = this.#firstUndone; i < this.#parts.length; i++) {
      const part = this.#parts[i]!
      if (part.isDone) continue
      const { item, rest, left } = part
      const room = Math.max(0, keep - kept)
      const hasBegun = part === this.current && this.hasBegun
      kept += left
      if (left <= room) continue
      if (item.size !== undefined && left - room >= PIECE_BYTES) {
        const ranges = room === 0 && !hasBegun ? rest : cutAfter(rest, Math.max(1, room))[1]
        const bytes = bytesWithin(ranges, item.size)
        if (bytes >= Math.min(PIECE_BYTES, left)) tail.push({ part, ranges, bytes })
      } else if (!hasBegun && room === 0) {
        tail.push({ part, ranges: rest, bytes: left })
      }
    }
    return tail
  }

  /** What `tailAfter` has named is no business of this task any more. */
  giveUp(tail: readonly Tail[]): void {
    this.#isCut = true
    for (const { part, ranges, bytes } of tail) {
      part.ranges = part.ranges.subtract(ranges)
      this.#setLeft(part, Math.max(0, part.left - bytes))
      if (part.rest.isEmpty) part.isDone = true
    }
    this.#stopWhenDone()
  }

  /** The blob has to be begun anew: nothing of what comes here counts. */
  void(item: Item): void {
    const part = this.#parts.find(({ item: mine }) => mine === item)
    if (part === undefined) return
    part.ranges = ChunkRanges.empty
    this.#setLeft(part, 0)
    part.isDone = true
    this.stop()
  }

  #stopWhenDone(): void {
    if (this.#isCut && this.current === undefined) this.stop()
  }

  #setLeft(part: Part, left: number): void {
    this.#left += left - part.left
    part.left = left
  }
}

/** Whether it is a blob that came in one piece, as most small ones do. */
function isAllAtOnce({ item, ranges, got }: Part, leaves: readonly Piece[]): boolean {
  const size = item.size!
  return got.isEmpty && leaves[0]?.bytes.length === size && size > 0 && isWhole(ranges, size)
}
