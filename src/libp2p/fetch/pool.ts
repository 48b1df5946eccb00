/** What a fetch lacks and nobody is being asked for: providers take from it, and what they do not bring comes back. */

import { bytesWithin } from '../../bao/geometry.ts'
import type { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { abortable } from '../../store/waiting.ts'
import { CHILDREN_PER_TASK, PIECE_BYTES } from '../constants.ts'
import type { FetchProvider } from './fetch-provider.ts'
import type { Item } from './item.ts'
import { cutAfter } from './pieces.ts'
import type { Share } from './task.ts'

/** What a child is taken for, in bytes, before any has come. */
const TYPICAL_BYTES = 16 * 1024

/** What the blob that is fetched is taken for, in bytes, before its size is known. */
const UNKNOWN_BYTES = 1024 * 1024 * 1024

export interface PoolInit {
  /** Most ranges of chunks to take at a time. */
  readonly rangesPerRequest: number
  /** All of a blob has come. */
  readonly onDone?: ((item: Item) => void) | undefined
}

export class Pool {
  /** Becomes another one whenever there may be more to take than before. */
  version = 0
  /** Bytes that can be taken, guessed where sizes are not known. */
  left = 0
  readonly #init: PoolInit
  /** By index. Those at the front that are all taken are skipped. */
  #items: Item[] = []
  #first = 0
  readonly #undone = new Map<string, Item>()
  /** Blobs that something can be taken of. */
  #open = 0
  #taken: PromiseWithResolvers<void> | undefined
  #isClosed = false
  #sizes = { count: 0, bytes: 0 }

  constructor(init: PoolInit) {
    this.#init = init
  }

  /** Adds what lies behind all that was added before. */
  add(items: readonly Item[]): void {
    this.#items = [...this.#items.filter(item => this.#undone.has(item.hash.toString())), ...items]
    this.#first = 0
    for (const item of items) {
      this.#undone.set(item.hash.toString(), item)
      this.#setTodo(item, item.todo)
    }
    this.version++
  }

  /** Nothing more will be added. */
  close(): void {
    this.#isClosed = true
  }

  /** Whether all has come. */
  get isFinished(): boolean {
    return this.#isClosed && this.#undone.size === 0
  }

  /** Blobs that have not come in full. */
  get undone(): Iterable<Item> {
    return this.#undone.values()
  }

  /** Resolves when nothing is left to be taken. */
  async untilTaken(signal: AbortSignal): Promise<void> {
    while (this.#open > 0) {
      this.#taken ??= Promise.withResolvers()
      await abortable(this.#taken.promise, signal)
    }
  }

  get undoneCount(): number {
    return this.#undone.size
  }

  has(hash: Hash): boolean {
    return this.#undone.has(hash.toString())
  }

  /**
   * Takes what the provider can be asked for in one request.
   *
   * @param bytes about so many; Infinity: all that fits
   */
  take(provider: FetchProvider, bytes: number): Share[] {
    while (this.#items[this.#first]?.todo.isEmpty) this.#first++
    const from = Math.max(this.#first, this.#positionOf(provider.firstIndex))
    const shares = this.#takeFrom(provider, from, bytes)
    if (shares.length > 0 || from === this.#first) return shares
    provider.firstIndex = 0
    return this.#takeFrom(provider, this.#first, bytes)
  }

  giveBack(item: Item, ranges: ChunkRanges): void {
    if (ranges.isEmpty) return
    this.#first = 0
    this.#setTodo(item, item.todo.union(item.trimmed(ranges)))
    this.version++
  }

  /** The blob's size is known, or claimed. */
  sized(item: Item): void {
    this.#sizes.count++
    // A few large ones say nothing about the others.
    this.#sizes.bytes += Math.min(item.size!, PIECE_BYTES)
    this.#setTodo(item, item.trimmed(item.todo))
  }

  /** Begins a blob anew, whose size was not what it seemed. */
  restart(item: Item, size: number): void {
    item.size = size
    item.received = 0
    this.#setTodo(item, item.trimmed(item.wanted))
    this.version++
  }

  /** To be called when a task has let go of a blob. */
  settle(item: Item): void {
    if (item.taskCount > 0 || !item.todo.isEmpty || !this.#undone.delete(item.hash.toString())) return
    item.stopWatching()
    this.#init.onDone?.(item)
  }

  #takeFrom(provider: FetchProvider, first: number, bytes: number): Share[] {
    const shares: Share[] = []
    const most = Math.min(CHILDREN_PER_TASK, provider.mostItems)
    let room = this.#init.rangesPerRequest
    for (let i = first; i < this.#items.length; i++) {
      if (bytes <= 0 || room <= 0 || shares.length >= most) break
      const item = this.#items[i]!
      if (item.todo.isEmpty) continue
      const usable = item.heldBy(provider, item.todo)
      if (usable.isEmpty) continue
      const ranges = this.#head(item, usable, bytes).first(room)
      const share = { item, ranges, bytes: this.#bytesOf(item, ranges) }
      this.#setTodo(item, item.todo.subtract(ranges))
      shares.push(share)
      room -= Math.ceil(ranges.boundaries.length / 2)
      bytes -= share.bytes
    }
    return shares
  }

  /** As much of one blob as is to be asked for at a time. */
  #head(item: Item, usable: ChunkRanges, bytes: number): ChunkRanges {
    if (!Number.isFinite(bytes)) return usable
    // Less than a piece is not left over.
    const isAll =
      item.size === undefined ? !item.isLarge : bytesWithin(usable, item.size) < bytes + PIECE_BYTES
    return isAll ? usable : cutAfter(usable, bytes)[0]
  }

  #setTodo(item: Item, todo: ChunkRanges): void {
    this.#open += Number(!todo.isEmpty) - Number(item.isOpen)
    item.isOpen = !todo.isEmpty
    const bytes = this.#bytesOf(item, todo)
    this.left += bytes - item.todoBytes
    item.todo = todo
    item.todoBytes = bytes
    if (this.#open > 0) return
    this.#taken?.resolve()
    this.#taken = undefined
  }

  #bytesOf(item: Item, ranges: ChunkRanges): number {
    if (ranges.isEmpty) return 0
    if (item.size !== undefined) return bytesWithin(ranges, item.size)
    if (!item.isLarge) {
      const { count, bytes } = this.#sizes
      return count === 0 ? TYPICAL_BYTES : Math.ceil(bytes / count)
    }
    return Math.min(UNKNOWN_BYTES, bytesWithin(ranges, UNKNOWN_BYTES))
  }

  /** Where items from this index on begin. */
  #positionOf(index: number): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#items[middle]!.index < index) low = middle + 1
      else high = middle
    }
    return low
  }
}
