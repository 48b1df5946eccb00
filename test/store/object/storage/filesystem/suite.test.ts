import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FilesystemStorage } from '../../../../../src/store/object/storage/filesystem/index.ts'
import { testStorage } from '../suite.ts'

for (const sync of ['full', 'none'] as const) {
  const folders = new Map<FilesystemStorage, string>()
  const open = async (folder: string) => {
    const storage = await FilesystemStorage.open(folder, { sync })
    folders.set(storage, folder)
    return storage
  }
  testStorage({
    name: `FilesystemStorage, sync ${sync}`,
    setup: async () => await open(await mkdtemp(join(tmpdir(), 'object-storage-'))),
    teardown: async storage => {
      await storage.close()
      await rm(folders.get(storage)!, { recursive: true })
    },
    reopen: async storage => await open(folders.get(storage)!)
  })
}
