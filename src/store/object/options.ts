/** What an object store can be told. */
import type { ObjectStorage } from './storage/index.ts'
import type { S3Options } from './storage/s3/index.ts'

export interface ObjectStoreOptions {
  /**
   * Whether a hash that the database does not know is looked up in the storage, so that what one node has added to a bucket another
   * one serves. Costs a request to the storage for each unknown hash, at most one per second and hash.
   *
   * @default false
   */
  readonly readThrough?: boolean | undefined
  /**
   * Most bytes that a blob may have: what a peer may make this store take.
   *
   * @default Number.MAX_SAFE_INTEGER
   */
  readonly maxBlobSize?: number | undefined
  /**
   * Whether the storage is left as it is: nothing in it is swept, mended, set aside or put together, and `recoverFromStorage`
   * takes a listing's word for what is there. Whoever reads what is damaged finds out. Adding, writing, deleting and tagging
   * are not refused: that is up to the caller.
   *
   * @default false
   */
  readonly leaveAsIs?: boolean | undefined
  /** Told, once each, of what is not as it should be. */
  readonly onNotice?: ((message: string) => void) | undefined
}

/** Where the blobs' bytes are to be. */
export type StorageSpec =
  | ({ readonly type: 's3' } & S3Options)
  | {
      readonly type: 'filesystem'
      /** The folder. */
      readonly path: string
      /** `full`: what was added survives a power failure. */
      readonly sync?: 'full' | 'none' | undefined
    }
  | { readonly type: 'memory' }

export interface OpenObjectStoreOptions extends ObjectStoreOptions {
  /** The database's file. It is made when it is not there. */
  readonly dbPath: string
  /** A storage, which is closed with the store; or what to open. */
  readonly storage: ObjectStorage | StorageSpec
}

export interface LocalObjectStoreOptions extends ObjectStoreOptions {
  /**
   * The database's file.
   *
   * @default the folder's path and `.db`
   */
  readonly dbPath?: string | undefined
  /**
   * `full`: what was added survives a power failure.
   *
   * @default full
   */
  readonly sync?: 'full' | 'none' | undefined
}
