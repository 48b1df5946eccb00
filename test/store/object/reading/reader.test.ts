import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CV_BYTES, GROUP_BYTES, GROUP_CHUNKS, PAIR_BYTES } from '../../../../src/bao/constants.ts'
import { encode } from '../../../../src/bao/encoder.ts'
import { groupCount, leftLeaves, outboardBytes } from '../../../../src/bao/geometry.ts'
import { kernel } from '../../../../src/bao/kernel/index.ts'
import { hashBytes } from '../../../../src/bao/outboard.ts'
import { ChunkRanges } from '../../../../src/bao/ranges.ts'
import { Hash } from '../../../../src/hash.ts'
import { BlobDamagedError, BlobNotFoundError, HandleClosedError } from '../../../../src/store/errors.ts'
import { dataKey, outboardKey } from '../../../../src/store/object/layout.ts'
import { ObjectReader, OutboardCache, ReadBudget } from '../../../../src/store/object/reading/index.ts'
import { StorageUnavailableError } from '../../../../src/store/object/storage/errors.ts'
import { encodeAll, memorySource } from '../../../helpers/bao.ts'
import { INTERESTING_SIZES, randomData } from '../../../helpers/data.ts'
import { ObservedStorage, placeBytes, settle } from './support.ts'

const KIB = 1024
const MIB = 1024 * 1024
const GIB = 1024 * MIB

/** What a store has one of. */
class Setup {
  readonly storage = new ObservedStorage()
  readonly cache = new OutboardCache(this.storage)
  readonly budget = new ReadBudget()
  missing = 0
  closed = 0

  reader(hash: Hash, size: number, ranges?: ChunkRanges): ObjectReader {
    return new ObjectReader({
      hash,
      size,
      storage: this.storage,
      dataKey: dataKey(hash),
      outboardKey: outboardKey(hash),
      cache: this.cache,
      budget: this.budget,
      ranges,
      onClose: () => this.closed++,
      onMissing: () => this.missing++
    })
  }

  async add(data: Uint8Array): Promise<Hash> {
    const { hash, outboard } = hashBytes(data)
    await this.storage.put(dataKey(hash), [data])
    if (outboard.length > 0) await this.storage.put(outboardKey(hash), [outboard])
    return hash
  }

  /** Adds a blob that is too large to be there, of which only the groups from `start` to `end` (in bytes) verify. */
  addHuge(size: number, start: number, end: number): Hash {
    const { hash, nodes } = sparseTree(size, start / GROUP_BYTES, end / GROUP_BYTES)
    this.storage.makeUp(dataKey(hash), placeBytes)
    this.storage.makeUp(outboardKey(hash), (offset, length) => {
      const bytes = new Uint8Array(length)
      for (const [at, pair] of nodes) {
        const shift = at - offset
        if (shift > -PAIR_BYTES && shift < length) {
          bytes.set(pair.subarray(Math.max(0, -shift), length - shift), Math.max(0, shift))
        }
      }
      return bytes
    })
    return hash
  }

  getsOf(key: string): number {
    return this.storage.getsOf(key).length
  }
}

/** The tree above some groups of a blob; all other subtrees have the chaining value 0. */
function sparseTree(size: number, firstGroup: number, endGroup: number) {
  const nodes = new Map<number, Uint8Array>()
  const groups = groupCount(size)
  const value = (start: number, end: number, index: number): Uint8Array => {
    const cv = new Uint8Array(CV_BYTES)
    if (end <= firstGroup || start >= endGroup) return cv
    if (end - start === 1) {
      kernel.subtree(placeBytes(start * GROUP_BYTES, GROUP_BYTES), start * GROUP_CHUNKS, false, cv)
      return cv
    }
    const left = leftLeaves(end - start)
    const pair = new Uint8Array(PAIR_BYTES)
    pair.set(value(start, start + left, index + 1))
    pair.set(value(start + left, end, index + left), CV_BYTES)
    nodes.set(index * PAIR_BYTES, pair)
    kernel.parent(pair, start === 0 && end === groups, cv)
    return cv
  }
  return { hash: Hash.fromBytes(value(0, groups, 0)), nodes }
}

async function collect(reader: ObjectReader, ranges: ChunkRanges): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(encode(reader.hash, reader, ranges)))
}

