/** Opening an object's file for reading. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { errorCode } from '../../../fs-errors.ts'
import { ObjectNotFoundError } from '../errors.ts'
import type { Paths } from './paths.ts'

/** Not through a symbolic link. Windows has no such flag. */
const READ_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)

/** @param storage its name, for messages. @throws ObjectNotFoundError */
export async function openObject(paths: Paths, key: string, storage: string): Promise<FileHandle> {
  // Also what is there but not a file is no object: opening a named pipe could wait for ever.
  if (paths.stats(key) === undefined) throw new ObjectNotFoundError(key, storage)
  try {
    return await open(paths.file(key), READ_FLAGS)
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) throw error
    throw new ObjectNotFoundError(key, storage, { cause: error })
  }
}
