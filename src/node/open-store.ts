/** The store that a configuration names. */
import { resolve } from 'node:path'
import type { BlobStore } from '../store/index.ts'
import { LegacyFsStore } from '../store/legacy-fs/index.ts'
import type { Config } from './config.ts'

export interface OpenStoreOptions {
  /** Told, once each, of what is not as it should be in the store. */
  readonly onWarning?: ((message: string) => void) | undefined
}

/**
 * Opens the store, and makes it if there is none. Who opens it closes it.
 *
 * @param home what relative paths are relative to
 * @throws StoreError
 */
export async function openStore(
  { blobStore: { path, sync } }: Config,
  home: string,
  { onWarning }: OpenStoreOptions = {}
): Promise<BlobStore> {
  return await LegacyFsStore.open(resolve(home, path), { sync, onNotice: onWarning })
}
