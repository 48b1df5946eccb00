import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FilesystemStorage } from '../../../../../src/store/object/storage/filesystem/index.ts'
import { testStorage } from '../suite.ts'

const folders = new Map<FilesystemStorage, string>()

async function open(folder: string): Promise<FilesystemStorage> {
  const storage = await FilesystemStorage.open(folder)
  folders.set(storage, folder)
  return storage
}

testStorage({
  name: 'FilesystemStorage',
  setup: async () => await open(await mkdtemp(join(tmpdir(), 'object-storage-'))),
  teardown: async storage => {
    await storage.close()
    await rm(folders.get(storage)!, { recursive: true })
  },
  reopen: async storage => await open(folders.get(storage)!)
})
