/**
 * Reads what is held of a blob that is not complete: out of what its arrival keeps, and out of fragments.
 *
 * While it is open the blob may become complete, and its fragments be gone: then the storage is asked anew what there is.
 */
import { GROUP_BYTES, GROUP_CHUNKS, PAIR_BYTES } from '../../bao/constants.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import type { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { BlobDamagedError, HandleClosedError } from '../errors.ts'
import type { BlobReader } from '../index.ts'
import { abortable } from '../waiting.ts'
import type { Arrival } from './arrival.ts'
import type { ObjectContext } from './context.ts'
import { FragmentLayout } from './fragment.ts'
import { type Fragment, formatFragment } from './fragment-name.ts'
import { Fragments, readNodes } from './fragments.ts'
import { dataKey, outboardKey } from './layout.ts'
import { isServable, listStored } from './lookup.ts'
import { type GroupSpan, PART_BYTES } from './parts.ts'
import { readInto } from './read-into.ts'
import { ObjectNotFoundError, ObjectTooShortError } from './storage/errors.ts'

/** Fragments whose nodes are kept in memory: 32 KiB each. */
const MOST_OPENED = 16

/** How often the storage is asked anew before reading fails. */
const ATTEMPTS = 4

export class PartialReader implements BlobReader {
  readonly hash: Hash
  readonly size: number
  readonly held: ChunkRanges
  readonly #context: ObjectContext
  readonly #arrival: Arrival | undefined
  readonly #onClose: (reader: PartialReader) => void
  readonly #opened = new Map<string, OpenedFragment>()
  readonly #closing = new AbortController()
  #fragments: Fragments
  #heldGroups: readonly number[] | undefined
  #isComplete = false

  /** @param arrival that of this process, if there is one */
  constructor(
    context: ObjectContext,
    fragments: Fragments,
    arrival: Arrival | undefined,
    onClose: (reader: PartialReader) => void
  ) {
    this.hash = fragments.hash
    this.size = fragments.size
    this.held = arrival?.held ?? fragments.held
    this.#context = context
    this.#fragments = arrival?.fragments ?? fragments
    this.#arrival = arrival
    this.#onClose = onClose
  }

