import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { testStore } from '../../../src/store/compliance/index.ts'
import { LegacyFsStore, type LegacyFsStoreOptions } from '../../../src/store/legacy-fs/index.ts'

const folders = new Map<LegacyFsStore, string>()

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
      capabilities: { persistent: true, paths: true },
      setup: async () => await open(await mkdtemp(join(tmpdir(), 'legacy-fs-'))),
      reopen: async store => await open(folders.get(store)!),
      teardown: async store => {
        await store.close()
        const folder = folders.get(store)!
        expect(await readdir(join(folder, 'temp'))).toEqual([])
        expect(store.notices).toEqual([])
        await rm(folder, { recursive: true })
      }
    }
  )
}
