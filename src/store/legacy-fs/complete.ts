/**
 * Making a blob complete: giving its files their final names. To be called under the blob's mutex.
 *
 * The outboard comes first, then the data: who sees `.data` finds all that belongs to it. What is renamed is on disk before.
 */
import { rename, rm } from 'node:fs/promises'
import { groupCount } from '../../bao/geometry.ts'
import type { Hash } from '../../hash.ts'
import { BlobDeletedError } from '../errors.ts'
import { isNotFound } from '../fs-errors.ts'
import { fileStats } from '../stats.ts'
import { type Identity, isSameIdentity } from './claim.ts'
import type { FsContext } from './context.ts'
import { removeForeignPartial } from './foreign.ts'
import { findPartialFiles } from './found.ts'
import type { IngestedFiles } from './ingest.ts'
import { removeNote } from './note.ts'
import { removePartial } from './partial-files.ts'

/** Puts the temporary files of a whole blob in place. What was held of it in part is removed. */
export async function placeIngested(
  { layout, dataSync }: FsContext,
  hash: Hash,
  files: IngestedFiles
): Promise<void> {
  await removeForeignPartial(layout, hash)
  if (files.outboard !== undefined) await rename(files.outboard, layout.outboard(hash))
  await rename(files.data, layout.data(hash))
  if (fileStats(layout.partialData(hash)) !== undefined) await removePartial(layout, hash)
  await dataSync.sync()
}

/**
 * Makes a partial blob complete, of which a claim on disk says that all is held. When this is interrupted, whoever finds
 * such a claim goes on with it.
 *
 * Other processes may do the same at the same time, which is harmless: the one that comes second finds nothing to rename.
 * Or they may delete the blob, and begin it anew: then the names lead to other files. So we look where they lead before, and
 * once more after.
 *
 * @throws BlobDeletedError when the files are no longer there
 */
export async function completePartial(
  { layout, dataSync }: FsContext,
  hash: Hash,
  size: number,
  identity: Identity
): Promise<void> {
  const before = await findPartialFiles(layout, hash)
  const isOurs = before !== undefined && isSameIdentity(before.identity, identity)
  if (isOurs) {
    await removeForeignPartial(layout, hash)
    if (groupCount(size) > 1) await renameIfThere(layout.partialOutboard(hash), layout.outboard(hash))
    await renameIfThere(layout.partialData(hash), layout.data(hash))
  }
  const after = fileStats(layout.data(hash))
  if (after === undefined || Number(after.size) !== size) {
    // Somebody else's beginning has got the name of the whole.
    if (isOurs && after !== undefined && after.ino !== identity.data)
      await rm(layout.data(hash), { force: true })
    throw new BlobDeletedError(hash)
  }
  await rm(layout.ranges(hash), { force: true })
  await removeNote(layout, hash)
  await dataSync.sync()
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}
