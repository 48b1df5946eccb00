import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { testStore } from '../../../src/store/compliance/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'

const homes = new Map<ObjectStore, { folder: string; storage: MemoryStorage }>()

async function open(folder: string, storage: MemoryStorage): Promise<ObjectStore> {
  const store = await ObjectStore.open({ dbPath: join(folder, 'blobs.db'), storage })
  homes.set(store, { folder, storage })
  return store
}

testStore(
  { describe, it },
  {
    name: 'ObjectStore (memory storage)',
    capabilities: { persistent: true, paths: true },
    setup: async () => await open(await mkdtemp(join(tmpdir(), 'object-store-')), new MemoryStorage()),
    reopen: async store => {
      const { folder, storage } = homes.get(store)!
      return await open(folder, storage)
    },
    teardown: async store => {
      await store.close()
      const { folder, storage } = homes.get(store)!
      expect(store.notices).toEqual([])
      const temp = await Array.fromAsync(storage.list({ prefix: 'temp/' }))
      expect(temp).toEqual([])
      await rm(folder, { recursive: true })
    }
  }
)
