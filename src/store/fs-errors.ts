/** Turning what the operating system says into what a store says. */
import { StoreError, StoreFullError } from './errors.ts'

const FULL = new Map([
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', "the user's disk quota is used up"]
])

const REASONS = new Map([
  ['EACCES', 'permission denied'],
  ['EPERM', 'the operation is not permitted'],
  ['EROFS', 'the file system is read-only'],
  ['ENOENT', 'there is no such file or folder'],
  ['ENOTDIR', 'a part of the path is not a folder'],
  ['EISDIR', 'it is a folder'],
  ['EIO', 'the disk failed to read or write; look at the system log'],
  ['EMFILE', 'this process has too many files open; raise its limit (ulimit -n)'],
  ['ENFILE', 'the system has too many files open'],
  ['EFBIG', 'the file would be larger than the file system allows'],
  ['ENAMETOOLONG', 'the name is too long for the file system']
])

/** The operating system's code of an error: `ENOENT` and the like. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether the error says that a file is not there. */
export function isNotFound(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}

/** Whether the error says that there is no room. */
export function isFull(error: unknown): boolean {
  return FULL.has(errorCode(error) ?? '')
}

/**
 * The error to throw for one of the operating system's.
 *
 * @param what what could not be done, with its path: `cannot write /a/b`
 * @returns StoreFullError when there is no room, else StoreError; errors that do not come from the operating system as they are
 */
export function toStoreError(error: unknown, what: string): unknown {
  const code = errorCode(error)
  if (code === undefined || error instanceof StoreError || !/^E[A-Z0-9]+$/.test(code)) return error
  const full = FULL.get(code)
  if (full !== undefined)
    return new StoreFullError(`${what}: ${full}; make room and try again`, { cause: error })
  return new StoreError(`${what}: ${REASONS.get(code) ?? code}`, { cause: error })
}

/** The result of `action`, whose failure is turned by {@link toStoreError}. */
export async function explained<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw toStoreError(error, what)
  }
}
