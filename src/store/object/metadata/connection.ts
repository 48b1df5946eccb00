/** Opening the index's database file. */
import { dirname, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { StoreError } from '../../errors.ts'
import { toStoreError } from '../../fs-errors.ts'
import { makeFolder } from '../../make-folder.ts'
import { ForeignDatabaseError } from './errors.ts'
import { sqliteCode, toMetadataError } from './sqlite-errors.ts'

export type Connection = Database.Database

/** Stands for a database that is kept in memory, and gone when it is closed. */
export const IN_MEMORY = ':memory:'

/** Marks a database file as ours (`PRAGMA application_id`): "blob". */
export const APPLICATION_ID = 0x626c6f62

/**
 * How long to wait for another process to let go of the database, in ms. Waiting blocks this process. That is no matter, since
 * each writes for less than a millisecond at a time, and readers wait for nobody; more than this means that a process was
 * stopped or hangs amid writing, which is to be told.
 */
export const BUSY_TIMEOUT_MS = 5_000

const RETRY_MS = 10

/** Bytes that the write-ahead log keeps of the disk when it is not in use. */
const LOG_BYTES = 16 * 1024 * 1024

/** 4 MiB, as SQLite has it by itself. */
export const CHECKPOINT_PAGES = 1000

/** 64 MiB: so much is in the log only if the thread that is to see to it (`checkpointer.ts`) does not keep up. */
const RELUCTANT_PAGES = 16_000

/** Memory for pages of the database. */
const CACHE_KIB = 4096

/**
 * Opens a database that is ours, or is to become ours because it is empty. Its schema is not looked at.
 *
 * @param path a file, which is made with its folder if it is not there; or {@link IN_MEMORY}
 * @throws ForeignDatabaseError when the file is something else
 */
export function connect(path: string, busyTimeoutMs = BUSY_TIMEOUT_MS): Connection {
  // Made absolute, because SQLite reads names that begin with "file:" as URIs, and takes the empty one for a temporary file.
  const file = path === IN_MEMORY ? path : resolve(path)
  if (file !== IN_MEMORY) makeFolderOf(file)
  let connection: Connection | undefined
  try {
    connection = new Database(file, { timeout: busyTimeoutMs })
    checkOurs(connection, file)
    configure(connection, file, busyTimeoutMs)
    return connection
  } catch (error) {
    connection?.close()
    throw toMetadataError(error, file)
  }
}

/** Sets after how many pages of log a transaction brings them into the database itself, and waits for the disk. */
export function setCheckpointPages(connection: Connection, pages: number): void {
  connection.pragma(`wal_autocheckpoint = ${pages}`)
}

function makeFolderOf(file: string): void {
  try {
    makeFolder(dirname(file), 0o700)
  } catch (error) {
    throw toStoreError(error, `cannot make the folder of database ${file}`)
  }
}

/** Comes before anything is written: what belongs to others is not touched. */
function checkOurs(connection: Connection, file: string): void {
  try {
    // In one view of the database: another process may be making it just now.
    const { id, tables } = connection.transaction(() => ({
      id: connection.pragma('application_id', { simple: true }),
      tables: connection.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()
    }))()
    if (id === APPLICATION_ID || (id === 0 && tables === 0)) return
  } catch (cause) {
    if (sqliteCode(cause) !== 'SQLITE_NOTADB') throw cause
    throw new ForeignDatabaseError(
      `${file} is no SQLite database; choose another path for the database (db_path), or, if this was it, remove it ` +
        'and run "blobs recover", which makes it anew from the storage',
      { cause }
    )
  }
  throw new ForeignDatabaseError(
    `${file} is a database of another program; choose another path for the database (db_path): it is not shared`
  )
}

function configure(connection: Connection, file: string, busyTimeoutMs: number): void {
  // Readers do not wait for writers, nor writers for readers, in this process or another one.
  const mode = patiently(busyTimeoutMs, () => connection.pragma('journal_mode = WAL', { simple: true }))
  if (mode !== 'wal' && file !== IN_MEMORY) {
    throw new StoreError(
      `database ${file}: the file system cannot have a write-ahead log (it needs shared memory and locks, which network ` +
        'file systems lack); put the database on a local disk (db_path)'
    )
  }
  // With a write-ahead log this never damages the database: a power failure can at most take back what was written since the
  // last checkpoint, not part of a transaction. Taking it back is bearable, as the storage is the truth: a blob whose row is
  // lost is found by a recovery, or by reading through; objects of a row that is back although they were deleted are found
  // missing when they are asked for. Syncing each transaction to the disk would hold up the event loop for as long as the disk
  // takes. A process that is killed loses nothing, and closing makes a checkpoint, so what a command has done is on disk
  // when it has ended.
  connection.pragma('synchronous = NORMAL')
  setCheckpointPages(connection, RELUCTANT_PAGES)
  // After a recovery, which writes a lot at once, the log gives the room back.
  connection.pragma(`journal_size_limit = ${LOG_BYTES}`)
  connection.pragma('foreign_keys = ON')
  // A file that somebody has tampered with has no code of its own run (triggers and views that call functions).
  connection.pragma('trusted_schema = OFF')
  // The system caches the file too, and a miss costs next to nothing: a larger cache of SQLite's own finds blobs no faster.
  connection.pragma(`cache_size = -${CACHE_KIB}`)
}

/** Switching to WAL, SQLite does not wait for others who do so at the same time, but fails at once. */
function patiently<T>(timeoutMs: number, action: () => T): T {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    try {
      return action()
    } catch (error) {
      if (sqliteCode(error) !== 'SQLITE_BUSY' || performance.now() > deadline) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS)
    }
  }
}
