/** Making what happened to a folder's entries last, and entries that replace nothing. */
import { closeSync, fsync, openSync } from 'node:fs'
import { link, lstat, open, rename, rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { TargetExistsError } from './errors.ts'
import { errorCode, isNotFound } from './fs-errors.ts'

const sync = promisify(fsync)

/** Waits until renames, links and removals in a folder are on disk. */
export async function syncFolder(path: string): Promise<void> {
  // Windows neither can nor need do that.
  if (process.platform === 'win32') return
  // Node's permissions forbid `fsync` as such, and allow it on a FileHandle.
  if (process.permission !== undefined) {
    await using folder = await open(path)
    return await folder.sync()
  }
  // Opened and closed here: neither waits for the disk, while handing them to another thread takes as long as they do.
  const folder = openSync(path, 'r')
  try {
    await sync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Whether there is anything under this name, a dangling link included. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}

/** What file systems without hard links answer, and kernels that forbid this one. */
const NO_LINKS = new Set(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL'])

/** Whether `error` says that a hard link is not possible here, though the file might be copied. */
export function cannotLink(error: unknown): boolean {
  return NO_LINKS.has(errorCode(error) ?? '')
}

/**
 * Renames a file unless there is something under the new name, without a moment in which somebody else's file could be
 * overwritten: a rename replaces silently, so the file is linked to its new name, which fails when that is taken. Where the
 * file system has no hard links, the name is first taken with an empty file of our own, then replaced.
 *
 * @throws TargetExistsError
 */
export async function renameToNew(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw new TargetExistsError(to)
    if (!cannotLink(error)) throw error
    return await renameOverPlaceholder(from, to)
  }
  await rm(from)
}

async function renameOverPlaceholder(from: string, to: string): Promise<void> {
  try {
    const placeholder = await open(to, 'wx')
    await placeholder.close()
  } catch (error) {
    throw errorCode(error) === 'EEXIST' ? new TargetExistsError(to) : error
  }
  try {
    await rename(from, to)
  } catch (error) {
    await rm(to, { force: true })
    throw error
  }
}
