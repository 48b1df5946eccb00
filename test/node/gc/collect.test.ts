/** What is garbage, and how it is collected while other things go on. That nothing is lost, `model.test.ts` tells. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Hash } from '../../../src/hash.ts'
import { collectGarbage, IncompleteSequenceError } from '../../../src/node/gc/collect.ts'
import { receive } from '../../../src/store/compliance/checks.ts'
import { groups, type Sample, sample } from '../../../src/store/compliance/samples.ts'
import type { BlobInfo, BlobReader, BlobStore, OpenOptions, WaitOptions } from '../../../src/store/index.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../../src/store/memory/index.ts'
import { sampleOf, sequenceOf } from './support.ts'

const ALL_PARTIAL = -1000
const [one, two, three] = [sample(10, 1), sample(20_000, 2), sample(100_000, 3)]

/** A store that has something done when the collection is at its first blob, and counts what is read. */
class WatchedStore extends MemoryStore {
  onList: () => Promise<void> = async () => undefined
  bytesRead = 0

  override async *list(options?: WaitOptions): AsyncGenerator<BlobInfo, void, undefined> {
    let isFirst = true
    for await (const blob of super.list(options)) {
      if (isFirst) await this.onList()
      isFirst = false
      yield blob
    }
  }

  override async open(hash: Hash, options?: OpenOptions): Promise<BlobReader | undefined> {
    const reader = await super.open(hash, options)
    if (reader === undefined) return undefined
    const readData = reader.readData.bind(reader)
    const readDataInto = reader.readDataInto!.bind(reader)
    reader.readData = async (offset, target, signal) => {
      this.bytesRead += target.length
      await readData(offset, target, signal)
    }
    reader.readDataInto = async (offset, targets, signal) => {
      for (const { length } of targets) this.bytesRead += length
      await readDataInto(offset, targets, signal)
    }
    return reader
  }
}

async function addAll(store: BlobStore, ...blobs: readonly Sample[]): Promise<void> {
  for (const { data } of blobs) await store.addBytes(data)
}

async function hashesIn(store: BlobStore): Promise<string[]> {
  return (await Array.fromAsync(store.list())).map(({ hash }) => hash.toString()).sort()
}

const hashesOf = (...blobs: readonly Sample[]): string[] => blobs.map(({ hash }) => hash.toString()).sort()

/** So many links, to blobs that are nowhere. */
const madeUp = (count: number): Sample =>
  sequenceOf(
    Array.from({ length: count }, (_, i) => {
      const bytes = new Uint8Array(32).fill(9)
      new DataView(bytes.buffer).setUint32(8, i)
      return { hash: Hash.fromBytes(bytes) }
    })
  )

