/** Looking at a FilesystemStorage's folder from outside. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import {
  FilesystemStorage,
  type FilesystemStorageOptions
} from '../../../../../src/store/object/storage/filesystem/index.ts'

const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A folder that is removed after the test. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'object-storage-'))
  cleanups.push(async () => await rm(folder, { recursive: true }))
  return folder
}

/** A storage that is closed after the test. */
export async function opened(folder: string, options?: FilesystemStorageOptions): Promise<FilesystemStorage> {
  const storage = await FilesystemStorage.open(folder, options)
  cleanups.push(async () => await storage.close())
  return storage
}

/** All that is in the folder, files and folders, but for the two that are always there. */
export async function contents(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  return names.filter(name => name !== '.temp' && name !== '.uploads').sort()
}
