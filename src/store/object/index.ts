/**
 * A store with its metadata in SQLite and its blobs in object storage: S3 and what speaks like it, a folder, or memory.
 * `libp2p-blobs/store/object`.
 *
 * ```ts
 * import { ObjectStore } from 'libp2p-blobs/store/object'
 *
 * const store = await ObjectStore.open({
 *   dbPath: '/data/blobs.db',
 *   storage: { type: 's3', endpoint: 'http://127.0.0.1:9000', bucket: 'blobs' }
 * })
 * ```
 *
 * The storage is the truth, and the database an index of it: when it is lost, `recoverFromStorage` makes it anew.
 *
 * @packageDocumentation
 */
export { BlobTooLargeError } from './errors.ts'
export * from './metadata/errors.ts'
export type {
  LocalObjectStoreOptions,
  ObjectStoreOptions,
  OpenObjectStoreOptions,
  StorageSpec
} from './options.ts'
export type { RecoveryOptions, RecoveryProgress, RecoveryReport } from './recover/index.ts'
export * from './storage/errors.ts'
export { FilesystemStorage } from './storage/filesystem/index.ts'
export type {
  ListOptions,
  ObjectInfo,
  ObjectStorage,
  Slice,
  StorageOptions,
  Upload
} from './storage/index.ts'
export type { GrowingObject, LocalFiles, Note } from './storage/local-files.ts'
export { MemoryStorage } from './storage/memory/index.ts'
export type { S3Options } from './storage/s3/options.ts'
export { S3Storage } from './storage/s3/storage.ts'
export { ObjectStore } from './store.ts'
