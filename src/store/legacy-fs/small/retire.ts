/** Removes a journal when the blobs' own files hold what it says, and are on disk. Mostly synchronous: for a thread of its own. */
import { closeSync, constants, fdatasync, fstatSync, openSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { hashBytes } from '../../../bao/outboard.ts'
import { isNotFound } from '../../fs-errors.ts'
import { Limiter } from '../../limiter.ts'
import { FOR_READING } from '../../small-file.ts'
import { fileStats, versionOf } from '../../stats.ts'
import type { TempFolder } from '../../temp.ts'
import { dataPath } from '../layout.ts'
import { Gone } from './gone.ts'
import { gonePath, HEADER_BYTES, type JournalRecord, recordsIn } from './journal-format.ts'
import { placeFile } from './place-file.ts'
import { syncFolder } from './sync-folder.ts'

/**
 * Files that are waited for at the same time. Each by itself has to wait for the disk, or for the file system's own journal, although
 * it is there; side by side they wait for the same. Half of Node's threads for files, of which it has four where nobody says otherwise:
 * others need them too.
 */
const FILES_AT_ONCE = Math.min(8, Math.max(1, Math.floor((Number(process.env.UV_THREADPOOL_SIZE) || 4) / 2)))

/** Of all journals that are retired at the same time: the oldest for its age, and others to make room. */
const limiter = new Limiter(FILES_AT_ONCE)

/** Windows waits only for what may be written to. */
const FOR_SYNC = process.platform === 'win32' ? constants.O_RDWR : FOR_READING

export interface Retiring {
  readonly dataFolder: string
  readonly temp: TempFolder
  /** Whether to trust no file, and to make all of them anew. */
  readonly isDoubtful?: boolean
}

/**
 * In turns. What a file lacks is made up from the journal, but for what was deleted.
 *
 * @throws what kept a file from being put on disk; the journal stays then
 */
export async function retireJournal(path: string, retiring: Retiring): Promise<void> {
  const before = versionAt(path)
  const journal = readIfThere(path)
  if (journal === undefined) return
  const gone = new Gone(path)
  const records = recordsIn(journal, HEADER_BYTES)
  const putNext = async (): Promise<void> => {
    // They share the records: who fails ends them for all.
    for (const record of records) await limiter.run(() => putOnDisk(record, gone, retiring))
  }
  // Nothing is to be under way when this ends.
  for (const ending of await Promise.allSettled(Array.from({ length: FILES_AT_ONCE }, putNext)))
    if (ending.status === 'rejected') throw ending.reason
  syncFolder(retiring.dataFolder)
  // The clocks of machines that share a folder may differ: it was not as old as it seemed.
  if (versionAt(path) !== before) return
  rmSync(path, { force: true })
  // A journal that comes back in a power failure must not come without what it says in vain.
  syncFolder(dirname(path))
  rmSync(gonePath(path), { force: true })
}

async function putOnDisk(
  record: JournalRecord,
  gone: Gone,
  { dataFolder, temp, isDoubtful }: Retiring
): Promise<void> {
  const path = dataPath(dataFolder, record.hash.toString('hex'))
  if (isDoubtful !== true && (await isOnDisk(path, record.data))) return
  // It may be half a record, that never counted.
  if (!hashBytes(record.data).hash.bytes.every((byte, i) => byte === record.hash[i])) return
  if (!gone.counts(record)) return
  try {
    // Asked once more at the last moment: what is deleted in between would come back.
    placeFile(temp.newPathFor(record.hash.toString('hex')), path, record.data, true, () =>
      gone.counts(record)
    )
  } catch (error) {
    // Deleted after that moment: who did so has taken away what was to be its file.
    if (!isNotFound(error) || gone.counts(record)) throw error
  }
  await new Promise(setImmediate)
}

/**
 * Waits until a file is on disk, if it holds what it should. That it cannot be put there is told only once by the system,
 * which takes it for written after that: so a new one has to be made then.
 */
async function isOnDisk(path: string, data: Buffer): Promise<boolean> {
  let file: number
  try {
    file = openSync(path, FOR_SYNC)
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
  try {
    const stats = fstatSync(file)
    if (!stats.isFile() || stats.size !== data.length || !readFileSync(file).equals(data)) return false
    return await isSynced(file)
  } finally {
    closeSync(file)
  }
}

/** When it fails, writing the file anew fails for the same reason, or helps. */
async function isSynced(file: number): Promise<boolean> {
  return await new Promise(resolve => fdatasync(file, error => resolve(error === null)))
}

/** Undefined when another store has retired it meanwhile. */
function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

/** Differs when something was written to it, which may have been where there was room in it. */
function versionAt(path: string): string | undefined {
  const stats = fileStats(path)
  return stats && versionOf(stats)
}