  async readData(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#check('data', offset, target, this.size, signal)
    await this.#again(target, signal, async done => {
      const rest = target.subarray(done)
      if (this.#isComplete) {
        await readInto(this.#context.storage, dataKey(this.hash), offset + done, rest, signal)
        return rest.length
      }
      return await this.#readPiece(offset + done, rest, signal)
    })
  }

  /** Nodes that are not held are left as they are in `target`: nobody looks at them. */
  async readOutboard(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#check('outboard', offset, target, outboardBytes(this.size), signal)
    await this.#again(target, signal, async done => {
      if (this.#isComplete) {
        const rest = target.subarray(done)
        await readInto(this.#context.storage, outboardKey(this.hash), offset + done, rest, signal)
        return rest.length
      }
      const index = (offset + done) / PAIR_BYTES
      if (this.#holdsNode(index)) target.set(await this.#node(index, signal), done)
      return PAIR_BYTES
    })
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new HandleClosedError('reader', this.hash))
    this.#onClose(this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #check(
    kind: string,
    offset: number,
    target: Uint8Array,
    size: number,
    signal: AbortSignal | undefined
  ): void {
    signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    if (offset < 0 || offset + target.length > size) {
      throw new RangeError(`cannot read ${target.length} bytes at ${offset} of the ${kind}: it has ${size}`)
    }
  }

  /** Reads step by step until `target` is full, and looks anew at what there is when an object is gone. */
  async #again(
    target: Uint8Array,
    signal: AbortSignal | undefined,
    step: (done: number) => Promise<number>
  ): Promise<void> {
    let attempts = 0
    for (let done = 0; done < target.length; ) {
      try {
        done += await step(done)
      } catch (error) {
        if (error instanceof ObjectTooShortError) throw new BlobDamagedError(this.hash, error.message)
        if (!(error instanceof ObjectNotFoundError) || ++attempts === ATTEMPTS) throw error
        await this.#lookAnew(signal)
      }
    }
  }

  async #lookAnew(signal: AbortSignal | undefined): Promise<void> {
    const stored = await listStored(this.#context, this.hash, signal)
    this.#isComplete = isServable(stored) && stored.data === this.size
    this.#opened.clear()
    this.#fragments = new Fragments(this.hash, this.size, stored.fragments.map(formatFragment))
  }

  /** @returns how many bytes were read, at least one */
  async #readPiece(offset: number, target: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
    const group = Math.floor(offset / GROUP_BYTES)
    const part = this.#fragments.parts.of(group)
    const inPart = target.subarray(0, (part + 1) * PART_BYTES - offset)
    if (await this.#arrival?.readLive(offset, inPart)) return inPart.length
    const inGroup = target.subarray(0, (group + 1) * GROUP_BYTES - offset)
    if (await this.#arrival?.readLive(offset, inGroup)) return inGroup.length
    const fragment = this.#find({ from: group, to: group + 1 })
    const place = fragment && this.#open(fragment).layout.placeOfData(offset)
    if (place === undefined)
      throw new ObjectNotFoundError(`with byte ${offset} of blob ${this.hash}`, this.#context.storage.name)
    const piece = target.subarray(0, place.length)
    await readInto(this.#context.storage, this.#fragments.dataKeyOf(fragment!), place.at, piece, signal)
    return piece.length
  }

  async #node(index: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const live = this.#arrival?.node(index)
    if (live !== undefined) return live
    const fragment = this.#find(this.#fragments.parts.groupsBelow(index))
    const opened = fragment && this.#open(fragment)
    const place = opened?.layout.placeOfNode(index)
    if (place === undefined)
      throw new ObjectNotFoundError(`with node ${index} of blob ${this.hash}`, this.#context.storage.name)
    const nodes = await this.#nodesOf(fragment!, opened!, signal)
    const at = place - opened!.layout.dataBytes
    return nodes.subarray(at, at + PAIR_BYTES)
  }

  /** Whether any group below a node is held: then the node is, too. */
  #holdsNode(index: number): boolean {
    this.#heldGroups ??= this.held.boundaries.map(chunk => Math.ceil(Number(chunk) / GROUP_CHUNKS))
    const { from, to } = this.#fragments.parts.groupsBelow(index)
    let low = 0
    let high = this.#heldGroups.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#heldGroups[middle]! <= from) low = middle + 1
      else high = middle
    }
    return low % 2 === 1 || (this.#heldGroups[low] ?? Infinity) < to
  }

  /** A fragment with one of these groups. One of every part below a node has the nodes above the parts. */
  #find({ from, to }: GroupSpan): Fragment | undefined {
    const { parts } = this.#fragments
    for (let part = parts.of(from); part <= parts.of(to - 1); part++) {
      for (const fragment of this.#fragments.of(part)) {
        if (fragment.spans.some(span => span.from < to && from < span.to)) return fragment
      }
    }
    return undefined
  }

  #open(fragment: Fragment): OpenedFragment {
    const name = formatFragment(fragment)
    const opened = this.#opened.get(name) ?? { layout: new FragmentLayout(fragment) }
    // The one used last comes last.
    this.#opened.delete(name)
    this.#opened.set(name, opened)
    for (const oldest of this.#opened.keys()) {
      if (this.#opened.size <= MOST_OPENED) break
      this.#opened.delete(oldest)
    }
    return opened
  }

  async #nodesOf(
    fragment: Fragment,
    opened: OpenedFragment,
    signal: AbortSignal | undefined
  ): Promise<Uint8Array> {
    if (opened.nodes === undefined) {
      const { storage } = this.#context
      // For all who read at the same time: one of them may abort.
      const { signal: closing } = this.#closing
      opened.nodes = readNodes(storage, this.#fragments.keyOf(fragment), opened.layout, closing)
      opened.nodes.catch(() => {
        opened.nodes = undefined
      })
    }
    return await abortable(opened.nodes, signal)
  }
}

/** A fragment that was read from. */
interface OpenedFragment {
  readonly layout: FragmentLayout
  nodes?: Promise<Uint8Array> | undefined
}
