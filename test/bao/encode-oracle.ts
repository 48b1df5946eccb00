/** The encoding as the specification states it: recursive, chunk by chunk, without any outboard. */
import type { ChunkRanges } from '../../src/bao/ranges.ts'
import { subtreeCv } from './oracle.ts'

const CHUNK = 1024

/** Encodes `ranges` of `data`, without the size header. */
export function encodeOracle(data: Uint8Array, ranges: ChunkRanges): Uint8Array {
  const chunks = Math.max(1, Math.ceil(data.length / CHUNK))
  const last = chunks - 1
  const wanted = Array.from({ length: chunks }, (_, chunk) =>
    chunk < last
      ? ranges.contains(chunk)
      : ranges.isOpen || ranges.boundaries.some(boundary => boundary > last)
  )
  const out: Uint8Array[] = []
  const emit = (start: number, end: number): void => {
    const flags = wanted.slice(start, end)
    if (!flags.includes(true)) return
    const slice = (from: number, to: number) => data.subarray(from * CHUNK, Math.min(to * CHUNK, data.length))
    if (end - start === 1 || (end - start <= 16 && !flags.includes(false))) {
      out.push(slice(start, end))
      return
    }
    let left = 1
    while (left * 2 < end - start) left *= 2
    const middle = start + left
    out.push(subtreeCv(slice(start, middle), BigInt(start), false))
    out.push(subtreeCv(slice(middle, end), BigInt(middle), false))
    emit(start, middle)
    emit(middle, end)
  }
  emit(0, chunks)
  return Buffer.concat(out)
}