describe('what is encoded out of a bucket', () => {
  it.each(INTERESTING_SIZES)('is what is encoded out of memory: %i bytes', async size => {
    const setup = new Setup()
    const data = randomData(size)
    const hash = await setup.add(data)
    for (const ranges of [ChunkRanges.all, ChunkRanges.last, ChunkRanges.ofBytes(size / 3, size / 2)]) {
      const expected = await encodeAll(memorySource(data), ranges)
      for (const announced of [ranges, undefined, ChunkRanges.empty]) {
        await using reader = setup.reader(hash, size, announced)
        expect(Buffer.compare(await collect(reader, ranges), expected)).toBe(0)
      }
    }
    expect(setup.budget.usedBytes).toBe(0)
  })

  it('for any ranges, several readers at once', async () => {
    const data = randomData(5 * MIB + 4321)
    const source = memorySource(data)
    const setup = new Setup()
    const hash = await setup.add(data)
    const requests = fc.array(
      fc.record({
        boundaries: fc.uniqueArray(fc.nat(5 * KIB + 10), { maxLength: 7 }),
        isAnnounced: fc.boolean()
      }),
      { minLength: 1, maxLength: 4 }
    )
    const property = fc.asyncProperty(requests, async list => {
      await Promise.all(
        list.map(async ({ boundaries, isAnnounced }) => {
          const ranges = ChunkRanges.fromBoundaries(boundaries.sort((a, b) => a - b))
          await using reader = setup.reader(hash, data.length, isAnnounced ? ranges : undefined)
          const [found, expected] = await Promise.all([collect(reader, ranges), encodeAll(source, ranges)])
          expect(Buffer.compare(found, expected)).toBe(0)
        })
      )
    })
    await fc.assert(property, { numRuns: 20 })
  })

  it('of a small blob takes one GET', async () => {
    const setup = new Setup()
    const data = randomData(4096)
    const hash = await setup.add(data)
    await using reader = setup.reader(hash, data.length, ChunkRanges.all)
    await collect(reader, ChunkRanges.all)
    expect(setup.storage.gets).toEqual([{ key: dataKey(hash), offset: 0, length: 4096 }])
  })
})

describe('GETs', () => {
  // The first; where the tree's halves meet, from both sides; the last, whose path turns right at every level.
  it.each([0, 4 * GIB - 32 * KIB, 4 * GIB, 5 * GIB + 13 * MIB, 8 * GIB - 64 * KIB])(
    'of 64 KiB at %i of 8 GiB: one of data, six or fewer of the outboard, none when another has been there',
    async at => {
      const setup = new Setup()
      const size = 8 * GIB
      const hash = setup.addHuge(size, at, at + 64 * KIB)
      const ranges = ChunkRanges.ofBytes(at, at + 64 * KIB)
      for (const outboardGets of [6, 0]) {
        setup.storage.gets.length = 0
        await using reader = setup.reader(hash, size, ranges)
        await collect(reader, ranges)
        await settle()
        expect(setup.storage.getsOf(dataKey(hash))).toEqual([
          { key: dataKey(hash), offset: at, length: 64 * KIB }
        ])
        expect(setup.getsOf(outboardKey(hash))).toBeLessThanOrEqual(outboardGets)
      }
    }
  )

  it('of a blob that is read in order are few, of its outboard as well, and none is twice', async () => {
    const setup = new Setup()
    const data = randomData(15 * MIB)
    const repeated = Array.from({ length: 3 }, () => data)
    const size = 3 * data.length
    const whole = Buffer.concat(repeated)
    const { hash, outboard } = hashBytes(whole)
    setup.storage.makeUp(dataKey(hash), (offset, length) => whole.subarray(offset, offset + length))
    await setup.storage.put(outboardKey(hash), [outboard])
    await using reader = setup.reader(hash, size, ChunkRanges.all)
    for await (const _ of encode(hash, reader, ChunkRanges.all)) {
      // Only read.
    }
    expect(setup.getsOf(dataKey(hash))).toBeLessThanOrEqual(size / (8 * MIB) + 4)
    expect(setup.getsOf(outboardKey(hash))).toBe(1)
    expect(setup.storage.bytes).toBe(size + outboard.length)
  })

  it('are made before anything is read, where that is asked for, and not again', async () => {
    const setup = new Setup()
    const data = randomData(5 * MIB)
    const hash = await setup.add(data)
    const ranges = ChunkRanges.ofBytes(2 * MIB, 2 * MIB + 64 * KIB)
    await using reader = setup.reader(hash, data.length, ranges)
    await reader.askAhead()
    const asked = [{ key: dataKey(hash), offset: 2 * MIB, length: 64 * KIB }]
    expect(setup.storage.gets).toEqual(asked)
    const found = await collect(reader, ranges)
    expect(Buffer.compare(found, await encodeAll(memorySource(data), ranges))).toBe(0)
    expect(setup.storage.getsOf(dataKey(hash))).toEqual(asked)
  })

  it('that were asked for before anything is read may fail: they are made again', async () => {
    const setup = new Setup()
    const data = randomData(5 * MIB)
    const hash = await setup.add(data)
    const ranges = ChunkRanges.ofBytes(2 * MIB, 2 * MIB + 64 * KIB)
    setup.storage.onPiece = get => {
      if (get === 0) throw new StorageUnavailableError('not now')
    }
    await using reader = setup.reader(hash, data.length, ranges)
    await reader.askAhead()
    await settle()
    const found = await collect(reader, ranges)
    expect(Buffer.compare(found, await encodeAll(memorySource(data), ranges))).toBe(0)
  })

  it('are not made by who has closed', async () => {
    const setup = new Setup()
    const hash = await setup.add(randomData(MIB))
    await using reader = setup.reader(hash, MIB, ChunkRanges.all)
    await reader.close()
    await reader.askAhead()
    expect(setup.storage.gets).toEqual([])
  })

  it('stop when the peer stops', async () => {
    const setup = new Setup()
    const hash = setup.addHuge(8 * GIB, 0, 8 * MIB)
    await using reader = setup.reader(hash, 8 * GIB, ChunkRanges.all)
    const encoding = encode(hash, reader, ChunkRanges.all)
    for (let i = 0; i < 4; i++) await encoding.next()
    await settle()
    await settle()
    const { bytes } = setup.storage
    expect(bytes).toBeLessThan(24 * MIB)
    await settle()
    expect(setup.storage.bytes).toBe(bytes)
    await encoding.return()
  })
})

