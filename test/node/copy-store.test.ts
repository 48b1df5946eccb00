import { createHash } from 'node:crypto'
import { readdir, truncate, writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES, GROUP_CHUNKS, RUN_BYTES } from '../../src/bao/constants.ts'
import { type EncodeSource, encodeVerified } from '../../src/bao/encoder.ts'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import type { Hash } from '../../src/hash.ts'
import { type CopyProblem, type CopyProgress, copyStore } from '../../src/node/copy-store.ts'
import type { BlobStatus, BlobStore } from '../../src/store/index.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { ObjectStore, StorageError } from '../../src/store/object/index.ts'
import { dataKey, outboardKey, partialPrefix } from '../../src/store/object/layout.ts'
import { INTERESTING_SIZES, randomData } from '../helpers/data.ts'
import {
  contentOf as bytesOf,
  cutOff,
  flipByte,
  keysOf,
  testStore,
  WatchedStorage
} from '../store/object/support.ts'
import { scratch } from './support.ts'

const NOTHING = {
  copied: 0,
  present: 0,
  partial: 0,
  damaged: 0,
  conflicting: 0,
  tooLarge: 0,
  tags: 0,
  tagsKept: 0,
  bytes: 0
}

/** Chunks of some groups, the blob's end cut off. */
function groups(size: number, ...spans: readonly (readonly [from: number, to: number])[]): ChunkRanges {
  return spans
    .map(([from, to]) => ChunkRanges.range(from * GROUP_CHUNKS, to * GROUP_CHUNKS))
    .reduce((all, one) => all.union(one), ChunkRanges.empty)
    .intersect(ChunkRanges.range(0, Math.max(1, Math.ceil(size / 1024))))
}

/**
 * Lets a store hold a part of a blob.
 *
 * @param claimed the size that the store is told
 * @returns the blob's hash
 */
async function holdPart(
  store: BlobStore,
  data: Uint8Array,
  ranges: ChunkRanges,
  claimed = data.length
): Promise<Hash> {
  await using whole = new MemoryStore()
  const { hash } = await whole.addBytes(data)
  await using reader = (await whole.open(hash))!
  await using writer = await store.writer(hash, claimed)
  const source: EncodeSource = {
    size: claimed,
    readData: (offset, target) => reader.readData(offset, target),
    readOutboard: (offset, target) => reader.readOutboard(offset, target)
  }
  for await (const verified of encodeVerified(hash, source, ranges)) await writer.write(verified)
  return hash
}

async function contentOf(store: BlobStore, hash: Hash): Promise<Uint8Array> {
  await using reader = (await store.open(hash))!
  const bytes = new Uint8Array(reader.size)
  for await (const { leaves } of encodeVerified(hash, reader, ChunkRanges.all)) {
    for (const leaf of leaves) bytes.set(leaf.bytes, leaf.offset)
  }
  return bytes
}

/** All objects, by their keys: each is named by the hash of what is in it. */
async function contentsOf(storage: WatchedStorage): Promise<string[]> {
  const keys = await keysOf(storage)
  return await Promise.all(
    keys.map(
      async key =>
        `${key} ${createHash('sha256')
          .update(await bytesOf(storage, key))
          .digest('hex')}`
    )
  )
}

async function stateOf(store: BlobStore): Promise<Map<string, BlobStatus>> {
  const blobs = await Array.fromAsync(store.list())
  return new Map(blobs.map(({ hash, status }) => [hash.toString(), status]))
}

