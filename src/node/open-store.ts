/** The store that a configuration names. */
import { resolve } from 'node:path'
import type { BlobStore } from '../store/index.ts'
import { LegacyFsStore } from '../store/legacy-fs/index.ts'
import { type Config, InvalidConfigError } from './config.ts'
import { requireFolderOf } from './store-folder.ts'

export interface OpenStoreOptions {
  /** Told, once each, of what is not as it should be in the store. */
  readonly onWarning?: ((message: string) => void) | undefined
}

/**
 * Opens the store, and makes it if there is none. Who opens it closes it.
 *
 * @param home what relative paths are relative to
 * @throws OtherStoreError when its folder holds another one; StoreError
 */
export async function openStore(
  { blobStore }: Config,
  home: string,
  { onWarning }: OpenStoreOptions = {}
): Promise<BlobStore> {
  if (blobStore.type !== 'legacy') throw new InvalidConfigError('options', ['not yet'])
  const path = resolve(home, blobStore.path)
  await requireFolderOf('legacy', path)
  return await LegacyFsStore.open(path, { sync: blobStore.sync, onNotice: onWarning })
}
