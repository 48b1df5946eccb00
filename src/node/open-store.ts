/** The store that a configuration names. */
import { resolve } from 'node:path'
import { GarbageUnknownError, StoreClosedError } from '../store/errors.ts'
import type { BlobStore, WaitOptions } from '../store/index.ts'
import { LegacyFsStore } from '../store/legacy-fs/index.ts'
import type { ObjectStore, StorageSpec } from '../store/object/index.ts'
import type { S3Options } from '../store/object/storage/s3/options.ts'
import { QuotaStore } from '../store/quota.ts'
import type { Config } from './config.ts'
import { collectGarbage, IncompleteSequenceError } from './gc/collect.ts'
import type { S3Config, StoreConfig } from './store-config.ts'
import { requireFolderOf } from './store-folder.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** Longest time in ms that somebody who adds waits for room. */
const MAKE_ROOM_MS = 60_000

export interface OpenStoreOptions {
  /** Told, once each, of what is not as it should be in the store. */
  readonly onWarning?: ((message: string) => void) | undefined
}

/** The home's blobs are plain files, of which there is nothing to recover. */
export class NoObjectStoreError extends Error {
  override readonly name = 'NoObjectStoreError'
  readonly code = 'ERR_NO_OBJECT_STORE'

  constructor(home: string) {
    super(
      `the blobs of ${home} are plain files (type = "legacy"): there is no database to make anew; "blobs verify" looks for damage`
    )
  }
}

/**
 * Opens the store, and makes it if there is none. Who opens it closes it.
 *
 * @param home what relative paths are relative to
 * @throws OtherStoreError when its folder holds another one; StoreError, of which StorageAccessError and
 *   StorageUnavailableError say that a bucket cannot be used
 */
export async function openStore(
  { blobStore, gc }: Pick<Config, 'blobStore' | 'gc'>,
  home: string,
  options: OpenStoreOptions = {}
): Promise<BlobStore> {
  const store = await openUnlimited(blobStore, home, options)
  const { maxSize: maxBytes } = blobStore
  if (maxBytes === undefined) return store
  return new QuotaStore(store, {
    maxBytes,
    makeRoom: () => deleteOldPartials(store, gc.partialDays * DAY_MS, options)
  })
}

async function openUnlimited(
  blobStore: StoreConfig,
  home: string,
  options: OpenStoreOptions
): Promise<BlobStore> {
  if (blobStore.type !== 'legacy') return await openObjects(blobStore, home, options)
  const path = resolve(home, blobStore.path)
  await requireFolderOf('legacy', path)
  return await LegacyFsStore.open(path, { sync: blobStore.sync, onNotice: options.onWarning })
}

/**
 * What is left of transfers that nobody goes on with is the first to go when there is no room. When that fails, there is none,
 * which is what the caller is told.
 */
async function deleteOldPartials(
  store: BlobStore,
  partialAgeMs: number,
  { onWarning }: OpenStoreOptions
): Promise<void> {
  const signal = AbortSignal.timeout(MAKE_ROOM_MS)
  try {
    await collectGarbage(store, { onlyPartial: true, partialAgeMs, signal })
  } catch (error) {
    if (error instanceof StoreClosedError) throw error
    // Of these it is known beforehand that nothing can be done.
    if (error instanceof IncompleteSequenceError || error instanceof GarbageUnknownError) return
    const why = error instanceof Error ? error.message : String(error)
    onWarning?.(
      `cannot make room by deleting old partial blobs: ${signal.aborted ? 'it takes too long' : why}`
    )
  }
}

/** Opens the store when it is one of objects. @throws NoObjectStoreError when it is not; what {@link openStore} throws */
export async function openObjectStore(
  { blobStore }: Pick<Config, 'blobStore'>,
  home: string,
  options: OpenStoreOptions = {}
): Promise<ObjectStore> {
  if (blobStore.type === 'legacy') throw new NoObjectStoreError(home)
  return await openObjects(blobStore, home, options)
}

/**
 * Makes sure that a store can be opened, without making anything: the bucket is there and the keys fit, or the folder holds no
 * other store.
 *
 * @throws what {@link openStore} throws
 */
export async function checkStore(
  config: StoreConfig,
  home: string,
  options: WaitOptions = {}
): Promise<void> {
  if (config.type !== 's3') {
    await requireFolderOf(config.type, resolve(home, config.path))
    return
  }
  const { S3Storage } = await import('../store/object/storage/s3/index.ts')
  const storage = await S3Storage.open(s3OptionsOf(config), options)
  await storage.close()
}

type ObjectConfig = Exclude<StoreConfig, { type: 'legacy' }>

async function openObjects(
  config: ObjectConfig,
  home: string,
  { onWarning }: OpenStoreOptions
): Promise<ObjectStore> {
  if (config.type === 'filesystem') await requireFolderOf('filesystem', resolve(home, config.path))
  // Loaded when it is needed: SQLite and the client of S3 take longer to load than most commands to run.
  const { ObjectStore } = await import('../store/object/index.ts')
  return await ObjectStore.open({
    dbPath: resolve(home, config.dbPath),
    storage: storageOf(config, home),
    readThrough: config.type === 's3' && config.readThrough,
    maxBlobSize: config.maxBlobSize,
    onNotice: onWarning
  })
}

function storageOf(config: ObjectConfig, home: string): StorageSpec {
  if (config.type === 's3') return { type: 's3', ...s3OptionsOf(config) }
  return { type: 'filesystem', path: resolve(home, config.path), sync: config.sync }
}

function s3OptionsOf(config: S3Config): S3Options {
  const { type: _, dbPath: __, readThrough: ___, maxBlobSize: ____, maxSize: _____, ...options } = config
  return options
}
