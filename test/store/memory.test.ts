import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { encodeVerified } from '../../src/bao/encoder.ts'
import { Decoder, encode } from '../../src/bao/index.ts'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import { testStore } from '../../src/store/compliance/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { encodeAll, memorySource } from '../helpers/bao.ts'
import { randomData } from '../helpers/data.ts'

testStore(
  { describe, it },
  {
    name: 'MemoryStore',
    capabilities: { persistent: false, paths: true },
    setup: async () => new MemoryStore(),
    teardown: async store => await store.close()
  }
)

describe('MemoryStore with a limit', () => {
  it('says that it is full, keeps nothing of what did not fit, and has room again after a deletion', async () => {
    await using store = new MemoryStore({ maxBytes: 2_500_000 })
    const first = await store.addBytes(randomData(2_000_000, 1))
    await expect(store.addBytes(randomData(2_000_000, 2))).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    expect(await Array.fromAsync(store.list())).toHaveLength(1)
    await store.delete(first.hash)
    await store.addBytes(randomData(2_000_000, 2))
  })

  it('has room again when a partial blob is discarded for one of another size, or deleted', async () => {
    await using store = new MemoryStore({ maxBytes: 150_000 })
    const data = randomData(5 * 16_384)
    const source = memorySource(data)
    for (let round = 0; round < 5; round++) {
      for (const size of [6 * 16_384, 5 * 16_384]) {
        const ranges = ChunkRanges.range(0, 16)
        const decoder = new Decoder(source.hash, size, ranges)
        const writer = await store.writer(source.hash, size)
        await writer.write(decoder.decode(await encodeAll(source, ranges)))
        expect(await writer.close()).toMatchObject({ state: 'partial', size })
      }
    }
    await store.delete(source.hash)
    await store.addBytes(randomData(140_000, 3))
  })
})

describe('Memory of deleted blobs', () => {
  it('is used again', async () => {
    await using store = new MemoryStore()
    const data = randomData(64 * 1024 * 1024)
    const before = process.memoryUsage.rss()
    for (let round = 0; round < 12; round++) {
      data[0] = round
      const { hash } = await store.addBytes(data)
      await store.delete(hash)
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 * 1024 * 1024)
  })

  it('is left alone as long as somebody reads it', async () => {
    await using store = new MemoryStore()
    const data = randomData(3 * 1024 * 1024)
    const { hash } = await store.addBytes(data)
    const reader = (await store.open(hash))!
    await store.delete(hash)
    await store.addBytes(randomData(4 * 1024 * 1024, 2))
    const read = new Uint8Array(data.length)
    await reader.readData(0, read)
    expect(Buffer.compare(read, data)).toBe(0)
    await reader.close()
    await reader.close()
    const third = randomData(4 * 1024 * 1024, 3)
    const added = await store.addBytes(third)
    await using again = (await store.open(added.hash))!
    await again.readData(1024 * 1024, read)
    expect(Buffer.compare(read, third.subarray(1024 * 1024))).toBe(0)
  })

  it('shows nothing of what it held before', async () => {
    await using store = new MemoryStore()
    const { hash } = await store.addBytes(randomData(2 * 1024 * 1024))
    await store.delete(hash)
    const data = randomData(2 * 1024 * 1024, 2)
    const source = memorySource(data)
    const ranges = ChunkRanges.range(0, 16)
    await using writer = await store.writer(source.hash, data.length)
    await writer.write(new Decoder(source.hash, data.length, ranges).decode(await encodeAll(source, ranges)))
    await using reader = (await store.open(source.hash))!
    const read = new Uint8Array(1024)
    await reader.readData(500_000, read)
    expect(read.every(byte => byte === 0)).toBe(true)
  })
})

describe('Memory that is made ready while a blob comes in', () => {
  const MIB = 1024 * 1024
  const ranges = [ChunkRanges.range(0, 6 * 1024), ChunkRanges.range(9 * 1024, 20 * 1024)] as const

  it('holds what was written, each page once, and zeros elsewhere', async () => {
    await using store = new MemoryStore()
    const blobs = [randomData(20 * MIB, 1), randomData(20 * MIB, 2)]
    for (const data of blobs) {
      const source = memorySource(data)
      for (const range of ranges) {
        await using writer = await store.writer(source.hash, data.length)
        // The thread that makes memory ready has its turn between them.
        for await (const verified of encodeVerified(source.hash, source, range)) {
          await writer.write(verified)
          await setImmediate()
        }
      }
    }
    for (const data of blobs) {
      await using reader = (await store.open(memorySource(data).hash))!
      const read = new Uint8Array(data.length)
      await reader.readData(0, read)
      expect(Buffer.compare(read, data.fill(0, 6 * MIB, 9 * MIB))).toBe(0)
    }
  })
})

describe('MemoryReader', () => {
  it('is not checked again when it is encoded, and gives the same bytes', async () => {
    await using store = new MemoryStore()
    for (const size of [0, 1, 16_384, 16_385, 3_000_000]) {
      const data = randomData(size)
      const { hash } = await store.addBytes(data)
      await using reader = (await store.open(hash))!
      for (const ranges of [ChunkRanges.all, ChunkRanges.range(1, 3), ChunkRanges.range(20, 1000)]) {
        expect(reader.isProven).toBe(true)
        const encoded = await Array.fromAsync(encode(hash, reader, ranges))
        expect(Buffer.concat(encoded).equals(await encodeAll(memorySource(data), ranges))).toBe(true)
      }
    }
  })
})
