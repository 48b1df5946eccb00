import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Decoder } from '../../src/bao/decoder.ts'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import { EMPTY_HASH } from '../../src/hash.ts'
import { verifyBlob } from '../../src/node/verify-blob.ts'
import { BlobNotFoundError } from '../../src/store/errors.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { dataKey, outboardKey } from '../../src/store/object/layout.ts'
import { MemoryStorage } from '../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../src/store/object/store.ts'
import { encodeAll, memorySource } from '../helpers/bao.ts'
import { INTERESTING_SIZES, randomData } from '../helpers/data.ts'
import { flipByte } from '../helpers/files.ts'
import { scratch } from './support.ts'

describe('verifying', () => {
  it.each(INTERESTING_SIZES)('finds a blob of %i bytes right', async size => {
    const store = new MemoryStore()
    const { hash } = await store.addBytes(randomData(size))
    expect(await verifyBlob(store, hash)).toEqual({ hash, state: 'ok', bytes: size })
  })

  it('finds every damaged byte, and tells which groups are held no longer', async () => {
    await using folder = await scratch()
    await using store = await LegacyFsStore.open(folder.path)
    for (const offset of [0, 16_383, 50_000, 99_999]) {
      const { hash } = await store.addBytes(randomData(100_000))
      expect(await verifyBlob(store, hash)).toMatchObject({ state: 'ok' })
      await flipByte(folder.in(`data/${hash}.data`), offset)
      const found = await verifyBlob(store, hash)
      expect(found).toMatchObject({ state: 'damaged', reason: expect.stringMatching(/damaged/) })
      const group = Math.floor(offset / 16_384)
      const ranges = ChunkRanges.range(group * 16, Math.min((group + 1) * 16, 98))
      expect(found.lost).toEqual({ size: 100_000, ranges })
      expect(await verifyBlob(store, hash)).toMatchObject({ state: 'partial' })
    }
  })

  it('tells that all is lost of a blob of which nothing can be proven', async () => {
    await using folder = await scratch()
    await using store = await LegacyFsStore.open(folder.path)
    const { hash } = await store.addBytes(randomData(10_000))
    await flipByte(folder.in(`data/${hash}.data`), 5000)
    const found = await verifyBlob(store, hash)
    expect(found).toMatchObject({ state: 'damaged', lost: 'all' })
    expect(await readdir(folder.in('data'))).toEqual([`${hash}.data.damaged`])
    await expect(verifyBlob(store, hash)).rejects.toThrow(BlobNotFoundError)
  })

  it('of a partial blob tells what of it is lost', async () => {
    await using folder = await scratch()
    await using store = await LegacyFsStore.open(folder.path)
    const source = memorySource(randomData(100_000))
    const ranges = ChunkRanges.range(16, 64)
    const writer = await store.writer(source.hash, source.size)
    await writer.write(new Decoder(source.hash, source.size, ranges).decode(await encodeAll(source, ranges)))
    await writer.close()
    await flipByte(folder.in(`data/${source.hash}.data.part`), 40_000)
    expect(await verifyBlob(store, source.hash)).toMatchObject({
      state: 'damaged',
      lost: { ranges: ChunkRanges.range(32, 48) }
    })
    expect(await verifyBlob(store, source.hash)).toMatchObject({ state: 'partial', bytes: 32 * 1024 })
  })

  it('mends an outboard that is damaged, and loses nothing', async () => {
    await using folder = await scratch()
    await using store = await LegacyFsStore.open(folder.path)
    const { hash } = await store.addBytes(randomData(100_000))
    const file = await open(join(folder.in('data'), `${hash}.obao4`), 'r+')
    await file.write(Uint8Array.of(1, 2, 3), 0, 3, 100)
    await file.close()
    expect(await verifyBlob(store, hash)).toMatchObject({ state: 'mended', bytes: 100_000 })
    expect(await verifyBlob(store, hash)).toMatchObject({ state: 'ok' })
  })

  it('of a partial blob reads what is held', async () => {
    const store = new MemoryStore()
    const source = memorySource(randomData(100_000))
    const ranges = ChunkRanges.range(16, 48)
    const verified = new Decoder(source.hash, source.size, ranges).decode(await encodeAll(source, ranges))
    await using writer = await store.writer(source.hash, source.size)
    await writer.write(verified)
    await writer.close()
    expect(await verifyBlob(store, source.hash)).toEqual({
      hash: source.hash,
      state: 'partial',
      bytes: 32 * 1024
    })
  })

  it('of what is not there is an error, and the empty blob is always there', async () => {
    const store = new MemoryStore()
    await expect(verifyBlob(store, memorySource(randomData(9)).hash)).rejects.toThrow(BlobNotFoundError)
    expect(await verifyBlob(store, EMPTY_HASH)).toMatchObject({ state: 'ok', bytes: 0 })
  })
})

describe('verifying what lies in object storage', () => {
  async function stored() {
    const storage = new MemoryStorage()
    const store = await ObjectStore.inMemory(storage)
    const data = randomData(100_000)
    const { hash } = await store.addBytes(data)
    return { storage, store, data, hash }
  }

  it('finds data that is cut off, and sets it aside', async () => {
    const { storage, store, data, hash } = await stored()
    await storage.put(dataKey(hash), [data.subarray(0, 1000)])
    expect(await verifyBlob(store, hash)).toMatchObject({ state: 'damaged' })
    expect(await store.status(hash)).toEqual({ state: 'absent' })
    expect(await Array.fromAsync(storage.list({ prefix: 'quarantine/' }))).toHaveLength(2)
  })

  it.each(['gone', 'cut off'])('mends an outboard that is %s', async what => {
    const { storage, store, hash } = await stored()
    if (what === 'gone') await storage.delete([outboardKey(hash)])
    else await storage.put(outboardKey(hash), [new Uint8Array(64)])
    expect(await verifyBlob(store, hash)).toMatchObject({ state: 'mended' })
    expect(await verifyBlob(store, hash)).toMatchObject({ state: 'ok' })
  })

  it('says that data is gone', async () => {
    const { storage, store, hash } = await stored()
    await storage.delete([dataKey(hash)])
    await expect(verifyBlob(store, hash)).rejects.toThrow(BlobNotFoundError)
  })
})
