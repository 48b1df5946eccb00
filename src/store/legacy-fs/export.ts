/** Moving a blob's file out of the store. */
import { link, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TargetExistsError } from '../errors.ts'
import { checkBlob } from '../export-file.ts'
import { cannotLink, exists, syncFolder } from '../folders.ts'
import { errorCode, explained } from '../fs-errors.ts'
import type { ExportOptions } from '../index.ts'
import { statIfThere } from '../stats.ts'
import type { FsContext } from './context.ts'
import type { FsReader } from './reader.ts'

/**
 * Gives a complete blob's file another name outside the store, after every byte was checked. The name in the store stays,
 * for the caller to remove: so there is no moment in which the blob is nowhere, nor one in which the target could be
 * overwritten, as a link, unlike a rename, fails when the name is taken.
 *
 * @returns false when the target is on another file system, or on one without hard links: the blob has to be copied
 */
export async function linkOut(
  { layout, isSynced }: FsContext,
  reader: FsReader,
  target: string,
  options: ExportOptions
): Promise<boolean> {
  return await explained(`cannot write ${target}`, async () => {
    if (await exists(target)) throw new TargetExistsError(target)
    const inode = await reader.inode()
    if (inode === undefined) return false
    await checkBlob(reader, options)
    options.signal?.throwIfAborted()
    if (!isSynced) await reader.sync()
    try {
      await link(layout.data(reader.hash), target)
    } catch (error) {
      const code = errorCode(error)
      if (code === 'EEXIST') throw new TargetExistsError(target)
      if (code === 'EXDEV' || cannotLink(error)) return false
      throw error
    }
    // Another process may have put another file there since it was checked.
    if ((await statIfThere(target))?.ino !== inode) {
      await rm(target, { force: true })
      return false
    }
    await syncFolder(dirname(target))
    return true
  })
}