describe('collecting garbage', () => {
  it('tells what it deletes, and in a dry run what it would', async () => {
    const store = new MemoryStore()
    await addAll(store, one, two)
    await receive(store, three, groups(0, 2))
    await store.tags.set('one', { hash: one.hash, format: 'raw' })
    const told = { blobs: 2, bytes: two.size + 32_768, keptBlobs: 1, keptBytes: one.size }
    for (const isDryRun of [true, false]) {
      const garbage: { hash: Hash; bytes: number; isPartial: boolean }[] = []
      const onGarbage = (blob: (typeof garbage)[number]) => void garbage.push(blob)
      expect(await collectGarbage(store, { isDryRun, partialAgeMs: ALL_PARTIAL, onGarbage })).toEqual(told)
      expect(garbage).toHaveLength(2)
      expect(garbage).toContainEqual({ hash: two.hash, bytes: two.size, isPartial: false })
      expect(garbage).toContainEqual({ hash: three.hash, bytes: 32_768, isPartial: true })
      expect(await hashesIn(store)).toEqual(isDryRun ? hashesOf(one, two, three) : hashesOf(one))
    }
  })

  it('leaves young partial blobs, and if told so complete ones', async () => {
    const store = new MemoryStore()
    await addAll(store, one)
    await receive(store, three, groups(0, 2))
    await collectGarbage(store)
    expect(await hashesIn(store)).toEqual(hashesOf(three))
    await addAll(store, one)
    await collectGarbage(store, { onlyPartial: true, partialAgeMs: ALL_PARTIAL })
    expect(await hashesIn(store)).toEqual(hashesOf(one))
  })

  it('deletes nothing when a tag names a list of which a part is missing', async () => {
    const list = madeUp(2000)
    const store = new MemoryStore()
    await addAll(store, one)
    await receive(store, list, groups(0, 2))
    for (const name of ['a', 'b', 'c', 'd'])
      await store.tags.set(name, { hash: list.hash, format: 'hash_seq' })
    const collecting = collectGarbage(store)
    await expect(collecting).rejects.toThrow(/the list of blobs that "a", "b", "c" and 1 more stands for/)
    await expect(collecting).rejects.toMatchObject({
      code: 'ERR_INCOMPLETE_SEQUENCE',
      tags: ['a', 'b', 'c', 'd']
    })
    expect(await hashesIn(store)).toEqual(hashesOf(one, list))
  })

  it('deletes nothing more when such a tag is set meanwhile', async () => {
    const store = new WatchedStore()
    await addAll(store, one, two)
    store.onList = () => store.tags.set('late', { hash: sampleOf(one).hash, format: 'hash_seq' })
    await expect(collectGarbage(store)).rejects.toThrow(IncompleteSequenceError)
    expect(await hashesIn(store)).toEqual(hashesOf(one, two))
  })

  it('keeps what a list links to as far as it is here, when a lease protects it', async () => {
    const store = new MemoryStore()
    const links = Array.from({ length: 600 }, (_, i) => sample(10 + i, 7))
    const list = sampleOf(...links)
    await addAll(store, ...links)
    await receive(store, list, groups(0))
    await using lease = await store.lease()
    await lease.protect({ hash: list.hash, format: 'hash_seq' })
    await collectGarbage(store, { partialAgeMs: ALL_PARTIAL })
    expect(await hashesIn(store)).toEqual(hashesOf(list, ...links.slice(0, 512)))
  })

  it('reads a list of which a part is missing no more than once', async () => {
    const store = new WatchedStore()
    const list = madeUp(10_000)
    await addAll(store, ...Array.from({ length: 1000 }, (_, i) => sample(1 + i, 8)))
    await receive(store, list, groups(0, 10))
    await using lease = await store.lease()
    await lease.protect({ hash: list.hash, format: 'hash_seq' })
    await collectGarbage(store)
    expect(await hashesIn(store)).toEqual(hashesOf(list))
    expect(store.bytesRead).toBe(10 * 16_384)
  })

  it('takes a blob that is no list for one that links to nothing', async () => {
    const store = new MemoryStore()
    await addAll(store, one, two)
    await store.tags.set('one', { hash: one.hash, format: 'hash_seq' })
    await collectGarbage(store)
    expect(await hashesIn(store)).toEqual(hashesOf(one))
  })

  it('deletes nothing when a list turns out to be damaged', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'collect-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await using store = await LegacyFsStore.open(folder)
    const list = sampleOf(one, two)
    await addAll(store, one, two, list)
    await store.tags.set('list', { hash: list.hash, format: 'hash_seq' })
    await writeFile(join(folder, 'data', `${list.hash}.data`), new Uint8Array(list.size))
    await expect(collectGarbage(store)).rejects.toMatchObject({ code: 'ERR_BLOB_DAMAGED' })
    expect((await store.status(one.hash)).state).toBe('complete')
  })

  it('deletes nothing when a tag turns out to be damaged, until it is set again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'collect-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await using store = await LegacyFsStore.open(folder)
    await addAll(store, one, two)
    await store.tags.set('one', { hash: one.hash, format: 'raw' })
    const [tag] = await readdir(join(folder, 'tags'))
    await writeFile(join(folder, 'tags', tag!), new Uint8Array(100))
    const collecting = collectGarbage(store)
    await expect(collecting).rejects.toMatchObject({ code: 'ERR_GARBAGE_UNKNOWN' })
    await expect(collecting).rejects.toThrow(tag)
    expect(await hashesIn(store)).toEqual(hashesOf(one, two))
    await store.tags.set('one', { hash: one.hash, format: 'raw' })
    await collectGarbage(store)
    expect(await hashesIn(store)).toEqual(hashesOf(one))
  })

  it('lets others have their turn, also when everything is kept', async () => {
    const list = madeUp(200_000)
    const store = new MemoryStore()
    await addAll(store, list, ...Array.from({ length: 3_000 }, (_, i) => sample(1 + (i % 100), 1000 + i)))
    await store.tags.set('list', { hash: list.hash, format: 'hash_seq' })
    for await (const { hash } of store.list()) await store.tags.set(String(hash), { hash, format: 'raw' })
    let turns = 0
    let isOver = false
    const turn = (): void => {
      turns++
      if (!isOver) setImmediate(turn)
    }
    setImmediate(turn)
    const { blobs, keptBlobs } = await collectGarbage(store)
    isOver = true
    expect([blobs, keptBlobs]).toEqual([0, (await hashesIn(store)).length])
    expect(turns).toBeGreaterThan(5)
  })

  it('ends when it is told to, or the store is closed, and leaves the rest', async () => {
    const blobs = Array.from({ length: 200 }, (_, i) => sample(1 + i, 9))
    for (const end of ['signal', 'close'] as const) {
      const store = new MemoryStore()
      await addAll(store, ...blobs)
      const stop = new AbortController()
      let deleted = 0
      const collecting = collectGarbage(store, {
        signal: stop.signal,
        onGarbage: () => {
          if (deleted++ > 0) return
          if (end === 'signal') stop.abort(new Error('enough'))
          else void store.close()
        }
      })
      await expect(collecting).rejects.toThrow(end === 'signal' ? 'enough' : 'the store has been closed')
      expect(deleted).toBeGreaterThan(0)
      expect(deleted).toBeLessThan(blobs.length)
      if (end === 'signal') expect(await hashesIn(store)).toHaveLength(blobs.length - deleted)
    }
  })

  it.each([0, -1, 1.1, Number.NaN])('cannot take %s of the time', async share => {
    await expect(collectGarbage(new MemoryStore(), { share })).rejects.toThrow(RangeError)
  })
})
