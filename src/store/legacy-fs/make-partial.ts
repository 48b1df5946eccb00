/**
 * Making a complete blob partial, because some of it has turned out to be wrong. To be called under the blob's mutex.
 *
 * The data file becomes that of the partial blob as it is: what is wrong in it is overwritten when the blob is fetched again.
 * One rename decides, and all that the partial blob needs is on disk before: the outboard as a copy, and a claim that is about
 * the two files by their inode numbers. Killed before the rename, the blob is complete as it was, and found damaged once more;
 * the copy and the claim are about a `.data.part` that is not there, so they say nothing, and are replaced or removed with the
 * blob. Killed after it, the blob is partial; the outboard that is left under its old name is not looked at.
 */
import { chmod, copyFile, open, rename, rm } from 'node:fs/promises'
import type { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { fileStats } from '../stats.ts'
import { type Claim, writeClaim } from './claim.ts'
import type { FsContext } from './context.ts'
import { PartialFiles } from './partial-files.ts'

const WRITABLE = 0o644

/**
 * @param size bytes of the data file
 * @param ranges what is right of it: the outboard's nodes above these groups are right, too
 * @returns false when it cannot be: the blob is arriving anew already, or the data file has another name, outside of the store,
 *   where nobody expects it to be written to
 */
export async function makePartial(
  context: FsContext,
  hash: Hash,
  size: number,
  ranges: ChunkRanges
): Promise<boolean> {
  const { layout, isSynced, dataSync } = context
  const links = fileStats(layout.data(hash))?.nlink
  if (links !== 1n || fileStats(layout.partialData(hash)) !== undefined) return false
  // An export by hard link, which is gone by now, may have made it read-only.
  await chmod(layout.data(hash), WRITABLE)
  const claim: Claim = { ...(await copyOutboard(context, hash)), size, ranges }
  await writeClaim(context, hash, claim, isSynced)
  await rename(layout.data(hash), layout.partialData(hash))
  await rm(layout.outboard(hash), { force: true })
  await dataSync.sync()
  return true
}

/** @returns what a claim says of the data file and the copy */
async function copyOutboard(
  { layout, temp, isSynced }: FsContext,
  hash: Hash
): Promise<Pick<Claim, 'identity' | 'lengths'>> {
  const path = temp.newPath()
  try {
    await copyFile(layout.outboard(hash), path)
    const data = await open(layout.data(hash), 'r+')
    try {
      const outboard = await open(path, 'r+')
      try {
        const files = await PartialFiles.of(data, outboard)
        if (isSynced) await files.sync()
        await rename(path, layout.partialOutboard(hash))
        return { identity: files.identity, lengths: await files.lengths() }
      } finally {
        await outboard.close()
      }
    } finally {
      await data.close()
    }
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}
