/**
 * Reads what is held of a blob that is not complete: out of the memory of its arrival, and out of fragments.
 *
 * While it is open the blob may become complete, and its fragments be gone: then the storage is asked anew what there is.
 */
import { GROUP_BYTES, PAIR_BYTES } from '../../bao/constants.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import type { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { HandleClosedError } from '../errors.ts'
import type { BlobReader } from '../index.ts'
import type { Arrival } from './arrival.ts'
import type { ObjectContext } from './context.ts'
import { FragmentLayout } from './fragment.ts'
import { type Fragment, formatFragment } from './fragment-name.ts'
import { Fragments, readNodes } from './fragments.ts'
import { dataKey, outboardKey } from './layout.ts'
import { isServable, listStored } from './lookup.ts'
import { readInto } from './read-into.ts'
import { ObjectNotFoundError } from './storage/errors.ts'

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
  #fragments: Fragments
  #isComplete = false
  #isClosed = false

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
    await this.#again(target, async done => {
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
    await this.#again(target, async done => {
      if (this.#isComplete) {
        const rest = target.subarray(done)
        await readInto(this.#context.storage, outboardKey(this.hash), offset + done, rest, signal)
        return rest.length
      }
      const node = await this.#node((offset + done) / PAIR_BYTES, signal)
      if (node !== undefined) target.set(node, done)
      return PAIR_BYTES
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
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
    if (this.#isClosed) throw new HandleClosedError('reader', this.hash)
    if (offset < 0 || offset + target.length > size) {
      throw new RangeError(`cannot read ${target.length} bytes at ${offset} of the ${kind}: it has ${size}`)
    }
  }

  /** Reads step by step until `target` is full, and looks anew at what there is when an object is gone. */
  async #again(target: Uint8Array, step: (done: number) => Promise<number>): Promise<void> {
    let attempts = 0
    for (let done = 0; done < target.length; ) {
      try {
        done += await step(done)
      } catch (error) {
        if (!(error instanceof ObjectNotFoundError) || ++attempts === ATTEMPTS) throw error
        await this.#lookAnew()
      }
    }
  }

  async #lookAnew(): Promise<void> {
    const stored = await listStored(this.#context, this.hash)
    this.#isComplete = isServable(stored) && stored.data === this.size
    this.#opened.clear()
    this.#fragments = new Fragments(this.hash, this.size, stored.fragments.map(formatFragment))
  }

  /** @returns how many bytes were read, at least one */
  async #readPiece(offset: number, target: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
    const { parts } = this.#fragments
    const part = Math.floor(offset / parts.bytes)
    const inPart = target.subarray(0, (part + 1) * parts.bytes - offset)
    if (this.#arrival?.readLive(offset, inPart)) return inPart.length
    const groupEnd = (Math.floor(offset / GROUP_BYTES) + 1) * GROUP_BYTES
    const inGroup = target.subarray(0, groupEnd - offset)
    if (this.#arrival?.readLive(offset, inGroup)) return inGroup.length
    for (const fragment of this.#fragments.of(part)) {
      const place = this.#open(fragment).layout.placeOfData(offset)
      if (place === undefined) continue
      const piece = target.subarray(0, place.length)
      await readInto(this.#context.storage, this.#fragments.keyOf(fragment), place.at, piece, signal)
      return piece.length
    }
    throw new ObjectNotFoundError(`with byte ${offset} of blob ${this.hash}`, this.#context.storage.name)
  }

  async #node(index: number, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const live = this.#arrival?.node(index)
    if (live !== undefined) return live
    for (const fragment of this.#candidates(index)) {
      const opened = this.#open(fragment)
      const place = opened.layout.placeOfNode(index)
      if (place === undefined) continue
      const nodes = await this.#nodesOf(fragment, opened, signal)
      const at = place - opened.layout.dataBytes
      return nodes.subarray(at, at + PAIR_BYTES)
    }
    return undefined
  }

  /** Fragments that may have a node. One above the parts is in those of every part below it. */
  *#candidates(index: number): Generator<Fragment> {
    const { parts } = this.#fragments
    const part = parts.partOfNode(index)
    if (part !== undefined) yield* this.#fragments.of(part)
    else for (let number = 0; number < parts.count; number++) yield* this.#fragments.of(number)
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
      opened.nodes = readNodes(storage, this.#fragments.keyOf(fragment), opened.layout, signal)
      opened.nodes.catch(() => {
        opened.nodes = undefined
      })
    }
    return await opened.nodes
  }
}

/** A fragment that was read from. */
interface OpenedFragment {
  readonly layout: FragmentLayout
  nodes?: Promise<Uint8Array> | undefined
}
