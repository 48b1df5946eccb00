/** Making folders, without Node's own recursion: that goes round for ever where a folder is there and takes no other, as in /proc. */
import { mkdirSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from './fs-errors.ts'

/**
 * Makes a folder, and those above it.
 *
 * @param path absolute
 * @param mode of those that are made, less the umask
 * @returns the uppermost that was made; undefined when all were there
 * @throws what the file system throws
 */
export function makeFolder(path: string, mode = 0o777): string | undefined {
  const missing: string[] = []
  for (let at = path; statOf(at) === undefined && at !== dirname(at); at = dirname(at)) missing.push(at)
  // Fails as it should when that is something else.
  if (missing.length === 0 && !isFolder(path)) mkdirSync(path)
  for (const folder of missing.toReversed()) {
    try {
      mkdirSync(folder, { mode })
    } catch (error) {
      // Somebody else may have made it meanwhile.
      if (errorCode(error) !== 'EEXIST' || !isFolder(folder)) throw error
    }
  }
  return missing.at(-1)
}

function isFolder(path: string): boolean {
  return statOf(path)?.isDirectory() === true
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}
