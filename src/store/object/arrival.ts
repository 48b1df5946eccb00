/**
 * A blob that is arriving, as long as somebody in this process writes to it. All its writers share this.
 *
 * What is written is kept, in memory or in a body (`place.ts`), and counts as held at once, in this process. A part that is full is
 * saved as one fragment; what is not full is saved at the latest after 1 s. No more than two parts are ever in no fragment, so that
 * is what a killed process loses. Who writes faster than that waits.
 */
import { GROUP_BYTES, GROUP_CHUNKS, PAIR_BYTES } from '../../bao/constants.ts'
import type { Piece, Verified } from '../../bao/decoder.ts'
import { chunkCount, isWhole } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { StoreError } from '../errors.ts'
import { type GroupRun, keepGroups } from '../kept-groups.ts'
import { Limiter } from '../limiter.ts'
import { abortable, allDone } from '../waiting.ts'
import { dropBytes, firstBytes } from '../write-all.ts'
import { BodyPlace, type OpenBody } from './body-place.ts'
import type { ObjectContext } from './context.ts'
import { FragmentLayout } from './fragment.ts'
import { type Fragment, formatFragment, fragmentsOf, isWholePart } from './fragment-name.ts'
import { type Fragments, readNodes } from './fragments.ts'
import { hasOutboard } from './layout.ts'
import { LivePart } from './live-part.ts'
import { isServable, listStored } from './lookup.ts'
import { MemoryPlace } from './memory-place.ts'
import { type GroupSpan, type NodeRange, PART_BYTES, type Parts } from './parts.ts'
import type { Place, PlaceOwner } from './place.ts'
import { ObjectNotFoundError } from './storage/errors.ts'

/** Milliseconds after which a group is saved, whether or not its part is full. */
export const SAVE_MS = 1000

/** Bytes that may be in no fragment: a part that is being filled, and one that is being saved. */
export const MOST_UNSAVED_BYTES = 2 * PART_BYTES

/** Bytes of nodes of saved parts that are kept for the end, when all are needed: those of 4 GiB of data. */
const KEPT_NODE_BYTES = 16 * 1024 * 1024

/** Parts of which nodes are in memory, 32 KiB each: who wants pieces from everywhere touches all parts of a blob. */
const MOST_LIVE_PARTS = 512

