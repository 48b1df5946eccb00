import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Hash } from '../../../src/hash.ts'
import { testStore } from '../../../src/store/compliance/index.ts'
import { LegacyFsStore, type LegacyFsStoreOptions } from '../../../src/store/legacy-fs/index.ts'
import { flipByte } from '../../helpers/files.ts'

const folders = new Map<LegacyFsStore, string>()

/** Folders in which something was damaged, of which there is something to tell then. */
const damaged = new Set<string>()

async function damage(store: LegacyFsStore, hash: Hash, offset: number): Promise<void> {
  const folder = folders.get(store)!
  damaged.add(folder)
  const names = await readdir(join(folder, 'data'))
  const name = names.find(name => name === `${hash}.data` || name === `${hash}.data.part`)!
  await flipByte(join(folder, 'data', name), offset)
}

for (const sync of ['full', 'none'] as const) {
  const options: LegacyFsStoreOptions = { sync }
  const open = async (folder: string) => {
    const store = await LegacyFsStore.open(folder, options)
    folders.set(store, folder)
    return store
  }
  testStore(
    { describe, it },
    {
      name: `LegacyFsStore (sync: ${sync})`,
      capabilities: { persistent: true, paths: true, links: true },
      setup: async () => await open(await mkdtemp(join(tmpdir(), 'legacy-fs-'))),
      damage,
      reopen: async store => await open(folders.get(store)!),
      teardown: async store => {
        await store.close()
        const folder = folders.get(store)!
        expect(await readdir(join(folder, 'temp'))).toEqual([])
        if (!damaged.has(folder)) expect(store.notices).toEqual([])
        await rm(folder, { recursive: true })
      }
    }
  )
}
