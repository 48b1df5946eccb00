/** Turning what SQLite says into what a store says. */
import Database from 'better-sqlite3'
import { StoreError, StoreFullError } from '../../errors.ts'
import { DatabaseBusyError, DatabaseDamagedError } from './errors.ts'

/** SQLite's code of an error, without what it adds to some: `SQLITE_IOERR_WRITE` is `SQLITE_IOERR`. */
export function sqliteCode(error: unknown): string | undefined {
  if (!(error instanceof Database.SqliteError)) return undefined
  return /^SQLITE_[A-Z]+/.exec(error.code)?.[0]
}

/** What remains to do with a damaged database. */
export function howToRebuild(path: string): string {
  return `remove it, with ${path}-wal and ${path}-shm, and run "blobs recover", which makes it anew from the storage`
}

/**
 * The error to throw for one of SQLite's.
 *
 * @param path the database's
 * @returns StoreFullError, DatabaseBusyError, DatabaseDamagedError, else StoreError; errors that do not come from SQLite as
 *   they are
 */
export function toMetadataError(error: unknown, path: string): unknown {
  const code = sqliteCode(error)
  if (code === undefined) return error
  const cause = error instanceof Database.SqliteError ? error : undefined
  // The log's index, which is shared memory in a file, cannot grow: where the disk is full this is what fails first.
  const isFull = code === 'SQLITE_FULL' || cause?.code === 'SQLITE_IOERR_SHMSIZE'
  if (isFull) {
    return new StoreFullError(`database ${path}: the disk is full; make room and try again`, { cause })
  }
  const said = `${cause?.message} (${cause?.code})`
  switch (code) {
    case 'SQLITE_BUSY':
    case 'SQLITE_LOCKED':
    case 'SQLITE_PROTOCOL':
      return new DatabaseBusyError(
        `database ${path} is locked by another process, which does not let go of it; see what runs (fuser ${path})`,
        { cause }
      )
    case 'SQLITE_CORRUPT':
    case 'SQLITE_NOTADB':
      return new DatabaseDamagedError(`database ${path} is damaged: ${said}; ${howToRebuild(path)}`, {
        cause
      })
    case 'SQLITE_READONLY':
      return new StoreError(
        `database ${path} cannot be written to; give this user the right to write to it and to its folder`,
        { cause }
      )
    case 'SQLITE_CANTOPEN':
    case 'SQLITE_PERM':
    case 'SQLITE_AUTH':
      return new StoreError(
        `database ${path} cannot be opened; see that its folder is there, and that this user may read and write in it`,
        { cause }
      )
    case 'SQLITE_IOERR':
      return new StoreError(
        `database ${path}: the disk failed to read or write: ${said}; look at the system log, and how much room is left`,
        { cause }
      )
    default:
      return new StoreError(`database ${path}: ${said}`, { cause })
  }
}

/** The result of `action`, whose failure is turned by {@link toMetadataError}. */
export function explained<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw toMetadataError(error, path)
  }
}
