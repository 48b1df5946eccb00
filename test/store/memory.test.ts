import { describe, expect, it } from 'vitest'
import { Decoder } from '../../src/bao/index.ts'
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
