/** Keeps what arrives in memory until it is saved in fragments. Who needs it for something else has it saved, and takes it. */
import { GROUP_BYTES } from '../../bao/constants.ts'
import { abortable } from '../waiting.ts'
import { Assembly } from './assembly.ts'
import { composeMany } from './compose-many.ts'
import type { ObjectContext } from './context.ts'
import type { Fragment } from './fragment-name.ts'
import type { Fragments } from './fragments.ts'
import { dataKey } from './layout.ts'
import type { LivePart } from './live-part.ts'
import { PART_BYTES } from './parts.ts'
import type { Place, PlaceOwner } from './place.ts'
import { readInto } from './read-into.ts'
import type { Slice } from './storage/index.ts'
import { MAX_PARTS } from './storage/part-size.ts'

/** Blobs of fewer parts are put together at the end, in no time. */
const LEAST_ASSEMBLED_PARTS = 8

export class MemoryPlace implements Place {
  readonly body = undefined
  readonly #context: ObjectContext
  readonly #fragments: Fragments
  readonly #owner: PlaceOwner
  /** One at a time: memory is taken once for each part. */
  #tail: Promise<void> = Promise.resolve()
  #assembly: Assembly | undefined

  constructor(context: ObjectContext, fragments: Fragments, owner: PlaceOwner) {
    this.#context = context
    this.#fragments = fragments
    this.#owner = owner
  }

  async keep(
    part: LivePart,
    first: number,
    pieces: readonly Uint8Array[],
    signal: AbortSignal | undefined
  ): Promise<boolean> {
    const before = this.#tail
    const keeping = abortable(before, signal).then(async () => {
      if (!(await this.#giveMemory(part, signal))) return false
      part.setGroups(first, pieces)
      return true
    })
    // Without the outcomes: each would hold that of the one before it, back to the first.
    this.#tail = Promise.allSettled([before, keeping]).then(() => undefined)
    return await keeping
  }

  async read(part: LivePart, offset: number, target: Uint8Array): Promise<boolean> {
    const { data } = part
    if (data === undefined) return false
    const start = offset - part.groups.from * GROUP_BYTES
    target.set(data.subarray(start, start + target.length))
    return true
  }

  async put(part: LivePart, { spans }: Fragment, key: string, nodes: readonly Uint8Array[]): Promise<void> {
    await this.#context.storage.put(key, [...spans.map(span => part.view(span)), ...nodes])
  }

  async gather(part: LivePart, fragments: readonly Fragment[]): Promise<void> {
    if (part.isAllKept || !(await this.#giveMemory(part))) return
    for (const fragment of fragments) {
      for (const { key, offset, target } of this.#placesOf(part, fragment))
        await readInto(this.#context.storage, key, offset, target)
      part.markKept(fragment.spans)
    }
  }

  /** Puts parts together. Not before half of them are there: who wants but some of a blob rarely comes so far. */
  onWhole(part: number): void {
    if (this.#assembly !== undefined) {
      this.#assembly.add(part)
      return
    }
    const { hash, parts, wholeParts } = this.#fragments
    const { count } = parts
    if (count < LEAST_ASSEMBLED_PARTS || count > MAX_PARTS || wholeParts.length < count / 2) return
    const { storage } = this.#context
    this.#assembly = new Assembly(
      () => storage.upload(dataKey(hash), PART_BYTES),
      whole => this.#sliceOf(whole)
    )
    for (const whole of wholeParts) this.#assembly.add(whole)
  }

  /** What was put together may have been of what was lost. */
  onLost(): void {
    void this.#assembly?.abort()
  }

  drop(part: LivePart): void {
    const data = part.takeData()
    if (data !== undefined) this.#context.memory.give(data)
  }

  async complete(signal: AbortSignal | undefined): Promise<void> {
    const { hash, size, parts } = this.#fragments
    if (await this.#assembly?.complete(size)) return
    // From the beginning: there were few parts, or too many, or something has gone wrong.
    const slices = Array.from({ length: parts.count }, (_, part) => this.#sliceOf(part))
    await composeMany(this.#context.storage, dataKey(hash), slices, { signal })
  }

  async settle(): Promise<void> {
    await this.#tail
    await this.#assembly?.abort()
  }

  async close(): Promise<void> {
    await this.settle()
  }

  /** Where a part's data is, which is saved as one fragment. */
  #sliceOf(number: number): Slice {
    const { parts } = this.#fragments
    const fragment = this.#fragments.wholePart(number)!
    const groups = parts.groupsOf(number)
    const offset = fragment.body === undefined ? 0 : groups.from * GROUP_BYTES
    return { key: this.#fragments.dataKeyOf(fragment), offset, length: parts.bytesOf(groups) }
  }

  /** Where the data of each span is, and where in memory it goes. */
  *#placesOf(
    part: LivePart,
    fragment: Fragment
  ): Generator<{ readonly key: string; readonly offset: number; readonly target: Uint8Array }> {
    const key = this.#fragments.dataKeyOf(fragment)
    let at = 0
    for (const span of fragment.spans) {
      const target = part.view(span)
      yield { key, offset: fragment.body === undefined ? at : span.from * GROUP_BYTES, target }
      at += target.length
    }
  }

  /** @returns false when nothing is to be kept any more, because the blob is complete */
  async #giveMemory(part: LivePart, signal?: AbortSignal): Promise<boolean> {
    const { memory } = this.#context
    const { over } = this.#owner
    this.#owner.check()
    if (part.data !== undefined) {
      memory.touch(part.data)
      return true
    }
    const stop = signal === undefined ? over : AbortSignal.any([over, signal])
    try {
      part.setData(await memory.take(part.bytes, () => void this.#evict(part), stop))
    } catch (error) {
      if (!over.aborted) throw error
    }
    this.#owner.check()
    return !this.#owner.isComplete()
  }

  /** Saves a part and gives its memory to somebody else. */
  async #evict(part: LivePart): Promise<void> {
    for (;;) {
      if (part.saving !== undefined) await part.saving
      else if (part.isPinned) await part.unpinned
      else if (part.unsavedSince !== undefined && !this.#owner.over.aborted) await this.#owner.save(part)
      else break
    }
    this.drop(part)
  }
}
