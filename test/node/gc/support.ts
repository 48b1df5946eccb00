/** Hash sequences to collect garbage around. */
import { hashBytes } from '../../../src/bao/outboard.ts'
import type { Sample } from '../../../src/store/compliance/samples.ts'

/** The hash sequence that links to some blobs, as a blob. */
export function sampleOf(...links: readonly Pick<Sample, 'hash'>[]): Sample {
  return sequenceOf(links)
}

/** The same of many. */
export function sequenceOf(links: readonly Pick<Sample, 'hash'>[]): Sample {
  const data = new Uint8Array(links.length * 32)
  for (const [i, { hash }] of links.entries()) data.set(hash.bytes, i * 32)
  const { hash, outboard } = hashBytes(data)
  const fill = (from: Uint8Array) => async (offset: number, target: Uint8Array) => {
    target.set(from.subarray(offset, offset + target.length))
  }
  return {
    data,
    hash,
    size: data.length,
    source: { size: data.length, readData: fill(data), readOutboard: fill(outboard) }
  }
}
