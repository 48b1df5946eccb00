import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Hash } from '../../../src/hash.ts'
import { testStore } from '../../../src/store/compliance/index.ts'
import { FragmentLayout } from '../../../src/store/object/fragment.ts'
import { formatBody, parseFragment } from '../../../src/store/object/fragment-name.ts'
import { blobPrefix, dataKey, partialPrefix } from '../../../src/store/object/layout.ts'
import { FilesystemStorage } from '../../../src/store/object/storage/filesystem/index.ts'
import type { ObjectStorage } from '../../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'
import { flipByte as flipByteOfFile } from '../../helpers/files.ts'
import { flipByte } from './support.ts'

interface Home {
  readonly folder: string
  readonly reopen: () => Promise<ObjectStore>
  /** What is left under temporary names. */
  readonly leftOvers: () => Promise<unknown[]>
  /** Where its objects are, to damage them. */
  readonly storage: ObjectStorage
  /** The storage's folder, if it is one. */
  readonly root?: string
  /** Whether something was damaged, of which there is something to tell then. */
  isDamaged?: boolean
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
  const home = homes.get(store)!
  if (!home.isDamaged) expect(store.notices).toEqual([])
  expect(await home.leftOvers()).toEqual([])
  await rm(home.folder, { recursive: true })
}

async function damage(store: ObjectStore, hash: Hash, offset: number): Promise<void> {
  const home = homes.get(store)!
  home.isDamaged = true
  const { storage, root } = home
  for await (const { key } of storage.list({ prefix: blobPrefix(hash) })) {
    const fragment = parseFragment(key.slice(partialPrefix(hash).length))
    const inFragment = fragment && new FragmentLayout(fragment).placeOfData(offset)?.at
    const at = key === dataKey(hash) ? offset : inFragment
    if (at === undefined) continue
    const body = fragment?.body
    const damaged = body === undefined ? key : partialPrefix(hash) + formatBody(fragment!.size, body)
    if (root === undefined) await flipByte(storage, damaged, at)
    else await flipByteOfFile(join(root, damaged), at)
  }
}

async function tempObjects(storage: MemoryStorage): Promise<unknown[]> {
  return await Array.fromAsync(storage.list({ prefix: 'temp/' }))
}

testStore(
  { describe, it },
  {
    name: 'ObjectStore (memory storage)',
    capabilities: { persistent: true, paths: true },
    damage,
    setup: async () => {
      const folder = await newFolder()
      const storage = new MemoryStorage()
      return await at({
        folder,
        reopen: async () => await ObjectStore.open({ dbPath: join(folder, 'blobs.db'), storage }),
        storage,
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
    damage,
    setup: async () => {
      const storage = new MemoryStorage()
      return await at({
        folder: await newFolder(),
        reopen: async () => await ObjectStore.inMemory(storage),
        storage,
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
      damage,
      setup: async () => {
        const folder = await newFolder()
        return await at({
          folder,
          reopen: async () => await ObjectStore.local(join(folder, 'blobs'), { sync }),
          storage: await FilesystemStorage.open(join(folder, 'blobs')),
          root: join(folder, 'blobs'),
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
