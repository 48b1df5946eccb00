/**
 * What is in a fragment: the data of its groups, one after the other, unless a body has it; then the outboard nodes that have one of
 * these groups below them, in the outboard's order. So a fragment proves itself against the blob's hash, whatever became of the others, and
 * its length follows from its name.
 */
import { GROUP_BYTES, PAIR_BYTES } from '../../bao/constants.ts'
import type { EncodeSource } from '../../bao/encoder.ts'
import { readVerified } from '../../bao/encoder.ts'
import { INSIDE_GROUP, TreeWalker } from '../../bao/walker.ts'
import type { Hash } from '../../hash.ts'
import { chunksOf, dataBytesOf, type Fragment, isWholePart } from './fragment-name.ts'
import { type NodeRange, Parts } from './parts.ts'

/** Reads bytes of one object. */
export type ReadObject = (offset: number, target: Uint8Array, signal?: AbortSignal) => Promise<void>

/** Where things are in a fragment. */
export class FragmentLayout {
  readonly fragment: Fragment
  /** Bytes of data in the object: the nodes come after them. None when the data is in a body. */
  readonly dataBytes: number
  /** The outboard's nodes that are in the fragment, ascending: most follow each other. */
  readonly nodes: readonly NodeRange[]
  /** Bytes of these nodes. */
  readonly nodeBytes: number

  constructor(fragment: Fragment) {
    this.fragment = fragment
    this.dataBytes = fragment.body === undefined ? dataBytesOf(fragment) : 0
    this.nodes = nodesOf(fragment)
    this.nodeBytes = this.nodes.reduce((sum, { start, end }) => sum + end - start, 0) * PAIR_BYTES
  }

  /** Bytes of the whole object. */
  get bytes(): number {
    return this.dataBytes + this.nodeBytes
  }

  /**
   * Where the blob's byte `offset` is in the object that has the fragment's data.
   *
   * @returns the place and how many bytes follow there without a gap; undefined when the fragment does not have it
   */
  placeOfData(offset: number): { readonly at: number; readonly length: number } | undefined {
    const { size, spans, body } = this.fragment
    const parts = new Parts(size)
    let at = 0
    for (const span of spans) {
      const start = span.from * GROUP_BYTES
      const length = parts.bytesOf(span)
      if (offset >= start && offset < start + length) {
        return { at: body === undefined ? at + offset - start : offset, length: start + length - offset }
      }
      at += length
    }
    return undefined
  }

  /** Where a node is in the object; undefined when the fragment does not have it. */
  placeOfNode(node: number): number | undefined {
    let before = 0
    for (const { start, end } of this.nodes) {
      if (node < start) return undefined
      if (node < end) return this.dataBytes + (before + node - start) * PAIR_BYTES
      before += end - start
    }
    return undefined
  }
}

/** A fragment that has its data as something to encode from. */
export function fragmentSource(layout: FragmentLayout, read: ReadObject): EncodeSource {
  return {
    size: layout.fragment.size,
    held: chunksOf(layout.fragment),
    readData: async (offset, target, signal) => {
      for (let done = 0; done < target.length; ) {
        const place = layout.placeOfData(offset + done)
        if (place === undefined) throw new RangeError(`the fragment does not hold byte ${offset + done}`)
        const length = Math.min(place.length, target.length - done)
        await read(place.at, target.subarray(done, done + length), signal)
        done += length
      }
    },
    readOutboard: async (offset, target, signal) => {
      // Nodes that are not there are not looked at: who reads asks for more at once than is needed.
      for (let done = 0; done < target.length; done += PAIR_BYTES) {
        const place = layout.placeOfNode((offset + done) / PAIR_BYTES)
        if (place !== undefined) await read(place, target.subarray(done, done + PAIR_BYTES), signal)
      }
    }
  }
}

/**
 * Checks a fragment that has its data against the hash.
 *
 * @throws CorruptSourceError when it is wrong
 */
export async function checkFragment(
  hash: Hash,
  layout: FragmentLayout,
  read: ReadObject,
  signal?: AbortSignal
): Promise<void> {
  const source = fragmentSource(layout, read)
  for await (const _piece of readVerified(hash, source, source.held!, { signal }));
}

/** Of a fragment that is all of its part, as most are, nobody has to look for them. */
function nodesOf(fragment: Fragment): readonly NodeRange[] {
  if (!isWholePart(fragment)) return nodesOnTheWay(fragment)
  const parts = new Parts(fragment.size)
  const part = parts.of(fragment.spans[0]!.from)
  return [...parts.nodesAbove(part), parts.nodesOf(part)]
}

/** Only the nodes of whole groups are walked: the chunks inside a group have no nodes in the outboard. */
function nodesOnTheWay(fragment: Fragment): readonly NodeRange[] {
  const nodes: { start: number; end: number }[] = []
  const walker = new TreeWalker(fragment.size, chunksOf(fragment))
  while (walker.next()) {
    if (walker.isLeaf || walker.node === INSIDE_GROUP) continue
    const last = nodes.at(-1)
    if (last?.end === walker.node) last.end++
    else nodes.push({ start: walker.node, end: walker.node + 1 })
  }
  return nodes
}
