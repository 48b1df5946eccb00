/**
 * A blob that is arriving, as long as somebody in this process writes to it. All its writers share this.
 *
 * What is written lies in memory, a part at a time, and counts as held at once, in this process. A part that is full goes up as
 * one fragment; what is not full goes up at the latest after 1 s. No more than two parts are ever in memory only, so that is
 * what a killed process loses. Who writes faster than that waits.
 */
import { GROUP_BYTES, PAIR_BYTES } from '../../bao/constants.ts'
import type { Piece, Verified } from '../../bao/decoder.ts'
import { chunkCount, isWhole } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { StoreError } from '../errors.ts'
import { keepGroups } from '../kept-groups.ts'
import type { ObjectContext } from './context.ts'
import { FragmentLayout } from './fragment.ts'
import { type Fragment, formatFragment, fragmentsOf } from './fragment-name.ts'
import { type Fragments, readNodes } from './fragments.ts'
import { LivePart } from './live-part.ts'
import type { Holder } from './part-memory.ts'
import type { Parts } from './parts.ts'
import { readInto } from './read-into.ts'

/** Milliseconds after which a group is saved, whether or not its part is full. */
export const SAVE_MS = 1000

/** Parts that may be in memory only: one that is being filled, and one that is on its way. */
const MOST_UNSAVED_PARTS = 2

/** Bytes of nodes of saved parts that are kept for the end, when all are needed: those of 4 GiB of data. */
const KEPT_NODE_BYTES = 16 * 1024 * 1024

export class Arrival {
  readonly hash: Hash
  /** Bytes, as claimed. */
  readonly size: number
  readonly parts: Parts
  /** What is saved. */
  readonly fragments: Fragments
  /** Writers that are open. */
  users = 0

  readonly #context: ObjectContext
  readonly #live = new Map<number, { readonly part: LivePart; readonly holder: Holder }>()
  /** Nodes above the parts, by their index. */
  readonly #top = new Map<number, Uint8Array>()
  readonly #savedNodes = new Map<number, Uint8Array>()
  #savedNodeBytes = 0
  #held: ChunkRanges
  #unsavedBytes = 0
  #timer: NodeJS.Timeout | undefined
  #tail: Promise<unknown> = Promise.resolve()
  #failure: unknown
  #isComplete = false

  constructor(context: ObjectContext, fragments: Fragments) {
    this.hash = fragments.hash
    this.size = fragments.size
    this.parts = fragments.parts
    this.fragments = fragments
    this.#context = context
    this.#held = fragments.held
  }

  /** Chunks that are held. */
  get held(): ChunkRanges {
    return this.#held
  }

