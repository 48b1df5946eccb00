/** A part of a blob that is arriving: what of it is kept, and what lies in fragments. */
import { GROUP_BYTES, PAIR_BYTES } from '../../bao/constants.ts'
import type { Fragment } from './fragment-name.ts'
import type { GroupSpan, NodeRange, Parts } from './parts.ts'

/** Where the blob's data is while it arrives: see `place.ts`. */
const KEPT = 1
/** In a fragment. */
const SAVED = 2

export class LivePart {
  readonly number: number
  /** All its groups. */
  readonly groups: GroupSpan
  /** Bytes of data of the whole part. */
  readonly bytes: number
  /** When the oldest group that is not saved came, in ms since 1970. */
  unsavedSince: number | undefined
  /** What is under way to save it. */
  saving: Promise<void> | undefined
  #pins = 0
  #unpinned = Promise.withResolvers<void>()
  #data: Uint8Array | undefined
  readonly #parts: Parts
  readonly #flags: Uint8Array
  readonly #nodeRange: NodeRange
  readonly #nodes: Uint8Array
  readonly #hasNode: Uint8Array

  constructor(parts: Parts, number: number, saved: readonly Fragment[]) {
    this.number = number
    this.groups = parts.groupsOf(number)
    this.bytes = parts.bytesOf(this.groups)
    this.#parts = parts
    this.#flags = new Uint8Array(this.groups.to - this.groups.from)
    this.#nodeRange = parts.nodesOf(number)
    const nodes = this.#nodeRange.end - this.#nodeRange.start
    this.#nodes = new Uint8Array(nodes * PAIR_BYTES)
    this.#hasNode = new Uint8Array(nodes)
    for (const { spans } of saved) this.markSaved(spans)
  }

  /** Keeps its memory from being taken away. Not to be held by who waits for other memory. */
  pin(): void {
    this.#pins++
  }

  unpin(): void {
    if (--this.#pins > 0) return
    this.#unpinned.resolve()
    this.#unpinned = Promise.withResolvers()
  }

  get isPinned(): boolean {
    return this.#pins > 0
  }

  /** When nobody has it pinned any more. It may be pinned again by then. */
  get unpinned(): Promise<void> {
    return this.#pins === 0 ? Promise.resolve() : this.#unpinned.promise
  }

  /** The memory for its data, while it has any. */
  get data(): Uint8Array | undefined {
    return this.#data
  }

  /** @param data of `bytes` bytes */
  setData(data: Uint8Array): void {
    this.#data = data
  }

  /** Gives up its memory: nothing is kept any more. */
  takeData(): Uint8Array | undefined {
    const data = this.#data
    this.#data = undefined
    for (let i = 0; i < this.#flags.length; i++) this.#flags[i]! &= ~KEPT
    return data
  }

  has(group: number): boolean {
    return this.#flags[group - this.groups.from] !== 0
  }

  hasAll({ from, to }: GroupSpan): boolean {
    return !this.#flags.subarray(from - this.groups.from, to - this.groups.from).includes(0)
  }

  get isFull(): boolean {
    return !this.#flags.includes(0)
  }

  isKept(group: number): boolean {
    return (this.#flags[group - this.groups.from]! & KEPT) !== 0
  }

  /** Whether all of its data is kept. */
  get isAllKept(): boolean {
    return this.#flags.every(flag => (flag & KEPT) !== 0)
  }

  /** Groups that are kept, and in no fragment, ascending. */
  get unsaved(): number[] {
    const first = this.groups.from
    const flags = this.#flags
    const groups: number[] = []
    for (let i = 0; i < flags.length; i++) if (flags[i] === KEPT) groups.push(first + i)
    return groups
  }

  /** Puts the bytes of groups, from `first` on, into memory, which there must be. They are kept when they are marked so. */
  setGroups(first: number, pieces: readonly Uint8Array[]): void {
    let at = (first - this.groups.from) * GROUP_BYTES
    for (const bytes of pieces) {
      this.#data!.set(bytes, at)
      at += bytes.length
    }
  }

  /** Where the bytes of groups are. There must be memory. */
  view(span: GroupSpan): Uint8Array {
    const start = (span.from - this.groups.from) * GROUP_BYTES
    return this.#data!.subarray(start, start + this.#parts.bytesOf(span))
  }

  /** Marks those groups as kept that are not there yet. @returns how many bytes these have */
  markNew({ from, to }: GroupSpan): number {
    const first = this.groups.from
    const flags = this.#flags
    let bytes = 0
    for (let start = from; start < to; start++) {
      let end = start
      while (end < to && flags[end - first] === 0) end++
      if (end === start) continue
      flags.fill(KEPT, start - first, end - first)
      bytes += this.#parts.bytesOf({ from: start, to: end })
      start = end
    }
    return bytes
  }

  markSaved(spans: readonly GroupSpan[]): void {
    for (const span of spans) this.#mark(span, SAVED)
  }

  markKept(spans: readonly GroupSpan[]): void {
    for (const span of spans) this.#mark(span, KEPT)
  }

  /** Keeps nodes that follow each other. @param first index of the first */
  keepNodes(first: number, bytes: Uint8Array): void {
    const at = first - this.#nodeRange.start
    this.#nodes.set(bytes, at * PAIR_BYTES)
    this.#hasNode.fill(1, at, at + bytes.length / PAIR_BYTES)
  }

  /** The node's bytes if they are known. */
  node(node: number): Uint8Array | undefined {
    return this.nodes(node, 1)
  }

  /** Nodes that follow each other, from one on, up to `most` of them; undefined when the first is not known. */
  nodes(first: number, most: number): Uint8Array | undefined {
    const { start, end } = this.#nodeRange
    if (first < start || first >= end) return undefined
    const at = first - start
    const wanted = this.#hasNode.subarray(at, at + most)
    const gap = wanted.indexOf(0)
    const known = gap < 0 ? wanted.length : gap
    return known === 0 ? undefined : this.#nodes.subarray(at * PAIR_BYTES, (at + known) * PAIR_BYTES)
  }

  #mark({ from, to }: GroupSpan, flag: number): void {
    const first = this.groups.from
    const flags = this.#flags
    for (let i = from - first; i < to - first; i++) flags[i]! |= flag
  }
}
