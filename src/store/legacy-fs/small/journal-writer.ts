/** Appends small blobs to journals. Synchronous: for a thread of its own. */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, rmSync, statSync } from 'node:fs'
import { sep } from 'node:path'
import { Gone } from './gone.ts'
import { encodeHeader, gonePath, HEADER_BYTES, type JournalRecord } from './journal-format.ts'
import type { JournalPlace } from './messages.ts'
import { writeAll } from './place-file.ts'
import { type Retiring, retireJournal } from './retire.ts'
import { syncFolder } from './sync-folder.ts'

/** A journal is full at so many bytes: it has to be read as a whole. */
const FULL_BYTES = 8 * 1024 * 1024

/** Nothing is added to a journal that was begun so many ms ago. Well below the age at which they are retired. */
const OLD_MS = 20_000

/** Bytes of journals after which the oldest is retired at once, though its blobs' files have to be waited for. */
const MOST_BYTES = 256 * 1024 * 1024

interface Journal {
  readonly path: string
  bytes: number
  /** Whether it could not be retired: the system tells only once of what it could not write. */
  isDoubtful: boolean
}

interface OpenJournal {
  readonly journal: Journal
  readonly file: number
  /** By the clock of `performance`. */
  readonly begun: number
}

/** Records in a journal. */
export interface Noted {
  readonly path: string
  /** Where the first of them begins. */
  readonly at: number
  /** How much was said to be deleted when they were written. */
  readonly goneBytes: number
  /** When they were on disk, by the clock of `performance`. */
  readonly since: number
}

export class JournalWriter {
  readonly #place: JournalPlace
  readonly #retiring: Retiring
  readonly #journals: Journal[] = []
  #count = 0
  #open: OpenJournal | undefined

  constructor(place: JournalPlace, retiring: Retiring) {
    this.#place = place
    this.#retiring = retiring
  }

  /** Adds records. When it returns they are on disk; when it throws, they do not count. */
  append(records: Uint8Array): Noted {
    if (this.#open !== undefined) {
      const { journal, begun } = this.#open
      if (journal.bytes >= FULL_BYTES || performance.now() - begun > OLD_MS) this.close()
    }
    const { journal, file } = this.#open ?? this.#begin()
    const { path, bytes: at } = journal
    const before = goneBytes(path)
    try {
      writeAll(file, records)
      fdatasyncSync(file)
      journal.bytes += records.length
    } catch (error) {
      this.#takeBack(file, journal)
      throw error
    }
    if (fstatSync(file).nlink === 0) {
      // A store on a machine whose clock is ahead has retired it. What is written to it is lost.
      this.forget(journal.path)
      return this.append(records)
    }
    this.#makeRoom()
    return { path, at, goneBytes: before, since: performance.now() }
  }

  /**
   * Which records cannot be relied on any more: their blobs were deleted since they were written, or their journal was. Or all that
   * is about to be, as this process stood still for long.
   */
  annulled<T extends JournalRecord>(noted: Noted, records: readonly T[]): T[] {
    const { path, at, goneBytes: before, since } = noted
    if (performance.now() - since > OLD_MS) return [...records]
    if (goneBytes(path) === before && isThere(path)) return []
    const gone = new Gone(path)
    return records.filter(record => !gone.counts({ ...record, at: at + record.at }))
  }

  /** Bytes of journals that have not been retired. */
  get bytes(): number {
    return this.#journals.reduce((sum, journal) => sum + journal.bytes, 0)
  }

  /** Adds nothing more to the journal that is open. */
  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.file)
    this.#open = undefined
  }

  /** Adds nothing more to a journal. */
  end(path: string): void {
    if (this.#open?.journal.path === path) this.close()
  }

  /** Counts a journal no more, which is not there any longer. */
  forget(path: string): void {
    this.end(path)
    const place = this.#journals.findIndex(journal => journal.path === path)
    if (place >= 0) this.#journals.splice(place, 1)
  }

  #begin(): OpenJournal {
    const { folder, prefix, boot } = this.#place
    const path = `${folder}${sep}${prefix}.${this.#count++}.journal`
    const file = openSync(path, 'ax')
    const journal = { path, bytes: HEADER_BYTES, isDoubtful: false }
    this.#open = { journal, file, begun: performance.now() }
    this.#journals.push(journal)
    try {
      writeAll(file, encodeHeader(boot))
      syncFolder(folder)
    } catch (error) {
      this.#discard(journal)
      throw error
    }
    return this.#open
  }

  /** What comes behind half a record would not be found, and on a full disk it takes room that the files need. */
  #takeBack(file: number, journal: Journal): void {
    if (journal.bytes === HEADER_BYTES) this.#discard(journal)
    else {
      try {
        ftruncateSync(file, journal.bytes)
      } finally {
        this.close()
      }
    }
  }

  /** One that holds nothing. On a full disk there would be one for each try, and a note beside each for whatever is deleted. */
  #discard({ path }: Journal): void {
    this.forget(path)
    rmSync(path, { force: true })
    rmSync(gonePath(path), { force: true })
  }

  #makeRoom(): void {
    let bytes = this.bytes
    while (bytes > MOST_BYTES) {
      const oldest = this.#journals[0]!
      bytes -= oldest.bytes
      this.end(oldest.path)
      const { path, isDoubtful } = oldest
      oldest.isDoubtful = true
      for (const _ of retireJournal(path, { ...this.#retiring, isDoubtful }));
      this.forget(path)
    }
  }
}

function goneBytes(journal: string): number {
  return statSync(gonePath(journal), { throwIfNoEntry: false })?.size ?? 0
}

function isThere(journal: string): boolean {
  return statSync(journal, { throwIfNoEntry: false }) !== undefined
}