  get isWhole(): boolean {
    return isWhole(this.#held, this.size)
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Makes writes fail. What is in memory only is held no longer. */
  fail(error: unknown): void {
    if (this.#failure !== undefined || this.#isComplete) return
    this.#failure = error
    this.#held = this.fragments.held
    clearTimeout(this.#timer)
    // Others may be waiting for its memory. What is on its way needs it for a while yet.
    for (const { part, holder } of this.#live.values())
      if (part.saving === undefined) this.#drop(part, holder)
    this.#context.changed(this.hash)
  }

  /** From now on there is nothing to write. */
  markComplete(): void {
    this.#isComplete = true
    this.#held = ChunkRanges.range(0, chunkCount(this.size))
    clearTimeout(this.#timer)
  }

  /** Keeps what was proven. One at a time: groups count when the nodes above them, which came before, are there. */
  async write(verified: Verified, signal?: AbortSignal): Promise<void> {
    const writing = this.#tail.then(() => this.#write(verified, signal))
    this.#tail = writing.catch(() => undefined)
    await writing
  }

  /** Reads groups that are in memory. @returns whether all of them were */
  readLive(offset: number, target: Uint8Array): boolean {
    const end = offset + target.length
    for (let at = offset; at < end; ) {
      const group = Math.floor(at / GROUP_BYTES)
      const part = this.#live.get(this.parts.of(group))?.part
      if (part?.data === undefined || !part.isInMemory(group)) return false
      const stop = Math.min(end, (group + 1) * GROUP_BYTES)
      const start = at - part.first * GROUP_BYTES
      target.set(part.data.subarray(start, start + stop - at), at - offset)
      at = stop
    }
    return true
  }

  /** A node of the outboard if it is known without reading. */
  node(index: number): Uint8Array | undefined {
    const part = this.parts.partOfNode(index)
    if (part === undefined) return this.#top.get(index)
    return this.#live.get(part)?.part.node(index)
  }

  /** Nodes of a saved part's fragment, if they are still at hand. */
  savedNodes(part: number): Uint8Array | undefined {
    return this.#savedNodes.get(part)
  }

  /** Saves all that is in memory only. @throws what has kept it from being saved */
  async save(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await Promise.all(Array.from(this.#live.values(), ({ part }) => this.#saveAll(part)))
    if (this.#failure !== undefined) throw this.#failure
  }

  /**
   * Saves every part as one fragment.
   *
   * @throws StoreError when the blob is not whole
   */
  async saveWholeParts(): Promise<void> {
    await this.save()
    for (let number = 0; number < this.parts.count && !this.#isComplete; number++) {
      while (this.fragments.wholePart(number) === undefined && !this.#isComplete) {
        await this.#savePart(this.#partOf(number), true)
        this.#check()
      }
    }
  }

  /** All data of a blob of one part, in memory. */
  async onlyPart(): Promise<LivePart> {
    const live = this.#partOf(0)
    await live.saving
    await this.#bringBack(live)
    return live
  }

  /** Waits until nothing is being saved. */
  async settle(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#tail
    for (const { part } of this.#live.values()) await part.saving
  }

  /** Waits until nothing is being saved, and gives its memory back. */
  async close(): Promise<void> {
    await this.settle()
    for (const { part, holder } of this.#live.values()) this.#drop(part, holder)
    this.#live.clear()
    this.#savedNodes.clear()
  }

  async #write(verified: Verified, signal: AbortSignal | undefined): Promise<void> {
    this.#check()
    for (const piece of verified.parents) this.#keepNodes(piece)
    const { runs, ranges } = keepGroups(verified.leaves, this.size)
    if (this.#isComplete || this.#held.containsAll(ranges)) return
    const touched = new Set<LivePart>()
    for (const { offset, pieces } of runs) {
      let group = offset / GROUP_BYTES
      for (const bytes of pieces) {
        const part = await this.#keepGroup(group++, bytes, signal)
        if (part !== undefined) touched.add(part)
      }
    }
    this.#held = this.#held.union(ranges)
    this.#context.changed(this.hash)
    // A blob of one part goes up whole when its writer closes.
    if (this.parts.count > 1) for (const part of touched) if (part.isFull) void this.#savePart(part)
    this.#timer ??= setTimeout(() => this.#onTimer(), SAVE_MS).unref()
    await this.#relieve(signal)
  }

  /** @returns the part it was put into; undefined when it was held already */
  async #keepGroup(
    group: number,
    bytes: Uint8Array,
    signal: AbortSignal | undefined
  ): Promise<LivePart | undefined> {
    const number = this.parts.of(group)
    if (this.fragments.wholePart(number) !== undefined) return undefined
    const live = this.#partOf(number)
    if (live.has(group)) return undefined
    if (live.data === undefined) await this.#giveMemory(live, signal)
    live.keep(group, bytes)
    live.unsavedSince ??= Date.now()
    this.#unsavedBytes += bytes.length
    return live
  }

  async #giveMemory(live: LivePart, signal?: AbortSignal): Promise<void> {
    const { holder } = this.#live.get(live.number)!
    const data = await this.#context.memory.take(live.bytes, holder, signal)
    // Somebody else may have got it meanwhile, and the blob may have been given up.
    if (live.data !== undefined || this.hasFailed) {
      this.#context.memory.give(data, holder)
      this.#check()
      return
    }
    live.setData(data)
  }

  #partOf(number: number): LivePart {
    let entry = this.#live.get(number)
    if (entry === undefined) {
      const part = new LivePart(this.parts, number, this.fragments.of(number))
      entry = { part, holder: { relieve: () => void this.#evict(part) } }
      this.#live.set(number, entry)
    }
    this.#context.memory.touch(entry.holder)
    return entry.part
  }

  #keepNodes({ offset, bytes }: Piece): void {
    const first = offset / PAIR_BYTES
    for (let i = 0; i * PAIR_BYTES < bytes.length; i++) {
      const node = bytes.subarray(i * PAIR_BYTES, (i + 1) * PAIR_BYTES)
      const part = this.parts.partOfNode(first + i)
      if (part === undefined) {
        if (!this.#top.has(first + i)) this.#top.set(first + i, node.slice())
      } else if (this.fragments.wholePart(part) === undefined) this.#partOf(part).keepNode(first + i, node)
    }
  }

  /** Waits until no more is in memory only than may be. */
  async #relieve(signal: AbortSignal | undefined): Promise<void> {
    while (this.#unsavedBytes >= MOST_UNSAVED_PARTS * this.parts.bytes && !this.#isComplete) {
      const parts = Array.from(this.#live.values(), ({ part }) => part)
      const next = parts.find(part => part.saving !== undefined) ?? parts.find(isUnsaved)
      if (next === undefined) break
      await this.#savePart(next)
      this.#check()
      signal?.throwIfAborted()
    }
  }

  #onTimer(): void {
    this.#timer = undefined
    if (this.#failure !== undefined || this.#isComplete) return
    const due = Date.now() - SAVE_MS
    for (const { part } of this.#live.values()) {
      if (part.unsavedSince !== undefined && part.unsavedSince <= due) void this.#savePart(part)
    }
    if (this.#unsavedBytes > 0) this.#timer = setTimeout(() => this.#onTimer(), SAVE_MS / 4).unref()
  }

  /** Saves a part and gives its memory to somebody else. */
  async #evict(part: LivePart): Promise<void> {
    await this.#saveAll(part)
    const entry = this.#live.get(part.number)
    if (entry?.part === part) this.#drop(part, entry.holder)
  }

  /** Saves what is in memory only, also what comes meanwhile. */
  async #saveAll(part: LivePart): Promise<void> {
    await part.saving
    while (isUnsaved(part) && !this.hasFailed && !this.#isComplete) await this.#savePart(part)
  }

  #drop(part: LivePart, holder: Holder): void {
    const data = part.takeData()
    if (data !== undefined) this.#context.memory.give(data, holder)
  }

  /** Saves what is in memory only. Never rejects: a failure is the blob's. @param whole one fragment for all of the part */
  #savePart(part: LivePart, whole = false): Promise<void> {
    part.saving ??= this.#saveFragments(part, whole)
      .catch(error => this.fail(error))
      .finally(() => {
        part.saving = undefined
        const entry = this.#live.get(part.number)
        if (this.hasFailed && entry !== undefined) this.#drop(part, entry.holder)
      })
    return part.saving
  }

  async #saveFragments(part: LivePart, whole: boolean): Promise<void> {
    if (this.#failure !== undefined || this.#isComplete) return
    const unsaved = part.unsaved
    const isFull = part.isFull && (whole || this.parts.count > 1)
    if (unsaved.length === 0 && !(isFull && whole)) return
    part.unsavedSince = undefined
    const before = this.fragments.of(part.number)
    let groups = unsaved
    if (isFull && before.length > 0) {
      await this.#bringBack(part)
      groups = Array.from({ length: this.parts.endGroup(part.number) - part.first }, (_, i) => part.first + i)
    }
    for (const fragment of fragmentsOf(this.size, groups)) {
      if (!(await this.#putFragment(part, fragment, isFull ? before : []))) return
    }
    for (const group of unsaved) this.#unsavedBytes -= this.parts.bytesOf(group, group + 1)
    if (isFull) await this.#onPartSaved(part, before)
  }

  /** @returns false when somebody else has completed the blob */
  async #putFragment(part: LivePart, fragment: Fragment, dropped: readonly Fragment[]): Promise<boolean> {
    const { storage, metadata } = this.#context
    const layout = new FragmentLayout(fragment)
    const nodes = this.#gatherNodes(part, layout)
    await storage.put(this.fragments.keyOf(fragment), [...fragment.spans.map(span => part.view(span)), nodes])
    if (this.#failure !== undefined) return false
    const isKept = metadata.keepFragment(this.hash, {
      size: this.size,
      add: formatFragment(fragment),
      drop: dropped.map(formatFragment)
    })
    if (!isKept) {
      this.markComplete()
      return false
    }
    if (dropped.length > 0) this.fragments.replace(fragment)
    else this.fragments.add(fragment)
    part.markSaved(fragment.spans)
    if (part.isFull && this.fragments.wholePart(part.number) !== undefined) this.#keepSavedNodes(part, nodes)
    return true
  }

  async #onPartSaved(part: LivePart, before: readonly Fragment[]): Promise<void> {
    const entry = this.#live.get(part.number)
    if (this.parts.count > 1 && entry !== undefined) {
      this.#drop(part, entry.holder)
      this.#live.delete(part.number)
    }
    await this.#context.storage.delete(before.map(fragment => this.fragments.keyOf(fragment)))
  }

  #keepSavedNodes(part: LivePart, nodes: Uint8Array): void {
    if (this.#savedNodeBytes + nodes.length > KEPT_NODE_BYTES) return
    this.#savedNodeBytes += nodes.length
    this.#savedNodes.set(part.number, nodes)
  }

  #gatherNodes(part: LivePart, layout: FragmentLayout): Uint8Array {
    const nodes = new Uint8Array(layout.nodes.length * PAIR_BYTES)
    layout.nodes.forEach((index, i) => {
      const bytes = part.node(index) ?? this.#top.get(index)
      if (bytes === undefined)
        throw new StoreError(`a parent of blob ${this.hash} was not written before its data`)
      nodes.set(bytes, i * PAIR_BYTES)
    })
    return nodes
  }

  /** Reads into memory what of a part lies in fragments only. */
  async #bringBack(part: LivePart): Promise<void> {
    if (part.isAllInMemory) return
    if (part.data === undefined) await this.#giveMemory(part)
    const { storage } = this.#context
    for (const fragment of this.fragments.of(part.number)) {
      const layout = new FragmentLayout(fragment)
      const key = this.fragments.keyOf(fragment)
      let at = 0
      for (const span of fragment.spans) {
        const target = part.view(span)
        await readInto(storage, key, at, target)
        at += target.length
      }
      part.markInMemory(fragment.spans)
      const nodes = await readNodes(storage, key, layout)
      layout.nodes.forEach((index, i) => {
        const bytes = nodes.subarray(i * PAIR_BYTES, (i + 1) * PAIR_BYTES)
        if (this.parts.partOfNode(index) === undefined) this.#top.set(index, bytes.slice())
        else part.keepNode(index, bytes)
      })
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}

function isUnsaved(part: LivePart): boolean {
  return part.unsavedSince !== undefined
}
