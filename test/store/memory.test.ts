import { describe, expect, it } from 'vitest'
import { testStore } from '../../src/store/compliance/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
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
})
