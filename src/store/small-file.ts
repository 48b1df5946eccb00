/**
 * Small files, each read or written at once.
 *
 * Every call that may wait for a disk takes a turn through the threads that do such things, and for small files these turns
 * are most of the work. So there are as few as can be: what an open file is, and closing it when nothing is left to be
 * written, is asked of the system directly, as it never waits for a disk.
 */
import {
  type BigIntStats,
  close,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  open,
  openSync,
  read,
  readSync,
  write
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { versionOf } from './stats.ts'

const openFile = promisify(open)
const readFrom = promisify(read)
const writeTo = promisify(write)
const sync = promisify(fdatasync)
const closeFile = promisify(close)

const { O_CREAT, O_DSYNC, O_EXCL, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

/** A named pipe is opened at once, and not when somebody writes to it. Windows knows neither. */
export const FOR_READING = process.platform === 'win32' ? O_RDONLY : O_RDONLY | O_NONBLOCK

/** Whether a write can wait for the disk by itself. macOS has the flag, but leaves the bytes in the disk's cache. */
const WRITES_CAN_SYNC = process.platform === 'linux'

const NEW = O_WRONLY | O_CREAT | O_EXCL
const NEW_SYNCED = WRITES_CAN_SYNC ? NEW | O_DSYNC : NEW

export interface SmallFile {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** See {@link versionOf}. */
  readonly version: string
}

/**
 * Reads all of a file.
 *
 * @param most bytes; of a longer file nothing is read
 * @returns `other` for a longer file, and for what is not a regular one; `changed` when it was written to meanwhile
 */
export async function readSmallFile(path: string, most: number): Promise<SmallFile | 'other' | 'changed'> {
  const file = await openFile(path, FOR_READING)
  try {
    const stats = fstatSync(file, { bigint: true })
    if (!stats.isFile() || stats.size > most) return 'other'
    const bytes = new Uint8Array(Number(stats.size))
    for (let filled = 0; filled < bytes.length; ) {
      const { bytesRead } = await readFrom(file, bytes, filled, bytes.length - filled, filled)
      if (bytesRead === 0) return 'changed'
      filled += bytesRead
    }
    return isUnchanged(file, stats) ? { bytes, version: versionOf(stats) } : 'changed'
  } finally {
    closeSync(file)
  }
}

export interface ReadSmallFileOptions {
  /** Makes the memory that the bytes are read into. */
  readonly place?: (length: number) => Uint8Array<ArrayBuffer>
  /** Whether it is all the same if the file is written to meanwhile, since what was read is checked. */
  readonly mayChange?: boolean
}

/** The same, while the thread that calls waits. */
export function readSmallFileSync(
  path: string,
  most: number,
  { place = length => new Uint8Array(length), mayChange = false }: ReadSmallFileOptions = {}
): SmallFile | 'other' | 'changed' {
  const file = openSync(path, FOR_READING)
  try {
    const stats = fstatSync(file, { bigint: true })
    if (!stats.isFile() || stats.size > most) return 'other'
    const bytes = place(Number(stats.size))
    for (let filled = 0; filled < bytes.length; ) {
      const more = readSync(file, bytes, filled, bytes.length - filled, filled)
      if (more === 0) return 'changed'
      filled += more
    }
    return mayChange || isUnchanged(file, stats) ? { bytes, version: versionOf(stats) } : 'changed'
  } finally {
    closeSync(file)
  }
}

function isUnchanged(file: number, before: BigIntStats): boolean {
  const { size, mtimeNs } = fstatSync(file, { bigint: true })
  return size === before.size && mtimeNs === before.mtimeNs
}

/**
 * Makes a file. When it fails, there is none.
 *
 * @param isSynced whether to wait until the bytes are on disk
 * @returns its version, see {@link versionOf}
 */
export async function writeSmallFile(path: string, bytes: Uint8Array, isSynced: boolean): Promise<string> {
  const file = await openFile(path, isSynced ? NEW_SYNCED : NEW)
  let isClosed = false
  try {
    for (let written = 0; written < bytes.length; ) {
      written += (await writeTo(file, bytes, written, bytes.length - written, written)).bytesWritten
    }
    const version = versionOf(fstatSync(file, { bigint: true }))
    if (isSynced && !WRITES_CAN_SYNC) await sync(file)
    isClosed = true
    // What has not been synced may be written now, on a file system of another machine.
    if (isSynced) closeSync(file)
    else await closeFile(file)
    return version
  } catch (error) {
    if (!isClosed) closeSync(file)
    await rm(path, { force: true })
    throw error
  }
}
