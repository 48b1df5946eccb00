/** The fragments of one blob: which are there, and getting at what is in them. */
import { PAIR_BYTES } from '../../bao/constants.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import type { FragmentLayout } from './fragment.ts'
import { chunksOf, type Fragment, formatFragment, isWholePart, parseFragment } from './fragment-name.ts'
import { partialPrefix } from './layout.ts'
import { Parts } from './parts.ts'
import { readInto } from './read-into.ts'
import type { ObjectStorage } from './storage/index.ts'

export class Fragments {
  readonly hash: Hash
  /** Bytes of the blob, as claimed. */
  readonly size: number
  readonly parts: Parts
  readonly #byPart = new Map<number, Fragment[]>()
  #held = ChunkRanges.empty

  /** @param names of fragments; those of a blob of another size are left out */
  constructor(hash: Hash, size: number, names: readonly string[]) {
    this.hash = hash
    this.size = size
    this.parts = new Parts(size)
    for (const name of names) {
      const fragment = parseFragment(name)
      if (fragment?.size === size) this.add(fragment)
    }
  }

  /** Chunks that are held. */
  get held(): ChunkRanges {
    return this.#held
  }

  of(part: number): readonly Fragment[] {
    return this.#byPart.get(part) ?? []
  }

  /** The fragment that is all of a part. */
  wholePart(part: number): Fragment | undefined {
    return this.of(part).find(isWholePart)
  }

  add(fragment: Fragment): void {
    const part = this.parts.of(fragment.spans[0]!.from)
    const others = this.of(part).filter(other => formatFragment(other) !== formatFragment(fragment))
    this.#byPart.set(part, [...others, fragment])
    this.#held = this.#held.union(chunksOf(fragment))
  }

  /** Puts a fragment in the place of all others of its part. */
  replace(fragment: Fragment): void {
    this.#byPart.delete(this.parts.of(fragment.spans[0]!.from))
    this.add(fragment)
  }

  keyOf(fragment: Fragment): string {
    return `${partialPrefix(this.hash)}${formatFragment(fragment)}`
  }
}

/** All nodes of a fragment, one after the other. */
export async function readNodes(
  storage: ObjectStorage,
  key: string,
  layout: FragmentLayout,
  signal?: AbortSignal
): Promise<Uint8Array> {
  const nodes = new Uint8Array(layout.nodes.length * PAIR_BYTES)
  await readInto(storage, key, layout.dataBytes, nodes, signal)
  return nodes
}
