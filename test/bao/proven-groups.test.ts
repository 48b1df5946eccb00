import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ChunkRanges,
  chunkCount,
  type EncodeSource,
  GROUP_BYTES,
  groupCount,
  hashBytes,
  provenGroups,
  RUN_BYTES
} from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import { INTERESTING_SIZES, randomData } from '../helpers/data.ts'
import { parentCv, subtreeCv } from './oracle.ts'

interface Stored {
  readonly hash: Hash
  readonly data: Uint8Array
  readonly outboard: Uint8Array
}

function store(size: number): Stored {
  const data = randomData(size).slice()
  return { data, ...hashBytes(data) }
}

/** Counts what is read, and says how much was asked for at once. */
function sourceOf({ data, outboard }: Stored, held?: ChunkRanges) {
  const counts = { dataBytes: 0, outboardBytes: 0, mostAtOnce: 0 }
  const source: EncodeSource = {
    size: data.length,
    held,
    readData: async (offset, target) => {
      counts.dataBytes += target.length
      counts.mostAtOnce = Math.max(counts.mostAtOnce, target.length)
      target.set(data.subarray(offset, offset + target.length))
    },
    readOutboard: async (offset, target) => {
      counts.outboardBytes += target.length
      target.set(outboard.subarray(offset, offset + target.length))
    }
  }
  return { source, counts }
}

/** The same by recursion, from the hash down, one group at a time. */
function naive({ hash, data, outboard }: Stored, isHeld: (group: number) => boolean): ChunkRanges {
  let proven = ChunkRanges.empty
  const look = (from: number, to: number, node: number, expected: Uint8Array | undefined): void => {
    if (expected === undefined) return
    const isRoot = from === 0 && to === groupCount(data.length)
    if (to - from === 1) {
      const bytes = data.subarray(from * GROUP_BYTES, to * GROUP_BYTES)
      const isRight = Buffer.compare(subtreeCv(bytes, BigInt(from) * 16n, isRoot), expected) === 0
      const end = Math.min(to * 16, chunkCount(data.length))
      if (isRight && isHeld(from)) proven = proven.union(ChunkRanges.range(from * 16, end))
      return
    }
    let left = 1
    while (left * 2 < to - from) left *= 2
    const pair = outboard.subarray(node * 64, (node + 1) * 64)
    const [first, second] = [pair.subarray(0, 32), pair.subarray(32)]
    const isRight = Buffer.compare(parentCv(first, second, isRoot), expected) === 0
    look(from, from + left, node + 1, isRight ? first : undefined)
    look(from + left, to, node + left, isRight ? second : undefined)
  }
  look(0, groupCount(data.length), 0, hash.bytes)
  return proven
}

/** Chunks of the groups for which `isWanted` says so. */
function groupsWhere(size: number, isWanted: (group: number) => boolean): ChunkRanges {
  const boundaries: number[] = []
  for (let group = 0; group < groupCount(size); group++) {
    if (!isWanted(group)) continue
    if (boundaries.at(-1) === group * 16) boundaries.pop()
    else boundaries.push(group * 16)
    boundaries.push(Math.min((group + 1) * 16, chunkCount(size)))
  }
  return ChunkRanges.fromBoundaries(boundaries)
}

describe('provenGroups', () => {
  it.each(INTERESTING_SIZES)('finds all of %i bytes right that are', async size => {
    const { source } = sourceOf(store(size))
    expect(`${await provenGroups(store(size).hash, source)}`).toBe(`0..${chunkCount(size)}`)
  })

  it('finds what a check of every group by itself finds, whatever is wrong and whatever is held', async () => {
    const damages = fc.record({
      groups: fc.integer({ min: 1, max: 12 }),
      tail: fc.integer({ min: 1, max: GROUP_BYTES }),
      data: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { maxLength: 3 }),
      outboard: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { maxLength: 2 }),
      held: fc.option(fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }), { nil: undefined })
    })
    await fc.assert(
      fc.asyncProperty(damages, async ({ groups, tail, data, outboard, held }) => {
        const stored = store((groups - 1) * GROUP_BYTES + tail)
        for (const place of data) stored.data[Math.floor(place * stored.data.length)]! ^= 4
        for (const place of outboard)
          if (groups > 1) stored.outboard[Math.floor(place * stored.outboard.length)]! ^= 4
        const isHeld = (group: number): boolean => held?.[group] ?? true
        const ranges = held && groupsWhere(stored.data.length, isHeld)
        const { source } = sourceOf(stored, ranges)
        expect(`${await provenGroups(stored.hash, source)}`).toBe(`${naive(stored, isHeld)}`)
      }),
      { numRuns: 60 }
    )
  })

  it('goes on behind damage in blobs of several runs', async () => {
    const stored = store(3 * RUN_BYTES + 5 * GROUP_BYTES + 7)
    const damaged = new Set([0, 63, 64, 100, 197])
    for (const group of damaged) stored.data[group * GROUP_BYTES]! ^= 1
    const { source } = sourceOf(stored)
    const right = groupsWhere(stored.data.length, group => !damaged.has(group))
    expect(`${await provenGroups(stored.hash, source)}`).toBe(`${right}`)
  })

  it('believes nothing that a wrong node of the outboard is above, and all that is beside it', async () => {
    const stored = store(8 * GROUP_BYTES)
    // In pre-order: the root, its left child, …: this one has groups 2 and 3 below it.
    stored.outboard[3 * 64]! ^= 1
    const { source } = sourceOf(stored)
    expect(`${await provenGroups(stored.hash, source)}`).toBe('0..32,64..128')
    stored.outboard[0]! ^= 1
    expect(`${await provenGroups(stored.hash, source)}`).toBe('')
  })

  it('reads everything once, in pieces, also when every other group is wrong', async () => {
    for (const runs of [2, 8]) {
      const stored = store(runs * RUN_BYTES)
      for (let at = GROUP_BYTES; at < stored.data.length; at += 2 * GROUP_BYTES) stored.data[at]! ^= 1
      const { source, counts } = sourceOf(stored)
      const seen: number[] = []
      const proven = await provenGroups(stored.hash, source, { onProgress: bytes => seen.push(bytes) })
      expect(proven.equals(groupsWhere(stored.data.length, group => group % 2 === 0))).toBe(true)
      expect(counts.dataBytes).toBe(stored.data.length)
      // The gaps between batches are read twice at most.
      expect(counts.outboardBytes).toBeLessThan(2 * stored.outboard.length)
      expect(counts.mostAtOnce).toBeLessThanOrEqual(RUN_BYTES)
      expect(seen.at(-1)).toBe(stored.data.length)
      expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    }
  })

  it('reads only what is held', async () => {
    const stored = store(20 * GROUP_BYTES)
    const { source, counts } = sourceOf(stored, ChunkRanges.range(16, 64))
    expect(`${await provenGroups(stored.hash, source)}`).toBe('16..64')
    expect(counts.dataBytes).toBe(3 * GROUP_BYTES)
  })

  it('ends with the signal’s reason, and with what reading throws', async () => {
    const stored = store(4 * RUN_BYTES)
    const { source } = sourceOf(stored)
    const stopping = new AbortController()
    const proving = provenGroups(stored.hash, source, {
      signal: stopping.signal,
      onProgress: () => stopping.abort(new Error('enough'))
    })
    await expect(proving).rejects.toThrow('enough')
    const readData = async (offset: number): Promise<void> => {
      if (offset >= 2 * RUN_BYTES) throw new Error('cannot be read')
    }
    await expect(provenGroups(stored.hash, { ...source, readData })).rejects.toThrow('cannot be read')
  })
})
