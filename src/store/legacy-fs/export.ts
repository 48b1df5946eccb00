/**
 * Making a blob's file one outside the store, in each of the modes. In all of them every byte is checked first, what is made is
 * what was checked, and whatever fails, nothing stays.
 */
import { constants } from 'node:fs'
import { chmod, copyFile, link, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TargetExistsError, UnsupportedExportModeError } from '../errors.ts'
import { checkBlob, exportFile, tempPath } from '../export-file.ts'
import type { FsReader } from '../file-reader.ts'
import { cannotLink, exists, renameToNew, syncFolder } from '../folders.ts'
import { errorCode, explained } from '../fs-errors.ts'
import type { ExportOptions } from '../index.ts'
import { statIfThere } from '../stats.ts'
import type { FsContext } from './context.ts'
import { SmallReader } from './small/small-reader.ts'

/** May be read by all, and changed by nobody. */
const READ_ONLY = 0o444

/** What a file system answers that cannot clone this file. */
const NO_REFLINKS = new Set(['EXDEV', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENOTTY', 'EINVAL', 'EPERM'])

/**
 * Writes a complete blob to a file. With `move` the name in the store stays, for the caller to remove: so there is no moment in
 * which the blob is nowhere.
 *
 * @param reader of files, unless the blob is copied
 * @throws UnsupportedExportModeError, and what `exportFile` throws
 */
export async function exportBlob(
  context: FsContext,
  reader: FsReader | SmallReader,
  target: string,
  options: ExportOptions
): Promise<void> {
  const { mode = 'copy' } = options
  if (mode === 'copy' || reader instanceof SmallReader) return await exportFile(reader, target, options)
  const stats = await reader.stats()
  // The empty blob has no file. One that has another name outside already stays what that name leads to: it cannot be moved.
  if (stats === undefined || (mode === 'move' && stats.nlink > 1n)) {
    return await exportFile(reader, target, options)
  }
  await explained(`cannot write ${target}`, async () => {
    if (await exists(target)) throw new TargetExistsError(target)
    await checkBlob(reader, options)
    options.signal?.throwIfAborted()
    if (mode === 'reflink') await clone(context, reader, stats.ino, target)
    else if (!(await isLinked(context, reader, stats.ino, target, mode))) {
      return await exportFile(reader, target, { ...options, onProgress: undefined })
    }
    if (options.isNameSynced !== false) await syncFolder(dirname(target))
  })
}

/** @returns false when the blob is to be moved, and has to be copied for that */
async function isLinked(
  context: FsContext,
  reader: FsReader,
  inode: bigint,
  target: string,
  mode: 'link' | 'move'
): Promise<boolean> {
  const problem = await linkTo(context, reader, inode, target)
  if (problem !== undefined && mode === 'link') {
    throw new UnsupportedExportModeError(mode, target, problem.reason, { cause: problem.cause })
  }
  if (mode === 'link') await orRemove(target, () => chmod(target, READ_ONLY))
  return problem === undefined
}

/**
 * Gives the blob's file another name. A link, unlike a rename, fails when the name is taken.
 *
 * @returns why that is not possible; undefined when it is done
 */
async function linkTo(
  { layout }: FsContext,
  reader: FsReader,
  inode: bigint,
  target: string
): Promise<{ reason: string; cause?: unknown } | undefined> {
  // A small blob may be on disk in a journal only.
  await reader.sync()
  try {
    await link(layout.data(reader.hash), target)
  } catch (cause) {
    const code = errorCode(cause)
    if (code === 'EEXIST') throw new TargetExistsError(target)
    if (code === 'EXDEV') return { reason: 'it is on another file system than the store', cause }
    if (cannotLink(cause)) return { reason: `the file system makes no hard link here (${code})`, cause }
    throw cause
  }
  // Another process may have put another file there since it was checked.
  if (statIfThere(target)?.ino === inode) return undefined
  await rm(target, { force: true })
  return { reason: 'another process has replaced the blob meanwhile' }
}

async function clone({ layout }: FsContext, reader: FsReader, inode: bigint, target: string): Promise<void> {
  const temp = tempPath(target)
  const file = await open(temp, 'wx')
  await orRemove(temp, async () => {
    try {
      const { mode } = await file.stat()
      await cloneFile(layout.data(reader.hash), temp, target)
      if (statIfThere(layout.data(reader.hash))?.ino !== inode) {
        throw new UnsupportedExportModeError(
          'reflink',
          target,
          'another process has replaced the blob meanwhile'
        )
      }
      // The store's file may be read-only, because it was linked before.
      await file.chmod(mode)
      await file.sync()
    } finally {
      await file.close()
    }
    await renameToNew(temp, target)
  })
}

async function cloneFile(from: string, to: string, target: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE)
  } catch (cause) {
    const code = errorCode(cause)
    if (!NO_REFLINKS.has(code ?? '')) throw cause
    const where =
      code === 'EXDEV'
        ? 'it is on another file system than the store'
        : `${dirname(target)} is on a file system that cannot clone files (${code})`
    throw new UnsupportedExportModeError('reflink', target, where, { cause })
  }
}

async function orRemove(path: string, action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}
