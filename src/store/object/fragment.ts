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
import { chunksOf, dataBytesOf, type Fragment } from './fragment-name.ts'
import { Parts } from './parts.ts'

/** Reads bytes of one object. */
export type ReadObject = (offset: number, target: Uint8Array, signal?: AbortSignal) => Promise<void>

/** Where things are in a fragment. */
export class FragmentLayout {
  readonly fragment: Fragment
  /** Bytes of data in the object: the nodes come after them. None when the data is in a body. */
  readonly dataBytes: number
  /** Indexes in the outboard of the nodes that are in the fragment, ascending. */
  readonly nodes: Float64Array

  constructor(fragment: Fragment) {
    this.fragment = fragment
    this.dataBytes = fragment.body === undefined ? dataBytesOf(fragment) : 0
    this.nodes = nodesOf(fragment)
  }

  /** Bytes of the whole object. */
  get bytes(): number {
    return this.dataBytes + this.nodes.length * PAIR_BYTES
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
    let low = 0
    let high = this.nodes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.nodes[middle]! < node) low = middle + 1
      else high = middle
    }
    return this.nodes[low] === node ? this.dataBytes + low * PAIR_BYTES : undefined
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

/** Only the nodes of whole groups are walked: the chunks inside a group have no nodes in the outboard. */
function nodesOf(fragment: Fragment): Float64Array {
  const nodes: number[] = []
  const walker = new TreeWalker(fragment.size, chunksOf(fragment))
  while (walker.next()) {
    if (!walker.isLeaf && walker.node !== INSIDE_GROUP) nodes.push(walker.node)
  }
  return Float64Array.from(nodes)
}
