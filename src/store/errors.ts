/** What can go wrong in a store, whichever it is. */
import type { Hash } from '../hash.ts'

/** The storage below the store failed; `cause` says how. */
export class StoreError extends Error {
  override readonly name: string = 'StoreError'
  readonly code: string = 'ERR_STORE'
}

/** There is no room left. Nothing that was complete is affected; what was written of a partial blob stays. */
export class StoreFullError extends StoreError {
  override readonly name = 'StoreFullError'
  override readonly code = 'ERR_STORE_FULL'
}

/** The store has been closed. */
export class StoreClosedError extends StoreError {
  override readonly name = 'StoreClosedError'
  override readonly code = 'ERR_STORE_CLOSED'

  constructor() {
    super('the store has been closed')
  }
}

/** A reader, a writer or a collection of garbage is used after it was closed. */
export class HandleClosedError extends StoreError {
  override readonly name = 'HandleClosedError'
  override readonly code = 'ERR_HANDLE_CLOSED'

  /** @param hash the blob that it was for, if it was for one */
  constructor(kind: 'reader' | 'writer' | 'collection of garbage', hash?: Hash) {
    super(`this ${kind}${hash === undefined ? '' : ` of blob ${hash}`} has been closed`)
  }
}

/** The store does not hold the blob, or not all of it. */
export class BlobNotFoundError extends StoreError {
  override readonly name = 'BlobNotFoundError'
  override readonly code = 'ERR_BLOB_NOT_FOUND'
  readonly hash: Hash

  constructor(hash: Hash, reason = 'is not in the store') {
    super(`blob ${hash} ${reason}`)
    this.hash = hash
  }
}

/** Somebody claims a size for a blob whose size is known to be another one. */
export class SizeMismatchError extends StoreError {
  override readonly name = 'SizeMismatchError'
  override readonly code = 'ERR_SIZE_MISMATCH'

  constructor(hash: Hash, claimed: number, proven: number) {
    super(`blob ${hash} has ${proven} bytes, not ${claimed}`)
  }
}

/** The blob was deleted, or replaced by one of another size, while it was being written. */
export class BlobDeletedError extends StoreError {
  override readonly name = 'BlobDeletedError'
  override readonly code = 'ERR_BLOB_DELETED'

  constructor(hash: Hash) {
    super(`blob ${hash} was deleted while it was being written`)
  }
}

/** What is stored under a hash has another hash. It is not served; adding or fetching the blob again replaces it. */
export class BlobDamagedError extends StoreError {
  override readonly name = 'BlobDamagedError'
  override readonly code = 'ERR_BLOB_DAMAGED'
  readonly hash: Hash
  /** What is wrong. */
  readonly found: string

  /** @param found what is wrong with which file */
  constructor(hash: Hash, found: string) {
    super(`blob ${hash} is damaged: ${found}; add or fetch it again to replace it`)
    this.hash = hash
    this.found = found
  }
}

/** A file changed while it was being added. */
export class FileChangedError extends StoreError {
  override readonly name = 'FileChangedError'
  override readonly code = 'ERR_FILE_CHANGED'

  constructor(path: string) {
    super(`${path} changed while it was being read; add it again when nothing writes to it`)
  }
}

/** There is something already where a file was to be written. */
export class TargetExistsError extends StoreError {
  override readonly name = 'TargetExistsError'
  override readonly code = 'ERR_TARGET_EXISTS'

  constructor(path: string) {
    super(`${path} exists already; choose another place or remove it first`)
  }
}

/** A file cannot be made in this way: not by this store, or not at this place. Nothing is left. */
export class UnsupportedExportModeError extends StoreError {
  override readonly name = 'UnsupportedExportModeError'
  override readonly code = 'ERR_UNSUPPORTED_EXPORT_MODE'

  /** @param reason why not: `the store has no plain files` */
  constructor(mode: string, target: string, reason: string, options?: ErrorOptions) {
    super(`cannot write ${target} with mode "${mode}": ${reason}; use mode "copy"`, options)
  }
}

/** A tag cannot have this name. */
export class InvalidTagNameError extends StoreError {
  override readonly name = 'InvalidTagNameError'
  override readonly code = 'ERR_INVALID_TAG_NAME'
}

/** There is no tag of this name. */
export class TagNotFoundError extends StoreError {
  override readonly name = 'TagNotFoundError'
  override readonly code = 'ERR_TAG_NOT_FOUND'

  constructor(tag: string) {
    super(`there is no tag ${JSON.stringify(tag)}`)
  }
}

/** A lease no longer protects anything. */
export class LeaseLostError extends StoreError {
  override readonly name = 'LeaseLostError'
  override readonly code = 'ERR_LEASE_LOST'
}

/** What is garbage cannot be told: others may keep blobs here that this store knows nothing of, or a tag cannot be read. */
export class GarbageUnknownError extends StoreError {
  override readonly name = 'GarbageUnknownError'
  override readonly code = 'ERR_GARBAGE_UNKNOWN'
}
