/** Appends small blobs to journals, and retires these when the blobs' own files are on disk. Synchronous: for a thread of its own. */
import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { sep } from 'node:path'
import { isNotFound } from '../../fs-errors.ts'
import { dataPath } from '../layout.ts'
import { encodeHeader, gonePath, HEADER_BYTES, recordsIn } from './journal-format.ts'
import type { JournalPlace } from './messages.ts'

/** A journal is full at so many bytes: it has to be read as a whole. */
const FULL_BYTES = 8 * 1024 * 1024

/** Nothing is added to a journal that was begun so many ms ago. Well below the age at which they are retired. */
const OLD_MS = 20_000

/** Bytes of journals after which the oldest is retired at once, though its blobs' files have to be waited for. */
const MOST_BYTES = 256 * 1024 * 1024

/** Files that are put on disk without giving others their turn. */
const FILES_PER_TURN = 64

interface Journal {
  readonly path: string
  bytes: number
}

interface OpenJournal {
  readonly journal: Journal
  readonly file: number
  /** By the clock of `performance`. */
  readonly begun: number
}

export class JournalWriter {
  readonly #place: JournalPlace
  readonly #dataFolder: string
  readonly #journals: Journal[] = []
  #count = 0
  #open: OpenJournal | undefined

  constructor(place: JournalPlace, dataFolder: string) {
    this.#place = place
    this.#dataFolder = dataFolder
  }

  /** Adds records. When it returns they are on disk; when it throws, they do not count. */
  append(records: Uint8Array): void {
    if (this.#open !== undefined) {
      const { journal, begun } = this.#open
      if (journal.bytes >= FULL_BYTES || performance.now() - begun > OLD_MS) this.#close()
    }
    const { journal, file } = this.#open ?? this.#begin()
    try {
      writeAll(file, records)
      fdatasyncSync(file)
      journal.bytes += records.length
    } catch (error) {
      // What comes behind half a record would not be found.
      this.#close()
      throw error
    }
    this.#makeRoom()
  }

  /** Puts on disk what a journal speaks of, in turns, and removes it. */
  *retire(path: string): Generator<void, void, undefined> {
    if (this.#open?.journal.path === path) this.#close()
    let count = 0
    for (const { hash } of recordsIn(readIfThere(path), HEADER_BYTES)) {
      syncFile(dataPath(this.#dataFolder, hash.toString('hex')))
      if (++count % FILES_PER_TURN === 0) yield
    }
    syncFolder(this.#dataFolder)
    rmSync(path, { force: true })
    rmSync(gonePath(path), { force: true })
    const place = this.#journals.findIndex(journal => journal.path === path)
    if (place >= 0) this.#journals.splice(place, 1)
  }

  #begin(): OpenJournal {
    const { folder, prefix, boot } = this.#place
    const path = `${folder}${sep}${prefix}.${this.#count++}.journal`
    const file = openSync(path, 'ax')
    const journal = { path, bytes: HEADER_BYTES }
    this.#open = { journal, file, begun: performance.now() }
    this.#journals.push(journal)
    try {
      writeAll(file, encodeHeader(boot))
      syncFolder(folder)
    } catch (error) {
      this.#close()
      throw error
    }
    return this.#open
  }

  #close(): void {
    if (this.#open !== undefined) closeSync(this.#open.file)
    this.#open = undefined
  }

  #makeRoom(): void {
    let bytes = this.#journals.reduce((sum, journal) => sum + journal.bytes, 0)
    while (bytes > MOST_BYTES) {
      const [oldest] = this.#journals
      bytes -= oldest!.bytes
      for (const _ of this.retire(oldest!.path));
    }
  }
}

/** Nothing when another store has retired it meanwhile. */
function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isNotFound(error)) return Buffer.alloc(0)
    throw error
  }
}

export function syncFolder(path: string): void {
  // Windows neither can nor need do that.
  if (process.platform !== 'win32') withFile(path, fsyncSync)
}

/** Waits until a file is on disk. One that is not there was deleted, or has another name by now. */
function syncFile(path: string): void {
  try {
    withFile(path, fdatasyncSync)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}

function withFile(path: string, action: (file: number) => void): void {
  const file = openSync(path, process.platform === 'win32' ? 'r+' : 'r')
  try {
    action(file)
  } finally {
    closeSync(file)
  }
}

export function writeAll(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written)
}