/** Fragments that are on their way at once. */
const MOST_PUTS = 8

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
  readonly #place: Place
  /** The least recently used first. */
  readonly #live = new Map<number, LivePart>()
  /** Nodes above the parts, by their index. */
  readonly #top = new Map<number, Uint8Array>()
  readonly #savedNodes = new Map<number, readonly Uint8Array[]>()
  readonly #puts = new Limiter(MOST_PUTS)
  readonly #writing = new Set<Promise<void>>()
  /** Aborts when nothing more is to be kept. */
  readonly #over = new AbortController()
  #savedNodeBytes = 0
  #held: ChunkRanges
  #unsavedBytes = 0
  #timer: NodeJS.Timeout | undefined
  #failure: unknown
  #isAbandoned = false
  #isComplete = false

  /** @param body where what arrives is written to; undefined: it is kept in memory. It is closed with this */
  constructor(context: ObjectContext, fragments: Fragments, body: OpenBody | undefined) {
    this.hash = fragments.hash
    this.size = fragments.size
    this.parts = fragments.parts
    this.fragments = fragments
    this.#context = context
    this.#held = fragments.held
    const owner: PlaceOwner = {
      over: this.#over.signal,
      isComplete: () => this.#isComplete,
      check: () => this.#check(),
      save: part => this.#savePart(part)
    }
    this.#place =
      body === undefined
        ? new MemoryPlace(context, fragments, owner)
        : new BodyPlace(context, fragments, owner, body)
  }

  /** Chunks that are held. */
  get held(): ChunkRanges {
    return this.hasFailed ? this.fragments.held : this.#held
  }

  get isWhole(): boolean {
    return isWhole(this.held, this.size)
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Why writes fail. */
  get failure(): unknown {
    return this.#failure
  }

  /** Makes writes fail. What is in no fragment is held no longer. */
  fail(error: unknown): void {
    if (this.#failure !== undefined || this.#isComplete) return
    this.#failure = error
    this.#end()
    this.#context.changed(this.hash)
  }

  /** As `fail`, and what is on its way is not to be kept either. */
  abandon(error: unknown): void {
    this.#isAbandoned = true
    this.fail(error)
  }

  /** From now on there is nothing to write. */
  markComplete(): void {
    if (this.#isComplete) return
    this.#isComplete = true
    this.#held = ChunkRanges.range(0, chunkCount(this.size))
    this.#end()
  }

  /** Keeps what was proven, at the same time as others do. The nodes above these groups came before, or are among it. */
  async write(verified: Verified, signal?: AbortSignal): Promise<void> {
    const writing = this.#write(verified, signal)
    this.#writing.add(writing)
    try {
      await writing
    } finally {
      this.#writing.delete(writing)
    }
  }

  async #write(verified: Verified, signal: AbortSignal | undefined): Promise<void> {
    this.#check()
    for (const piece of verified.parents) this.#keepNodes(piece)
    const { runs, ranges } = keepGroups(verified.leaves, this.size)
    if (this.#isComplete || this.#held.containsAll(ranges)) return
    const kept: GroupSpan[] = []
    const keep = async (groups: GroupSpan, pieces: readonly Uint8Array[]): Promise<void> => {
      await this.#keep(groups, pieces, signal)
      if (!this.#isComplete) kept.push(groups)
    }
    try {
      await allDone(Array.from(this.#byPart(runs), ({ groups, pieces }) => keep(groups, pieces)))
    } finally {
      // Also when it was aborted half-way.
      kept.sort((a, b) => a.from - b.from)
      if (!this.#isComplete) this.#held = this.#held.union(chunksOfSpans(kept, this.size))
      this.#context.changed(this.hash)
    }
    if (!this.#isComplete) await this.#relieve(signal)
  }

  /** Reads groups that are kept. @returns whether all of them were */
  async readLive(offset: number, target: Uint8Array): Promise<boolean> {
    const end = offset + target.length
    for (let at = offset; at < end; ) {
      const part = this.#live.get(this.parts.of(Math.floor(at / GROUP_BYTES)))
      if (part === undefined) return false
      const stop = Math.min(end, part.groups.to * GROUP_BYTES)
      for (let group = Math.floor(at / GROUP_BYTES); group * GROUP_BYTES < stop; group++)
        if (!part.isKept(group)) return false
      if (!(await this.#place.read(part, at, target.subarray(at - offset, stop - offset)))) return false
      at = stop
    }
    return true
  }

  /** A node of the outboard if it is known without reading. */
  node(index: number): Uint8Array | undefined {
    const part = this.parts.partOfNode(index)
    if (part === undefined) return this.#top.get(index)
    return this.#live.get(part)?.node(index)
  }

  /** Whether the nodes of all parts are still at hand. */
  get hasAllNodes(): boolean {
    return this.#savedNodes.size === this.parts.count
  }

  /** Nodes of a saved part's fragment, in pieces, if they are still at hand. */
  savedNodes(part: number): readonly Uint8Array[] | undefined {
    return this.#savedNodes.get(part)
  }

  /** Makes the data's object, when all parts are saved and the outboard is there. @throws ObjectNotFoundError when something is gone */
  async completeData(signal: AbortSignal | undefined): Promise<void> {
    await this.#place.complete(signal)
  }

  /** Saves all that is in no fragment. @throws what has kept it from being saved */
  async save(): Promise<void> {
    this.#stopTimer()
    await Promise.all(Array.from(this.#live.values(), part => this.#saveAll(part)))
    this.#check()
  }

  /**
   * Saves every part as one fragment, whose data is where the data's object is made from.
   *
   * @throws StoreError when the blob is not whole
   */
  async saveWholeParts(): Promise<void> {
    await this.save()
    for (let number = 0; number < this.parts.count; number++) {
      while (!this.#isSavedWhole(number)) {
        if (this.#isComplete) return
        const part = this.#partOf(number)
        if (!part.isFull) throw new StoreError(`part ${number} of blob ${this.hash} is not whole`)
        await this.#savePart(part, true)
        this.#check()
      }
    }
  }

  /** Gives all data of a blob of one part to `action`, in memory. It is not saved meanwhile, nor taken away. */
  async withOnlyPart(action: (part: LivePart) => Promise<void>): Promise<void> {
    const part = this.#partOf(0)
    part.pin()
    try {
      await part.saving
      this.#check()
      await this.#place.gather(part, this.fragments.of(part.number))
      await this.#gatherNodes(part, new FragmentLayout({ size: this.size, spans: [part.groups] }))
      if (!this.#isComplete) await action(part)
    } finally {
      this.#unpin(part)
    }
  }

  /** Waits until nothing is being saved. */
  async settle(): Promise<void> {
    this.#stopTimer()
    while (this.#writing.size > 0) await Promise.allSettled(this.#writing)
    await Promise.all(Array.from(this.#live.values(), part => part.saving))
    await this.#place.settle()
  }

  /** Waits until nothing is being saved, and gives back its memory and what it holds open. */
  async close(): Promise<void> {
    await this.settle()
    this.#end()
    this.#live.clear()
    this.#savedNodes.clear()
    await this.#place.close()
  }

  /** Runs of groups, cut where parts end. */
  *#byPart(
    runs: readonly GroupRun[]
  ): Generator<{ readonly groups: GroupSpan; readonly pieces: readonly Uint8Array[] }> {
    for (const { offset, length, pieces } of runs) {
      const end = Math.ceil((offset + length) / GROUP_BYTES)
      let rest = pieces
      for (let from = offset / GROUP_BYTES; from < end; ) {
        const to = Math.min(this.parts.endGroup(this.parts.of(from)), end)
        // The last group of a blob may be short: what is left is all of it.
        const bytes = to === end ? Infinity : (to - from) * GROUP_BYTES
        yield { groups: { from, to }, pieces: firstBytes(rest, bytes) }
        if (to < end) rest = dropBytes(rest, bytes)
        from = to
      }
    }
  }

  /** Keeps groups that follow each other in one part. */
  async #keep(
    groups: GroupSpan,
    pieces: readonly Uint8Array[],
    signal: AbortSignal | undefined
  ): Promise<void> {
    const number = this.parts.of(groups.from)
    if (this.fragments.wholePart(number) !== undefined) return
    const part = this.#partOf(number)
    if (part.hasAll(groups)) return
    part.pin()
    try {
      if (!(await this.#place.keep(part, groups.from, pieces, signal))) return
      const bytes = part.markNew(groups)
      this.#unsavedBytes += bytes
      if (bytes > 0) part.unsavedSince ??= Date.now()
    } finally {
      this.#unpin(part)
    }
    // A blob of one part goes up whole when its writer closes.
    if (this.parts.count > 1 && part.isFull) void this.#savePart(part)
    this.#timer ??= setTimeout(() => this.#onTimer(), SAVE_MS).unref()
  }

  #partOf(number: number): LivePart {
    const part = this.#live.get(number) ?? new LivePart(this.parts, number, this.fragments.of(number))
    // The one used last comes last.
    this.#live.delete(number)
    this.#live.set(number, part)
    if (this.#live.size > MOST_LIVE_PARTS) this.#forgetOldest()
    return part
  }

  /** Forgets the nodes of a part that nothing is known of but what is saved. */
  #forgetOldest(): void {
    for (const [number, part] of this.#live) {
      if (part.data !== undefined || isUnsaved(part) || part.saving !== undefined || part.isPinned) continue
      this.#live.delete(number)
      return
    }
  }

  #keepNodes({ offset, bytes }: Piece): void {
    const first = offset / PAIR_BYTES
    const end = first + bytes.length / PAIR_BYTES
    for (let index = first; index < end; ) {
      const part = this.parts.partOfNode(index)
      // All of a part at once: to look for the part of each costs as much as writing it.
      const stop = part === undefined ? index + 1 : Math.min(this.parts.nodesOf(part).end, end)
      const nodes = bytes.subarray((index - first) * PAIR_BYTES, (stop - first) * PAIR_BYTES)
      if (part !== undefined) this.#keepNodesOfPart(part, index, nodes)
      else if (!this.#top.has(index)) this.#top.set(index, nodes.slice())
      index = stop
    }
  }

  #keepNodesOfPart(part: number, first: number, nodes: Uint8Array): void {
    if (this.fragments.wholePart(part) === undefined) this.#partOf(part).keepNodes(first, nodes)
  }

  /** Waits until no more is in no fragment than may be. */
  async #relieve(signal: AbortSignal | undefined): Promise<void> {
    while (this.#unsavedBytes >= MOST_UNSAVED_BYTES && !this.#isComplete) {
      const parts = [...this.#live.values()]
      const next = parts.find(part => part.saving !== undefined) ?? parts.find(isUnsaved)
      if (next === undefined) break
      await abortable(this.#savePart(next), signal)
      this.#check()
    }
  }

  #onTimer(): void {
    this.#timer = undefined
    if (this.#over.signal.aborted) return
    const due = Date.now() - SAVE_MS
    for (const part of this.#live.values()) {
      if (part.unsavedSince !== undefined && part.unsavedSince <= due && !part.isPinned)
        void this.#savePart(part)
    }
    if (this.#unsavedBytes > 0) this.#timer = setTimeout(() => this.#onTimer(), SAVE_MS / 4).unref()
  }

  #stopTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Saves what is in no fragment, also what comes meanwhile. */
  async #saveAll(part: LivePart): Promise<void> {
    await part.saving
    while (isUnsaved(part) && !this.#over.signal.aborted) await this.#savePart(part)
  }

  /** Nothing more is to be kept: others may be waiting for the memory. */
  #end(): void {
    this.#stopTimer()
    this.#over.abort()
    for (const part of this.#live.values()) this.#dropIfDone(part)
  }

  #unpin(part: LivePart): void {
    part.unpin()
    this.#dropIfDone(part)
  }

  /** Gives back the memory of a part that is not needed any more, unless somebody is still at it. */
  #dropIfDone(part: LivePart): void {
    const isDone = this.#over.signal.aborted || this.#live.get(part.number) !== part
    if (isDone && part.saving === undefined && !part.isPinned) this.#place.drop(part)
  }

  /** Saves what is in no fragment. Never rejects: a failure is the blob's. @param whole one fragment for all of the part */
  #savePart(part: LivePart, whole = false): Promise<void> {
    part.saving ??= this.#saveFragments(part, whole)
      .catch(error => this.fail(error))
      .finally(() => {
        part.saving = undefined
        this.#dropIfDone(part)
      })
    return part.saving
  }

  async #saveFragments(part: LivePart, whole: boolean): Promise<void> {
    if (this.#over.signal.aborted) return
    part.unsavedSince = undefined
    const unsaved = part.unsaved
    const becomesWhole = part.isFull && (whole || this.parts.count > 1)
    if (unsaved.length === 0 && !(becomesWhole && whole)) return
    const others = becomesWhole ? this.fragments.of(part.number) : []
    try {
      const { body } = this.#place
      await this.#place.gather(part, others)
      const fragments = becomesWhole
        ? [{ size: this.size, spans: [part.groups], body }]
        : fragmentsOf(this.size, unsaved, body)
      for (const fragment of fragments) await this.#putFragment(part, fragment, others)
    } catch (error) {
      const isGone = error instanceof ObjectNotFoundError
      if (!isGone || !(await this.#lookAnew(part, whole))) throw error
    }
    for (const group of unsaved) this.#unsavedBytes -= this.parts.bytesOfGroup(group)
    if (!becomesWhole || this.#over.signal.aborted) return
    if (this.parts.count > 1) this.#live.delete(part.number)
    // What this leaves behind goes when the blob is complete, or deleted.
    await this.#delete(others).catch(() => undefined)
  }

  /** Whether a part is saved as one fragment, whose data is where the data's object is made from. */
  #isSavedWhole(part: number): boolean {
    const fragment = this.fragments.wholePart(part)
    return fragment !== undefined && this.#isHere(fragment)
  }

  /** Whether the data's object can be made of a fragment's data without bringing it elsewhere. */
  #isHere({ body }: Fragment): boolean {
    return this.#place.body === undefined || body === this.#place.body
  }

  async #putFragment(part: LivePart, fragment: Fragment, others: readonly Fragment[]): Promise<void> {
    const { metadata } = this.#context
    if (this.#over.signal.aborted) return
    const layout = new FragmentLayout(fragment)
    const nodes = await this.#gatherNodes(part, layout)
    await this.#puts.run(() => this.#place.put(part, fragment, this.fragments.keyOf(fragment), nodes))
    // Deleted meanwhile, or completed by somebody else: then nobody would ever look for it.
    if (this.#isAbandoned || this.#isComplete) return await this.#delete([fragment])
    const isKept = metadata.keepFragment(this.hash, {
      size: this.size,
      add: formatFragment(fragment),
      drop: others.map(formatFragment)
    })
    if (!isKept) {
      this.markComplete()
      return await this.#delete([fragment])
    }
    if (!isWholePart(fragment)) this.fragments.add(fragment)
    else {
      this.fragments.replace(fragment)
      this.#keepSavedNodes(part, nodes, layout.nodeBytes)
      this.#place.onWhole(part.number)
    }
    part.markSaved(fragment.spans)
  }

  async #delete(fragments: readonly Fragment[]): Promise<void> {
    if (fragments.length > 0)
      await this.#context.storage.delete(fragments.map(fragment => this.fragments.keyOf(fragment)))
  }

  /** @param bytes of all pieces: they are where the part has them, which is not written to any more */
  #keepSavedNodes(part: LivePart, nodes: readonly Uint8Array[], bytes: number): void {
    if (this.#savedNodeBytes + bytes > KEPT_NODE_BYTES) return
    this.#savedNodeBytes += bytes
    this.#savedNodes.set(part.number, nodes)
  }

  /** In pieces. @throws StoreError when one is missing */
  async #gatherNodes(part: LivePart, layout: FragmentLayout): Promise<readonly Uint8Array[]> {
    const known = this.#nodesIn(part, layout.nodes)
    if (known !== undefined) return known
    // Those of a part that was forgotten are in its fragments.
    for (const fragment of this.fragments.of(part.number)) await this.#bringBackNodes(part, fragment)
    const nodes = this.#nodesIn(part, layout.nodes)
    if (nodes === undefined)
      throw new StoreError(`a parent of blob ${this.hash} was not written before its data`)
    return nodes
  }

  /** @param wanted nodes in the part and above it. @returns undefined when one is not known */
  #nodesIn(part: LivePart, wanted: readonly NodeRange[]): Uint8Array[] | undefined {
    const pieces: Uint8Array[] = []
    for (const { start, end } of wanted) {
      for (let index = start; index < end; ) {
        const bytes = part.nodes(index, end - index) ?? this.#top.get(index)
        if (bytes === undefined) return undefined
        pieces.push(bytes)
        index += bytes.length / PAIR_BYTES
      }
    }
    return pieces
  }

  async #bringBackNodes(part: LivePart, fragment: Fragment): Promise<void> {
    const layout = new FragmentLayout(fragment)
    const nodes = await readNodes(this.#context.storage, this.fragments.keyOf(fragment), layout)
    let at = 0
    for (const { start, end } of layout.nodes) {
      for (let index = start; index < end; index++) {
        const bytes = nodes.subarray(at, at + PAIR_BYTES)
        // What is known has been proven since this process began; what is in a fragment, before that.
        if (this.parts.partOfNode(index) !== undefined) {
          if (part.node(index) === undefined) part.keepNodes(index, bytes)
        } else if (!this.#top.has(index)) {
          this.#top.set(index, bytes.slice())
        }
        at += PAIR_BYTES
      }
    }
  }

  /**
   * A fragment is gone, or our body. Another store on the same storage may have put those of the part together, or have completed the blob.
   *
   * @param isToBeHere whether a whole part counts only where the data's object is made from
   * @returns whether nothing is lost; else what is gone is not held any more
   */
  async #lookAnew(part: LivePart, isToBeHere: boolean): Promise<boolean> {
    const { metadata } = this.#context
    const stored = await listStored(this.#context, this.hash)
    if (this.#over.signal.aborted || metadata.isDeletionPending(this.hash)) return false
    if (isServable(stored) && stored.data === this.size) {
      metadata.markComplete(this.hash, { size: this.size, hasOutboard: hasOutboard(this.size) })
      this.markComplete()
      return true
    }
    const there = new Set(stored.fragments.map(formatFragment))
    const gone = this.fragments.of(part.number).filter(fragment => !there.has(formatFragment(fragment)))
    const whole = stored.fragments.find(
      fragment =>
        fragment.size === this.size &&
        isWholePart(fragment) &&
        this.parts.of(fragment.spans[0]!.from) === part.number &&
        (!isToBeHere || this.#isHere(fragment))
    )
    if (whole !== undefined) {
      const drop = this.fragments.of(part.number).map(formatFragment)
      const add = formatFragment(whole)
      if (!metadata.keepFragment(this.hash, { size: this.size, add, drop })) this.markComplete()
      this.fragments.replace(whole)
      part.markSaved(whole.spans)
      return true
    }
    metadata.dropFragments(this.hash, gone.map(formatFragment))
    this.fragments.drop(gone)
    this.#place.onLost()
    return false
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}

function isUnsaved(part: LivePart): boolean {
  return part.unsavedSince !== undefined
}

function chunksOfSpans(spans: readonly GroupSpan[], size: number): ChunkRanges {
  const boundaries: number[] = []
  for (const { from, to } of spans) {
    if (boundaries.at(-1) === from * GROUP_CHUNKS) boundaries.pop()
    else boundaries.push(from * GROUP_CHUNKS)
    boundaries.push(Math.min(to * GROUP_CHUNKS, chunkCount(size)))
  }
  return ChunkRanges.fromBoundaries(boundaries)
}
