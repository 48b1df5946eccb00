/** What can go wrong in the object store and nowhere else. */
import { StoreError } from '../errors.ts'

/** A blob is larger than the store was told to take. */
export class BlobTooLargeError extends StoreError {
  override readonly name = 'BlobTooLargeError'
  override readonly code = 'ERR_BLOB_TOO_LARGE'

  /** @param size bytes @param most bytes */
  constructor(size: number, most: number) {
    super(`a blob of ${size} bytes is larger than this store takes (max_blob_size is ${most})`)
  }
}
