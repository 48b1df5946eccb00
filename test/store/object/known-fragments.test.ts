import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { Hash } from '../../../src/hash.ts'
import type { Fragments } from '../../../src/store/object/fragments.ts'
import { KnownFragments, MOST_REMEMBERED } from '../../../src/store/object/known-fragments.ts'
import { MISS_MS } from '../../../src/store/object/lookup.ts'
import { Metadata } from '../../../src/store/object/metadata/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import { groups, MIB, receive, sampleBlob, startReceiving, testFolder, testStore, until } from './support.ts'

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

function hashOf(number: number): Hash {
  return Hash.fromBytes(new Uint8Array(32).fill(number))
}

describe('the fragments that the index knows of', () => {
  const size = 2 ** 40
  const [hash, other] = [hashOf(1), hashOf(2)]
  let metadata: Metadata
  /** Another process, on the same database. */
  let elsewhere: Metadata
  let known: KnownFragments

  beforeEach(async () => {
    const path = `${await testFolder()}/blobs.db`
    metadata = Metadata.open(path)
    elsewhere = Metadata.open(path)
    known = new KnownFragments(metadata)
    vi.useFakeTimers({ toFake: ['Date'], now: 1000 })
  })

  afterEach(() => {
    metadata.close()
    elsewhere.close()
  })

  /** Later than everything was written. */
  function now(of = hash): Fragments {
    vi.setSystemTime(5000)
    const fragments = known.of(metadata.find(of)!)
    vi.setSystemTime(1000)
    return fragments
  }

  function startsOf({ held }: Fragments): number[] {
    return Array.from(held, ([start]) => Number(start / 16n))
  }

  /** Names of `count` fragments from a group on. */
  function names(first: number, count: number): string[] {
    return Array.from({ length: count }, (_, i) => `${size}.${first + 2 * i}-${first + 2 * i + 1}`)
  }

  function keep(where: Metadata, add: string[], drop: string[] = [], of = hash): void {
    where.keepFragments(of, { size, add, drop })
  }

  it('are read once for as long as nothing changes', () => {
    keep(metadata, names(0, 2))
    keep(metadata, names(0, 1), [], other)
    const read = vi.spyOn(metadata, 'fragments')
    const first = now()
    expect(first.held.equals(groups(0).union(groups(2)))).toBe(true)
    expect(now()).toBe(first)
    // What happens to others is no matter.
    metadata.remove(other, 'owner')
    expect(now()).toBe(first)
    expect(read).toHaveBeenCalledTimes(1)
  })

  it('are what is there when they have changed, in the same millisecond and by whomever', () => {
    keep(metadata, names(0, 2))
    const held = (): number[] => startsOf(now())
    expect(held()).toEqual([0, 2])
    for (const where of [metadata, elsewhere]) {
      keep(where, names(10, 1))
      expect(held()).toEqual([0, 2, 10])
      where.dropFragments(hash, names(2, 1))
      expect(held()).toEqual([0, 10])
      keep(where, names(2, 1), names(10, 1))
      expect(held()).toEqual([0, 2])
      where.keepFragment(hash, { size: 5, add: '5.0-1', drop: [] })
      expect(now().size).toBe(5)
      keep(where, names(0, 2))
      expect(held()).toEqual([0, 2])
    }
    metadata.forget(hash)
    keep(elsewhere, names(6, 1))
    expect(held()).toEqual([6])
  })

  it('are what is there when the blob has begun anew in the millisecond in which it was asked for', () => {
    keep(metadata, names(0, 1))
    expect(startsOf(known.of(metadata.find(hash)!))).toEqual([0])
    metadata.forget(hash)
    keep(elsewhere, names(6, 1))
    expect(startsOf(known.of(metadata.find(hash)!))).toEqual([6])
  })

  it('of so many blobs and no more are remembered, those that were not asked for longest go first', () => {
    const read = vi.spyOn(metadata, 'fragments')
    const third = hashOf(3)
    keep(metadata, names(0, 100))
    keep(metadata, names(0, 100), [], other)
    const many = Array.from({ length: MOST_REMEMBERED - 100 }, (_, i) => `${size}.${i * 512}-${i * 512 + 1}`)
    keep(
      metadata,
      many.map(name => name.replace(/.*\./, `${2 ** 50}.`)),
      [],
      third
    )
    now()
    now(other)
    now()
    expect(read).toHaveBeenCalledTimes(2)
    now(third)
    now()
    now(third)
    expect(read).toHaveBeenCalledTimes(3)
    now(other)
    expect(read).toHaveBeenCalledTimes(4)
  })
})

describe('a partial blob that nobody writes', () => {
  it('is looked at without reading its fragments anew', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const read = vi.spyOn(Metadata.prototype, 'fragments')
    const bucket = new MemoryStorage()
    const store = await testStore(bucket, { readThrough: true })
    const blob = sampleBlob(20 * MIB)
    await receive(store, blob, groups(0, 600))
    const written = Date.now()
    const asked = { state: 'partial', size: blob.size, ranges: groups(0, 600) }
    expect(await store.status(blob.hash)).toMatchObject(asked)
    // What was written in this very millisecond is not remembered.
    await until(() => Date.now() > written + 1)
    expect(await store.status(blob.hash)).toMatchObject(asked)
    read.mockClear()
    for (let i = 0; i < 5; i++) {
      expect(await store.status(blob.hash)).toMatchObject(asked)
      await using reader = await store.open(blob.hash)
      expect(reader?.held?.equals(asked.ranges)).toBe(true)
      expect(await Array.fromAsync(store.list())).toHaveLength(1)
    }
    expect(read).not.toHaveBeenCalled()
    // Nor is anything written when the storage says what is known.
    vi.advanceTimersByTime(MISS_MS)
    const keep = vi.spyOn(Metadata.prototype, 'keepFragments')
    expect(await store.status(blob.hash)).toMatchObject(asked)
    expect(keep).not.toHaveBeenCalled()
  })

  it('is seen to grow when another process writes it', async () => {
    const bucket = new MemoryStorage()
    const dbPath = `${await testFolder()}/blobs.db`
    const [store, elsewhere] = [await testStore(bucket, { dbPath }), await testStore(bucket, { dbPath })]
    const blob = sampleBlob(20 * MIB)
    for (const end of [100, 600, 700]) {
      await receive(elsewhere, blob, groups(end - 100, end))
      const status = await store.status(blob.hash)
      const expected = await elsewhere.status(blob.hash)
      expect(status).toEqual(expected)
    }
    await (await startReceiving(elsewhere, blob, ChunkRanges.all)).close()
    expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
  })
})
