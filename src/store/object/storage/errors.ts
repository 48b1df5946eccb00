/** What can go wrong in the storage below the object store. */
import { StoreError } from '../../errors.ts'

/** The storage failed at something; the message says at what, and `cause` how. */
export class StorageError extends StoreError {
  override readonly name: string = 'StorageError'
  override readonly code: string = 'ERR_STORAGE'
}

/** There is no such object. */
export class ObjectNotFoundError extends StorageError {
  override readonly name = 'ObjectNotFoundError'
  override readonly code = 'ERR_OBJECT_NOT_FOUND'
  readonly key: string

  /** @param storage the storage's name */
  constructor(key: string, storage: string, options?: ErrorOptions) {
    super(`there is no object ${key} in ${storage}`, options)
    this.key = key
  }
}

/** An object has fewer bytes than were asked for. */
export class ObjectTooShortError extends StorageError {
  override readonly name = 'ObjectTooShortError'
  override readonly code = 'ERR_OBJECT_TOO_SHORT'
}

/** The storage does not answer, or says that it cannot now, and went on so however often it was asked. */
export class StorageUnavailableError extends StorageError {
  override readonly name = 'StorageUnavailableError'
  override readonly code = 'ERR_STORAGE_UNAVAILABLE'
}

/** The storage refuses: wrong key, wrong secret, wrong region, no such bucket, no right to do this. Asking again does not help. */
export class StorageAccessError extends StorageError {
  override readonly name = 'StorageAccessError'
  override readonly code = 'ERR_STORAGE_ACCESS'
}
