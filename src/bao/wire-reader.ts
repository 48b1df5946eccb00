/** Reads what is stored of a blob, and puts it in the order of the wire. */
import { CHUNK_BYTES, CV_BYTES, PAIR_BYTES } from './constants.ts'
import { leftLeaves } from './geometry.ts'
import type { Kernel } from './kernel/index.ts'
import { type Batch, type EncodeSource, SpanBuffer, StoredBatch } from './stored-batches.ts'
import { INSIDE_GROUP } from './walker.ts'

export class WireReader {
  readonly #source: EncodeSource
  readonly #kernel: Kernel
  readonly #signal: AbortSignal | undefined
  readonly #stored = new StoredBatch()
  readonly #outboard = new SpanBuffer()

  constructor(source: EncodeSource, kernel: Kernel, signal: AbortSignal | undefined) {
    this.#source = source
    this.#kernel = kernel
    this.#signal = signal
  }

  /**
   * To be called for one batch after the other.
   *
   * @param out as many bytes as the batch has on the wire
   * @returns `out`
   * @throws what the source throws, and the signal's reason when it aborts
   */
  async read(batch: Batch, out: Uint8Array): Promise<Uint8Array> {
    if (this.#source.readDataInto !== undefined && !batch.opensGroups) await this.#readInPlace(batch, out)
    else this.#assemble(batch, await this.#stored.read(batch, this.#source, this.#signal), out)
    return out
  }

  /** Has the data read to where it belongs: only the parents are copied. */
  async #readInPlace(batch: Batch, out: Uint8Array): Promise<void> {
    const source = this.#source
    const signal = this.#signal
    signal?.throwIfAborted()
    const reads = this.#outboard.read(batch.outboard, (offset, target) =>
      source.readOutboard(offset, target, signal)
    )
    const parents: { readonly node: number; readonly at: number }[] = []
    let targets: Uint8Array[] = []
    let offset = 0
    let end = 0
    const readTargets = (): void => {
      if (end > offset) reads.push(source.readDataInto!(offset, targets, signal))
    }
    let at = 0
    for (let i = 0; i < batch.nodes.length; i += 4) {
      const node = batch.nodes[i + 2]!
      if (node !== INSIDE_GROUP) {
        parents.push({ node, at })
        at += PAIR_BYTES
        continue
      }
      const start = batch.nodes[i]! * CHUNK_BYTES
      const length = Math.min(batch.nodes[i + 1]! * CHUNK_BYTES, source.size) - start
      if (start !== end) {
        readTargets()
        targets = []
        offset = start
      }
      targets.push(out.subarray(at, at + length))
      end = start + length
      at += length
    }
    readTargets()
    await Promise.all(reads)
    for (const parent of parents) {
      out.set(this.#outboard.view(parent.node * PAIR_BYTES, PAIR_BYTES), parent.at)
    }
  }

  #assemble(batch: Batch, stored: StoredBatch, out: Uint8Array): void {
    const { size } = this.#source
    const kernel = this.#kernel
    const chunks = (from: number, to: number) =>
      stored.data.view(from * CHUNK_BYTES, Math.min(to * CHUNK_BYTES, size) - from * CHUNK_BYTES)
    let at = 0
    for (let i = 0; i < batch.nodes.length; i += 4) {
      const start = batch.nodes[i]!
      const end = batch.nodes[i + 1]!
      const node = batch.nodes[i + 2]!
      const isLeaf = batch.nodes[i + 3] === 1
      if (isLeaf) {
        const data = chunks(start, end)
        out.set(data, at)
        at += data.length
        continue
      }
      if (node === INSIDE_GROUP) {
        const middle = start + leftLeaves(end - start)
        kernel.subtree(chunks(start, middle), start, false, out.subarray(at, at + CV_BYTES))
        kernel.subtree(chunks(middle, end), middle, false, out.subarray(at + CV_BYTES, at + PAIR_BYTES))
      } else {
        out.set(stored.outboard.view(node * PAIR_BYTES, PAIR_BYTES), at)
      }
      at += PAIR_BYTES
    }
  }
}