describe('copying a store', () => {
  it('carries blobs of all sizes and tags to another kind of store and back, and leaves the source as it is', async () => {
    await using folder = await scratch()
    await using first = await LegacyFsStore.open(folder.in('first'), { sync: 'none' })
    await using between = new MemoryStore()
    await using last = await LegacyFsStore.open(folder.in('last'), { sync: 'none' })
    const added = await Promise.all(INTERESTING_SIZES.map(size => first.addBytes(randomData(size, size + 1))))
    for (const { hash } of added) await first.tags.set(`tag of ${hash}`, { hash, format: 'raw' })
    const listed = INTERESTING_SIZES.length - 1
    const bytes = INTERESTING_SIZES.reduce((sum, size) => sum + size)
    const expected = { ...NOTHING, copied: listed, tags: added.length, bytes }

    expect(await copyStore(first, between)).toEqual(expected)
    expect(await copyStore(between, last)).toEqual(expected)

    expect(await stateOf(last)).toEqual(await stateOf(first))
    expect(await Array.fromAsync(last.tags.list())).toEqual(await Array.fromAsync(first.tags.list()))
    for (const { hash, size } of added) {
      expect(Buffer.compare(await contentOf(last, hash), randomData(size, size + 1))).toBe(0)
    }
  })

  it('does not read what is there', async () => {
    await using from = new MemoryStore()
    await using to = new MemoryStore()
    await from.addBytes(randomData(3 * RUN_BYTES))
    await copyStore(from, to)
    const { hash } = await from.addBytes(randomData(17, 2))
    await from.tags.set('new', { hash, format: 'raw' })
    expect(await copyStore(from, to)).toEqual({ ...NOTHING, copied: 1, present: 1, tags: 1, bytes: 17 })
  })

  it('tells how far it is, up to the end', async () => {
    await using from = new MemoryStore()
    await using to = new MemoryStore()
    await from.addBytes(randomData(3 * RUN_BYTES))
    await from.addBytes(randomData(100, 2))
    const told: CopyProgress[] = []
    await copyStore(from, to, { onProgress: progress => told.push(progress) })
    expect(told.length).toBeGreaterThan(3)
    expect(told).toEqual(told.toSorted((a, b) => a.bytes - b.bytes || a.blobs - b.blobs))
    expect(told.at(-1)).toEqual({ blobs: 2, bytes: 3 * RUN_BYTES + 100 })
  })

  it('goes on in the middle of a blob where it was stopped', async () => {
    await using folder = await scratch()
    await using from = new MemoryStore()
    const data = randomData(8 * RUN_BYTES + 5)
    const { hash } = await from.addBytes(data)
    const stop = new AbortController()
    const onProgress = ({ bytes }: CopyProgress): void => {
      if (bytes >= 3 * RUN_BYTES) stop.abort(new Error('stopped'))
    }
    {
      await using to = await LegacyFsStore.open(folder.in('to'), { sync: 'none' })
      await expect(copyStore(from, to, { signal: stop.signal, onProgress })).rejects.toThrow('stopped')
    }
    await using to = await LegacyFsStore.open(folder.in('to'), { sync: 'none' })
    expect(await to.status(hash)).toMatchObject({ state: 'partial' })
    const { copied, bytes } = await copyStore(from, to)
    expect(copied).toBe(1)
    expect(bytes).toBe(data.length - 3 * RUN_BYTES)
    expect(Buffer.compare(await contentOf(to, hash), data)).toBe(0)
  })

  const span = fc.tuple(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 1, max: 4 }))
  const spans = fc.array(span, { minLength: 1, maxLength: 3 })

  it('leaves in the target what either held, whatever parts of a blob those were', async () => {
    const sizes = fc.integer({ min: GROUP_BYTES + 1, max: 8 * GROUP_BYTES })
    await fc.assert(
      fc.asyncProperty(sizes, spans, spans, async (size, inSource, inTarget) => {
        const data = randomData(size)
        const [source, target] = [inSource, inTarget].map(all =>
          groups(size, ...all.map(([from, length]) => [from, from + length] as const))
        ) as [ChunkRanges, ChunkRanges]
        fc.pre(!source.isEmpty && !target.isEmpty)
        await using from = new MemoryStore()
        await using to = new MemoryStore()
        const hash = await holdPart(from, data, source)
        await holdPart(to, data, target)
        const report = await copyStore(from, to)
        const after = await to.status(hash)
        const union = source.union(target)
        if (after.state === 'partial') expect(after.ranges).toEqual(union)
        else expect(union.equals(groups(size, [0, 8]))).toBe(true)
        expect(report.bytes === 0).toBe(target.containsAll(source))
        expect(report.copied + report.partial + report.present).toBe(1)
        expect(await copyStore(from, to)).toMatchObject({ present: 1, bytes: 0 })
      }),
      { numRuns: 60 }
    )
  })

  // A tree of 8 groups and one that ends a byte earlier have the same first group: only a claim tells them apart.
  const eight = randomData(8 * GROUP_BYTES)
  const firstGroup = groups(eight.length, [0, 1])

  it('leaves a partial blob as it is when both stores were told different sizes, and neither knows', async () => {
    await using from = new MemoryStore()
    await using to = new MemoryStore()
    const hash = await holdPart(from, eight, groups(eight.length, [0, 2]))
    await holdPart(to, eight, firstGroup, eight.length - 1)
    const before = await to.status(hash)
    const problems: CopyProblem[] = []
    const report = await copyStore(from, to, { onProblem: problem => problems.push(problem) })
    expect(report).toEqual({ ...NOTHING, conflicting: 1 })
    expect(problems).toMatchObject([{ what: hash.toString(), kind: 'blob' }])
    expect(await to.status(hash)).toEqual(before)
  })

  it('replaces what was only claimed by what is proven', async () => {
    await using from = new MemoryStore()
    await using to = new MemoryStore()
    const { hash, size } = await from.addBytes(eight)
    await holdPart(to, eight, firstGroup, size - 1)
    expect(await copyStore(from, to)).toMatchObject({ copied: 1, bytes: size })
    expect(await to.status(hash)).toEqual({ state: 'complete', size })
  })

  it('tells of a damaged blob, never copies what is wrong, and copies the others', async () => {
    await using folder = await scratch()
    await using from = await LegacyFsStore.open(folder.in('from'), { sync: 'none' })
    await using to = new MemoryStore()
    const sizes = [100, 3 * RUN_BYTES]
    const bad = await Promise.all(sizes.map(size => from.addBytes(randomData(size, size))))
    const good = await from.addBytes(randomData(5000, 9))
    for (const { hash, size } of bad) {
      const wrong = randomData(size, size)
      wrong[size - 1]! ^= 1
      await writeFile(folder.in('from', 'data', `${hash}.data`), wrong)
    }
    const problems: CopyProblem[] = []
    const report = await copyStore(from, to, { onProblem: problem => problems.push(problem) })
    expect(report).toMatchObject({ copied: 1, damaged: 2 })
    expect(problems.map(({ what }) => what).sort()).toEqual(bad.map(({ hash }) => hash.toString()).sort())
    expect((await to.status(good.hash)).state).toBe('complete')
    for (const { hash } of bad) expect((await to.status(hash)).state).not.toBe('complete')
  })

  it('does not take a blob for damaged that was deleted since it was listed', async () => {
    await using from = new MemoryStore()
    await using to = new MemoryStore()
    const { hash } = await from.addBytes(randomData(10))
    await from.addBytes(randomData(20))
    const listed = await Array.fromAsync(from.list())
    from.list = async function* () {
      yield* listed
    }
    await from.delete(hash)
    const problems: CopyProblem[] = []
    const report = await copyStore(from, to, { onProblem: problem => problems.push(problem) })
    expect(report).toEqual({ ...NOTHING, copied: 1, bytes: 20 })
    expect(problems).toEqual([])
  })

  it('lets the source mend what can be mended', async () => {
    await using folder = await scratch()
    await using from = await LegacyFsStore.open(folder.in('from'), { sync: 'none' })
    await using to = new MemoryStore()
    const { hash, size } = await from.addBytes(randomData(3 * RUN_BYTES))
    const [outboard] = (await readdir(folder.in('from', 'data'))).filter(name => name.endsWith('.obao4'))
    const path = folder.in('from', 'data', outboard!)
    await truncate(path, 0)
    await writeFile(path, randomData(191 * 64))
    expect(await copyStore(from, to)).toEqual({ ...NOTHING, copied: 1, bytes: size })
    expect(await to.status(hash)).toEqual({ state: 'complete', size })
  })

  it('keeps what a tag means in the target, unless it is told to replace it', async () => {
    await using from = new MemoryStore()
    await using to = new MemoryStore()
    const ours = await from.addBytes(randomData(10, 1))
    const theirs = await to.addBytes(randomData(10, 2))
    await from.tags.set('a', { hash: ours.hash, format: 'raw' })
    await to.tags.set('a', { hash: theirs.hash, format: 'raw' })
    const problems: CopyProblem[] = []
    const kept = await copyStore(from, to, { onProblem: problem => problems.push(problem) })
    expect(kept).toMatchObject({ tags: 0, tagsKept: 1 })
    expect(problems).toMatchObject([{ what: 'a', kind: 'tag' }])
    expect((await to.tags.get('a'))?.hash).toEqual(theirs.hash)
    expect(await copyStore(from, to, { replaceTags: true })).toMatchObject({ tags: 1, tagsKept: 0 })
    expect((await to.tags.get('a'))?.hash).toEqual(ours.hash)
  })

  it('only reads a store of objects that is to be left as it is, and tells all that is damaged in it', async () => {
    const storage = new WatchedStorage()
    const blobs = Array.from({ length: 7 }, (_, seed) => randomData(3 * RUN_BYTES, seed))
    const [good, flipped, cut, longer, noOutboard, shortOutboard, inPart] = await Promise.all(
      blobs.map(async data => (await new MemoryStore().addBytes(data)).hash)
    )
    {
      await using store = await testStore(storage)
      for (const data of blobs.slice(0, -1)) await store.addBytes(data)
      await holdPart(store, blobs.at(-1)!, groups(3 * RUN_BYTES, [0, 5]))
    }
    await flipByte(storage, dataKey(flipped!), 2 * RUN_BYTES)
    await cutOff(storage, dataKey(cut!), 1)
    await storage.put(dataKey(longer!), [randomData(4 * RUN_BYTES)])
    await storage.delete([outboardKey(noOutboard!)])
    await cutOff(storage, outboardKey(shortOutboard!), 64)
    // What a killed process has left behind.
    await storage.put(`${partialPrefix(good!)}3145728.0-1`, [randomData(GROUP_BYTES)])
    await storage.put(`${partialPrefix(inPart!)}3145728.7-8`, [randomData(10)])
    const before = await contentsOf(storage)

    storage.before = ({ method, key }) => {
      if (!['read', 'stat', 'list'].includes(method)) throw new Error(`${method} of ${key}`)
    }
    const notices: string[] = []
    const from = await testStore(storage, { leaveAsIs: true, onNotice: text => notices.push(text) })
    await from.recoverFromStorage({ fast: true })
    await using to = new MemoryStore()
    // The target knows better how long it is.
    await holdPart(to, blobs[2]!, groups(3 * RUN_BYTES, [191, 192]))
    const problems = new Map<string, string>()
    const report = await copyStore(from, to, {
      onProblem: ({ what, message }) => problems.set(what, message)
    })
    await from.close()
    expect(report).toMatchObject({ copied: 1, partial: 1, damaged: 4, conflicting: 1 })
    const bad = [flipped, cut, longer, noOutboard, shortOutboard].map(String)
    expect([...problems.keys()].sort()).toEqual(bad.sort())
    expect(notices.join()).toContain('it is left as it is')
    expect(notices.join()).not.toContain('cannot')
    storage.before = undefined
    expect(await contentsOf(storage)).toEqual(before)
  })

  it('puts blobs together in the target that are so in no store', async () => {
    const storage = new WatchedStorage()
    const data = randomData(9 * RUN_BYTES)
    storage.before = ({ method }) => {
      if (method === 'upload' || method === 'compose') throw new StorageError('killed')
    }
    await using writing = await testStore(storage)
    await expect(holdPart(writing, data, ChunkRanges.all)).rejects.toThrow('killed')
    const from = await testStore(storage, { leaveAsIs: true })
    await from.recoverFromStorage({ fast: true })
    storage.calls.length = 0
    await using to = new MemoryStore()
    expect(await copyStore(from, to)).toEqual({ ...NOTHING, copied: 1, bytes: data.length })
    expect(storage.calls.filter(({ method }) => !['read', 'stat', 'list'].includes(method))).toEqual([])
  })

  it('lets a store of objects mend an outboard that is too short', async () => {
    const storage = new WatchedStorage()
    const from = await testStore(storage)
    const { hash, size } = await from.addBytes(randomData(3 * RUN_BYTES))
    await cutOff(storage, outboardKey(hash), 64)
    await using to = new MemoryStore()
    expect(await copyStore(from, to)).toEqual({ ...NOTHING, copied: 1, bytes: size })
  })

  it('leaves out what is larger than the target takes, says so, and copies the others', async () => {
    await using from = new MemoryStore()
    const [small, limit, large] = await Promise.all(
      [10, 50_000, 50_001].map(size => from.addBytes(randomData(size)))
    )
    const part = await holdPart(from, randomData(60_000), groups(60_000, [0, 1]))
    await using to = await ObjectStore.ephemeral({ maxBlobSize: 50_000 })
    const problems: CopyProblem[] = []
    const report = await copyStore(from, to, { onProblem: problem => problems.push(problem) })
    expect(report).toEqual({ ...NOTHING, copied: 2, tooLarge: 2, bytes: 50_010 })
    expect(problems.map(({ what }) => what).sort()).toEqual([`${large!.hash}`, `${part}`].sort())
    for (const { message } of problems) expect(message).toContain('larger than this store takes')
    for (const { hash } of [small!, limit!]) expect((await to.status(hash)).state).toBe('complete')
  })

  it('ends when the target has no room, with that as the reason', async () => {
    await using from = new MemoryStore()
    await using to = new MemoryStore({ maxBytes: 2 * RUN_BYTES })
    for (let i = 0; i < 12; i++) await from.addBytes(randomData(RUN_BYTES, i))
    await expect(copyStore(from, to)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
  })

  it('ends when a blob cannot be made complete, with that as the reason, and makes it complete when it can', async () => {
    await using from = new MemoryStore()
    const { hash, size } = await from.addBytes(randomData(9 * RUN_BYTES))
    const storage = new WatchedStorage()
    const to = await testStore(storage)
    storage.before = ({ method }) => {
      if (method === 'upload' || method === 'compose') throw new StorageError('no more uploads today')
    }
    // The second time nothing is left to be copied: that must not look as if all were well.
    for (let i = 0; i < 2; i++) {
      await expect(copyStore(from, to)).rejects.toThrow('no more uploads today')
      expect(await to.status(hash)).toMatchObject({ state: 'partial' })
    }
    storage.before = undefined
    // By the store itself, when it is asked for the blob, or by writing its last group again.
    const { copied, present } = await copyStore(from, to)
    expect(copied + present).toBe(1)
    expect(await to.status(hash)).toEqual({ state: 'complete', size })
  })

  it('ends when what is copied cannot be kept, with that as the reason', async () => {
    await using from = new MemoryStore()
    await from.addBytes(randomData(9 * RUN_BYTES))
    const storage = new WatchedStorage()
    const to = await testStore(storage)
    storage.before = ({ method }) => {
      if (method === 'put') throw new StorageError('no more objects today')
    }
    await expect(copyStore(from, to)).rejects.toThrow('no more objects today')
  })

  it('is stopped before it begins by a signal that has been given', async () => {
    await using from = new MemoryStore()
    await using to = new MemoryStore()
    await from.addBytes(randomData(10))
    await expect(copyStore(from, to, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no')
  })
})
