import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { testStore } from '../../../src/store/compliance/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'

interface Home {
  readonly folder: string
  readonly reopen: () => Promise<ObjectStore>
  /** What is left under temporary names. */
  readonly leftOvers: () => Promise<unknown[]>
}

const homes = new WeakMap<ObjectStore, Home>()

async function newFolder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'object-store-'))
}

async function at(home: Home): Promise<ObjectStore> {
  const store = await home.reopen()
  homes.set(store, home)
  return store
}

async function teardown(store: ObjectStore): Promise<void> {
  await store.close()
  expect(store.notices).toEqual([])
  const home = homes.get(store)!
  expect(await home.leftOvers()).toEqual([])
  await rm(home.folder, { recursive: true })
}

async function tempObjects(storage: MemoryStorage): Promise<unknown[]> {
  return await Array.fromAsync(storage.list({ prefix: 'temp/' }))
}

testStore(
  { describe, it },
  {
    name: 'ObjectStore (memory storage)',
    capabilities: { persistent: true, paths: true },
    setup: async () => {
      const folder = await newFolder()
      const storage = new MemoryStorage()
      return await at({
        folder,
        reopen: async () => await ObjectStore.open({ dbPath: join(folder, 'blobs.db'), storage }),
        leftOvers: async () => await tempObjects(storage)
      })
    },
    reopen: async store => await at(homes.get(store)!),
    teardown
  }
)

testStore(
  { describe, it },
  {
    name: 'ObjectStore.inMemory',
    capabilities: { persistent: false, paths: true },
    setup: async () => {
      const storage = new MemoryStorage()
      return await at({
        folder: await newFolder(),
        reopen: async () => await ObjectStore.inMemory(storage),
        leftOvers: async () => await tempObjects(storage)
      })
    },
    teardown
  }
)

for (const sync of ['full', 'none'] as const) {
  testStore(
    { describe, it },
    {
      name: `ObjectStore.local (sync ${sync})`,
      capabilities: { persistent: true, paths: true },
      setup: async () => {
        const folder = await newFolder()
        return await at({
          folder,
          reopen: async () => await ObjectStore.local(join(folder, 'blobs'), { sync }),
          leftOvers: async () => {
            const names = await readdir(join(folder, 'blobs'), { recursive: true })
            return names.filter(name => /^(\.temp|\.uploads|temp)\//.test(name))
          }
        })
      },
      reopen: async store => await at(homes.get(store)!),
      teardown
    }
  )
}
