/** A part of a blob that is arriving: what of it is in memory, and what lies in fragments. */
import { GROUP_BYTES, PAIR_BYTES } from '../../bao/constants.ts'
import type { Fragment, GroupSpan } from './fragment-name.ts'
import type { NodeRange, Parts } from './parts.ts'

const IN_MEMORY = 1
const SAVED = 2

export class LivePart {
  readonly number: number
  /** Number of its first group. */
  readonly first: number
  /** Bytes of data of the whole part. */
  readonly bytes: number
  /** When the oldest group that is not saved came, in ms since 1970. */
  unsavedSince: number | undefined
  /** What is under way to save it. */
  saving: Promise<void> | undefined
  #data: Uint8Array | undefined
  readonly #parts: Parts
  readonly #flags: Uint8Array
  readonly #nodeRange: NodeRange
  readonly #nodes: Uint8Array
  readonly #hasNode: Uint8Array

  constructor(parts: Parts, number: number, saved: readonly Fragment[]) {
    this.number = number
    this.first = parts.firstGroup(number)
    const end = parts.endGroup(number)
    this.bytes = parts.bytesOf(this.first, end)
    this.#parts = parts
    this.#flags = new Uint8Array(end - this.first)
    this.#nodeRange = parts.nodesOf(number)
    const nodes = this.#nodeRange.end - this.#nodeRange.start
    this.#nodes = new Uint8Array(nodes * PAIR_BYTES)
    this.#hasNode = new Uint8Array(nodes)
    for (const { spans } of saved) for (const { from, to } of spans) this.#mark(from, to, SAVED)
  }

  /** The memory for its data, while it has any. */
  get data(): Uint8Array | undefined {
    return this.#data
  }

  /** @param data of `bytes` bytes */
  setData(data: Uint8Array): void {
    this.#data = data
  }

  /** Gives up its memory: nothing is in memory any more. */
  takeData(): Uint8Array | undefined {
    const data = this.#data
    this.#data = undefined
    for (let i = 0; i < this.#flags.length; i++) this.#flags[i]! &= ~IN_MEMORY
    return data
  }

  has(group: number): boolean {
    return this.#flags[group - this.first] !== 0
  }

  get isFull(): boolean {
    return !this.#flags.includes(0)
  }

  isInMemory(group: number): boolean {
    return (this.#flags[group - this.first]! & IN_MEMORY) !== 0
  }

  /** Whether all of its data is in memory. */
  get isAllInMemory(): boolean {
    return this.#flags.every(flag => (flag & IN_MEMORY) !== 0)
  }

  /** Groups that are in memory only, ascending. */
  get unsaved(): number[] {
    const groups: number[] = []
    for (const [i, flag] of this.#flags.entries()) if (flag === IN_MEMORY) groups.push(this.first + i)
    return groups
  }

  /** Keeps a group's bytes. There must be memory. */
  keep(group: number, bytes: Uint8Array): void {
    this.#data!.set(bytes, (group - this.first) * GROUP_BYTES)
    this.#flags[group - this.first]! |= IN_MEMORY
  }

  /** The bytes of groups that are in memory. */
  view({ from, to }: GroupSpan): Uint8Array {
    const start = (from - this.first) * GROUP_BYTES
    return this.#data!.subarray(start, start + this.#parts.bytesOf(from, to))
  }

  markSaved(spans: readonly GroupSpan[]): void {
    for (const { from, to } of spans) this.#mark(from, to, SAVED)
  }

  markInMemory(spans: readonly GroupSpan[]): void {
    for (const { from, to } of spans) this.#mark(from, to, IN_MEMORY)
  }

  keepNode(node: number, bytes: Uint8Array): void {
    const at = node - this.#nodeRange.start
    this.#nodes.set(bytes, at * PAIR_BYTES)
    this.#hasNode[at] = 1
  }

  /** The node's bytes if they are known. */
  node(node: number): Uint8Array | undefined {
    const at = node - this.#nodeRange.start
    return this.#hasNode[at] === 1 ? this.#nodes.subarray(at * PAIR_BYTES, (at + 1) * PAIR_BYTES) : undefined
  }

  #mark(from: number, to: number, flag: number): void {
    for (let group = from; group < to; group++) this.#flags[group - this.first]! |= flag
  }
}
