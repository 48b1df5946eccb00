/** What the codec tests share: the golden vectors, and arbitrary values for property tests. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { ChunkRanges, MAX_CHUNK } from '../../src/bao/ranges.ts'
import { Hash } from '../../src/hash.ts'
import { RangesSeq } from '../../src/protocol/ranges-seq.ts'

/** The `ranges` field of the vectors. */
export interface VectorEntry {
  from: number
  boundaries: string[]
}

export function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../protocol/vectors/${name}`, import.meta.url), 'utf8'))
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

export function rangesOf(boundaries: string[]): ChunkRanges {
  return ChunkRanges.fromBoundaries(boundaries.map(BigInt))
}

export function seqOf(entries: VectorEntry[]): RangesSeq {
  return RangesSeq.fromEntries(
    entries.map(({ from, boundaries }) => ({ from, ranges: rangesOf(boundaries) }))
  )
}

export const arbitraryHash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map(bytes => Hash.fromBytes(bytes))

/** Small numbers, so that sets meet, and numbers at the upper end. */
const arbitraryBoundary = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt(0n, 40n) },
  { weight: 1, arbitrary: fc.bigInt(0n, MAX_CHUNK) },
  { weight: 1, arbitrary: fc.constant(MAX_CHUNK) }
)

export const arbitraryRanges = fc
  .uniqueArray(arbitraryBoundary, { maxLength: 8 })
  .map(list => ChunkRanges.fromBoundaries(list.sort((a, b) => (a < b ? -1 : 1))))

const arbitraryIndex = fc.oneof(
  { weight: 4, arbitrary: fc.nat(12) },
  { weight: 1, arbitrary: fc.maxSafeNat() }
)

export const arbitrarySeq = fc
  .uniqueArray(fc.record({ from: arbitraryIndex, ranges: arbitraryRanges }), {
    maxLength: 6,
    selector: entry => entry.from
  })
  .map(list => RangesSeq.fromEntries(list.sort((a, b) => a.from - b.from)))

/** Bytes as they are, or a message with some bytes changed, taken out, put in, and perhaps cut off. */
export function arbitraryDamage(message: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.nat(200),
    drop: fc.nat(3),
    insert: fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.constant(fromHex('ffffffffffffffffff01')))
  })
  const damaged = fc
    .tuple(message, fc.array(edit, { maxLength: 3 }), fc.option(fc.nat(200)))
    .map(([bytes, edits, cut]) => {
      const list = Array.from(bytes)
      for (const { at, drop, insert } of edits) {
        list.splice(at % (list.length + 1), drop, ...insert)
      }
      return Uint8Array.from(cut === null ? list : list.slice(0, cut))
    })
  return fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged)
}

/** Runs `read`, and fails unless it returns or throws one of the errors meant for bad input. */
export function readsOrThrows<T>(
  read: () => T,
  ...errors: (abstract new (
    ...args: never[]
  ) => Error)[]
): T | undefined {
  try {
    return read()
  } catch (error) {
    if (errors.some(expected => error instanceof expected)) {
      return undefined
    }
    throw error
  }
}
