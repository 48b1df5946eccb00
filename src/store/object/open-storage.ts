/** From a description to the storage. */
import type { StorageSpec } from './options.ts'
import { StorageError } from './storage/errors.ts'
import type { ObjectStorage } from './storage/index.ts'
import { MemoryStorage } from './storage/memory/index.ts'

/**
 * @param onNotice told of what works, and should not be as it is
 * @throws StorageError and its kinds when it cannot be used
 */
export async function openStorage(
  storage: ObjectStorage | StorageSpec,
  onNotice: (text: string) => void
): Promise<ObjectStorage> {
  if (!('type' in storage)) return storage
  switch (storage.type) {
    case 's3': {
      const { type: _, ...options } = storage
      // Only loaded where it is used: the client for S3 is large.
      const { S3Storage } = await import('./storage/s3/index.ts')
      return await S3Storage.open(options, { onNotice })
    }
    case 'filesystem': {
      const { FilesystemStorage } = await import('./storage/filesystem/index.ts')
      return await FilesystemStorage.open(storage.path, { sync: storage.sync })
    }
    case 'memory':
      return new MemoryStorage()
    default: {
      const { type } = storage as { readonly type: unknown }
      throw new StorageError(
        `there is no storage of type ${JSON.stringify(type)}; there are "s3", "filesystem" and "memory"`
      )
    }
  }
}
