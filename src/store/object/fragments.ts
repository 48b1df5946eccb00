/** The fragments of one blob: which are there, and getting at what is in them. */
import { GROUP_BYTES, GROUP_CHUNKS } from '../../bao/constants.ts'
import { chunkCount } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import type { FragmentLayout } from './fragment.ts'
import {
  chunksOf,
  type Fragment,
  formatBody,
  formatFragment,
  isWholePart,
  parseFragment
} from './fragment-name.ts'
import { partialPrefix } from './layout.ts'
import { Parts } from './parts.ts'
import { readInto } from './read-into.ts'
import type { ObjectStorage } from './storage/index.ts'

export class Fragments {
  readonly hash: Hash
  /** Bytes of the blob, as claimed. */
  readonly size: number
  readonly parts: Parts
  /** By part, then by name. */
  readonly #byPart = new Map<number, Map<string, Fragment>>()
  readonly #whole = new Map<number, Fragment>()
  #held: ChunkRanges

  /** @param names of fragments; those of a blob of another size are left out */
  constructor(hash: Hash, size: number, names: readonly string[]) {
    this.hash = hash
    this.size = size
    this.parts = new Parts(size)
    for (const name of names) {
      const fragment = parseFragment(name)
      if (fragment?.size === size) this.#put(fragment, name)
    }
    this.#held = this.#gatherHeld()
  }

  /** Chunks that are held. */
  get held(): ChunkRanges {
    return this.#held
  }

  of(part: number): readonly Fragment[] {
    return Array.from(this.#byPart.get(part)?.values() ?? [])
  }

  /** The fragment that is all of a part. */
  wholePart(part: number): Fragment | undefined {
    return this.#whole.get(part)
  }

  /** Numbers of the parts of which one fragment is all, in no order. */
  get wholeParts(): readonly number[] {
    return Array.from(this.#whole.keys())
  }

  add(fragment: Fragment): void {
    this.#put(fragment)
    this.#held = this.#held.union(chunksOf(fragment))
  }

  /** Puts a fragment that is all of a part in the place of all others of its part. */
  replace(fragment: Fragment): void {
    this.#byPart.delete(this.parts.of(fragment.spans[0]!.from))
    this.add(fragment)
  }

  /** Forgets some, which have turned out not to be there. */
  drop(fragments: readonly Fragment[]): void {
    for (const fragment of fragments) {
      const part = this.parts.of(fragment.spans[0]!.from)
      this.#byPart.get(part)?.delete(formatFragment(fragment))
      if (isWholePart(fragment)) this.#whole.delete(part)
    }
    this.#held = this.#gatherHeld()
  }

  keyOf(fragment: Fragment): string {
    return `${partialPrefix(this.hash)}${formatFragment(fragment)}`
  }

  /** Key of the object that has a fragment's data. */
  dataKeyOf(fragment: Fragment): string {
    return fragment.body === undefined ? this.keyOf(fragment) : this.bodyKey(fragment.body)
  }

  bodyKey(body: string): string {
    return `${partialPrefix(this.hash)}${formatBody(this.size, body)}`
  }

  /** Bytes that a body has at least. */
  endInBody(body: string): number {
    let end = 0
    for (const fragment of this.#all())
      if (fragment.body === body) end = Math.max(end, fragment.spans.at(-1)!.to * GROUP_BYTES)
    return Math.min(end, this.size)
  }

  /** Ids of the bodies, the one that has most of the groups first. */
  get bodies(): readonly string[] {
    const groups = new Map<string, number>()
    for (const { spans, body } of this.#all()) {
      if (body === undefined) continue
      const count = spans.reduce((sum, { from, to }) => sum + to - from, 0)
      groups.set(body, (groups.get(body) ?? 0) + count)
    }
    return Array.from(groups.keys()).sort((a, b) => groups.get(b)! - groups.get(a)!)
  }

  #put(fragment: Fragment, name = formatFragment(fragment)): void {
    const part = this.parts.of(fragment.spans[0]!.from)
    let others = this.#byPart.get(part)
    if (others === undefined) {
      others = new Map()
      this.#byPart.set(part, others)
    }
    others.set(name, fragment)
    if (isWholePart(fragment)) this.#whole.set(part, fragment)
  }

  *#all(): Generator<Fragment, void, undefined> {
    for (const fragments of this.#byPart.values()) yield* fragments.values()
  }

  /** All at once: adding one by one what a large blob has takes quadratic time. */
  #gatherHeld(): ChunkRanges {
    const spans = Array.from(this.#all())
      .flatMap(fragment => fragment.spans)
      .sort((a, b) => a.from - b.from)
    const chunks = chunkCount(this.size)
    const boundaries: number[] = []
    for (const { from, to } of spans) {
      const end = Math.min(to * GROUP_CHUNKS, chunks)
      if (boundaries.length > 0 && from * GROUP_CHUNKS <= boundaries.at(-1)!) {
        boundaries.push(Math.max(end, boundaries.pop()!))
      } else boundaries.push(from * GROUP_CHUNKS, end)
    }
    return ChunkRanges.fromBoundaries(boundaries)
  }
}

/** All nodes of a fragment, one after the other. */
export async function readNodes(
  storage: ObjectStorage,
  key: string,
  layout: FragmentLayout,
  signal?: AbortSignal
): Promise<Uint8Array> {
  const nodes = new Uint8Array(layout.nodeBytes)
  await readInto(storage, key, layout.dataBytes, nodes, signal)
  return nodes
}
