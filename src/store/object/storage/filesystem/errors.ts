/** Turning what the operating system says into what an object storage says. */
import { StoreError } from '../../../errors.ts'
import { errorCode, toStoreError } from '../../../fs-errors.ts'
import { StorageAccessError, StorageError } from '../errors.ts'

const REFUSED = new Set(['EACCES', 'EPERM', 'EROFS'])

/**
 * The result of `action`. What the operating system says becomes StoreFullError, StorageAccessError or StorageError; other
 * errors, among them the signal's reason, stay as they are.
 *
 * @param what what cannot be done when it fails, with its path: `cannot write a/b in folder /data`
 */
export async function explained<T>(
  what: string,
  signal: AbortSignal | undefined,
  action: () => Promise<T>
): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (signal?.aborted && error === signal.reason) throw error
    throw toStorageError(error, what)
  }
}

export function toStorageError(error: unknown, what: string): unknown {
  const turned = toStoreError(error, what)
  // Not of the system's, or one that says enough.
  if (turned === error || !(turned instanceof StoreError) || turned.code !== 'ERR_STORE') return turned
  const Kind = REFUSED.has(errorCode(error) ?? '') ? StorageAccessError : StorageError
  return new Kind(turned.message, { cause: error })
}