describe('a reader', () => {
  it('refuses what lies outside', async () => {
    const setup = new Setup()
    const hash = await setup.add(randomData(100_000))
    await using reader = setup.reader(hash, 100_000)
    await expect(reader.readData(99_999, new Uint8Array(2))).rejects.toThrow(
      'cannot read 2 bytes at 99999 of the data: it has 100000'
    )
    await expect(reader.readData(-1, new Uint8Array(1))).rejects.toThrow(RangeError)
    await expect(reader.readOutboard(0, new Uint8Array(outboardBytes(100_000) + 1))).rejects.toThrow(
      RangeError
    )
    await reader.readData(100_000, new Uint8Array(0))
    await reader.readOutboard(0, new Uint8Array(0))
    expect(setup.storage.gets).toEqual([])
  })

  it('says that the data is gone', async () => {
    const setup = new Setup()
    const data = randomData(100_000)
    const hash = await setup.add(data)
    const key = dataKey(hash)
    await setup.storage.delete([key])
    await using reader = setup.reader(hash, data.length, ChunkRanges.all)
    const error = await collect(reader, ChunkRanges.all).catch(error => error)
    expect(error).toBeInstanceOf(BlobNotFoundError)
    expect(error.message).toBe(`blob ${hash} is gone from the storage: there is no object ${key} in memory`)
    expect(setup.missing).toBeGreaterThan(0)
  })

  it.each(['the outboard is gone', 'the outboard is cut off', 'the data is cut off'])(
    'says that the blob is damaged when %s',
    async what => {
      const setup = new Setup()
      const data = randomData(100_000)
      const hash = await setup.add(data)
      const key = what.includes('data') ? dataKey(hash) : outboardKey(hash)
      if (what.endsWith('gone')) await setup.storage.delete([key])
      else await setup.storage.put(key, [data.subarray(0, 100)])
      await using reader = setup.reader(hash, data.length, ChunkRanges.all)
      const error = await collect(reader, ChunkRanges.all).catch(error => error)
      expect(error).toBeInstanceOf(BlobDamagedError)
      expect(error.message).toContain(key)
    }
  )

  it('passes on what the storage says', async () => {
    const setup = new Setup()
    const hash = await setup.add(randomData(MIB))
    const error = new StorageUnavailableError('gone fishing')
    setup.storage.onPiece = () => {
      throw error
    }
    await using reader = setup.reader(hash, MIB, ChunkRanges.all)
    await expect(collect(reader, ChunkRanges.all)).rejects.toBe(error)
    expect(setup.missing).toBe(0)
    setup.storage.onPiece = undefined
    await collect(reader, ChunkRanges.all)
  })

  it('that is closed ends what is under way, once, and reads no more', async () => {
    const setup = new Setup()
    const hash = await setup.add(randomData(4 * MIB))
    setup.storage.onPiece = () => new Promise(() => undefined)
    const reader = setup.reader(hash, 4 * MIB, ChunkRanges.all)
    const reads = [reader.readData(0, new Uint8Array(MIB)), reader.readOutboard(0, new Uint8Array(64))]
    await settle()
    expect(setup.storage.inFlight).toBeGreaterThan(1)
    const closing = Promise.all([reader.close(), reader.close()])
    for (const read of reads) await expect(read).rejects.toThrow(HandleClosedError)
    await closing
    await settle()
    expect(setup.closed).toBe(1)
    expect(setup.storage.inFlight).toBe(0)
    expect(setup.budget.usedBytes).toBe(0)
    await expect(reader.readData(0, new Uint8Array(0))).rejects.toThrow(HandleClosedError)
    await expect(reader.readOutboard(0, new Uint8Array(0))).rejects.toThrow(HandleClosedError)
  })

  it('gives up a read whose signal aborts', async () => {
    const setup = new Setup()
    const hash = await setup.add(randomData(4 * MIB))
    setup.storage.onPiece = () => new Promise(() => undefined)
    await using reader = setup.reader(hash, 4 * MIB, ChunkRanges.all)
    const controller = new AbortController()
    const reason = new Error('enough')
    const reads = [
      reader.readData(0, new Uint8Array(64 * KIB), controller.signal),
      reader.readData(2 * MIB, new Uint8Array(2 * MIB), controller.signal),
      reader.readOutboard(0, new Uint8Array(64), controller.signal)
    ]
    await settle()
    controller.abort(reason)
    for (const read of reads) await expect(read).rejects.toBe(reason)
    await expect(reader.readData(0, new Uint8Array(1), controller.signal)).rejects.toBe(reason)
  })
})
