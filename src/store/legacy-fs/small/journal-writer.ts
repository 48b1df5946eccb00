/** Appends small blobs to journals. Writes synchronously: for a thread of its own. */
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

/**
 * Of all journals of a store. Whose files have not been written by the system yet, has to be waited for; but who deletes a blob says so
 * beside each journal, and waits for all of them: with a GiB, half a second for the first.
 */
const MOST_BYTES = 256 * 1024 * 1024

/** Nothing is added to a journal that was begun so many ms ago. Well below the age at which they are retired. */
const OLD_MS = 20_000

interface Journal {
  readonly path: string
  bytes: number
  /** Whether it could not be retired: the system tells only once of what it could not write. */
  isDoubtful: boolean
}

interface OpenJournal {
  readonly journal: Journal
  readonly file: number
  /** Bytes to make it longer by at a time; 0: no more than by what is added. */
  readonly room: number
  /** Where the file may end: behind the last record there may be room for more. */
  end: number
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
  readonly #room: number
  readonly #mostBytes: number
  readonly #journals: Journal[] = []
  #count = 0
  #open: OpenJournal | undefined
  #makingRoom: Promise<void> | undefined

  /**
   * @param room bytes of zeros that are written ahead, for records that are added one by one: to write over what is there takes a disk
   *   half as long as to make a file longer
   * @param mostBytes of journals, after which the oldest is retired at once
   */
  constructor(place: JournalPlace, retiring: Retiring, room = 0, mostBytes = MOST_BYTES) {
    this.#place = place
    this.#retiring = retiring
    this.#room = room
    this.#mostBytes = mostBytes
  }

  /** Adds records. When it returns they are on disk; when it throws, they do not count. */
  append(records: Uint8Array): Noted {
    if (this.#open !== undefined) {
      const { journal, begun } = this.#open
      if (journal.bytes >= FULL_BYTES || performance.now() - begun > OLD_MS) this.close()
    }
    const open = this.#open ?? this.#begin(this.#room)
    const { journal, file } = open
    const { path, bytes: at } = journal
    const before = goneBytes(path)
    if (before > 0 && open.room > 0) {
      // Who has deleted a blob took the room for records: what is added there would count as deleted, too.
      this.close()
      this.#begin(0)
      return this.append(records)
    }
    try {
      widen(open, at + records.length)
      writeAll(file, records, at)
      fdatasyncSync(file)
      journal.bytes += records.length
    } catch (error) {
      this.#takeBack(journal)
      throw error
    }
    if (fstatSync(file).nlink === 0) {
      // A store on a machine whose clock is ahead has retired it. What is written to it is lost.
      this.forget(journal.path)
      return this.append(records)
    }
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

  /**
   * Retires the oldest journals when there are too many bytes in all of them.
   *
   * @throws what kept a file from being put on disk: its journal stays, and is retired by the next call
   */
  async makeRoom(): Promise<void> {
    this.#makingRoom ??= this.#retireOldest().finally(() => {
      this.#makingRoom = undefined
    })
    await this.#makingRoom
  }

  /** Bytes of journals that have not been retired. */
  get bytes(): number {
    return this.#journals.reduce((sum, journal) => sum + journal.bytes, 0)
  }

  /** Adds nothing more to the journal that is open. */
  close(): void {
    const open = this.#open
    if (open === undefined) return
    this.#open = undefined
    const { file, end, journal } = open
    try {
      if (end > journal.bytes) ftruncateSync(file, journal.bytes)
    } catch {
      // The room that is left is no record: it does no harm, and whoever closes has more to put away.
    } finally {
      closeSync(file)
    }
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

  #begin(room: number): OpenJournal {
    const { folder, prefix, boot } = this.#place
    const path = `${folder}${sep}${prefix}.${this.#count++}.journal`
    const file = openSync(path, 'wx')
    const journal = { path, bytes: HEADER_BYTES, isDoubtful: false }
    const open = { journal, file, room, end: HEADER_BYTES, begun: performance.now() }
    this.#open = open
    this.#journals.push(journal)
    try {
      writeAll(file, encodeHeader(boot))
      syncFolder(folder)
    } catch (error) {
      this.#discard(journal)
      throw error
    }
    return open
  }

  /** What comes behind half a record would not be found, and on a full disk it takes room that the files need. */
  #takeBack(journal: Journal): void {
    if (journal.bytes === HEADER_BYTES) this.#discard(journal)
    else this.close()
  }

  /** One that holds nothing. On a full disk there would be one for each try, and a note beside each for whatever is deleted. */
  #discard({ path }: Journal): void {
    this.forget(path)
    rmSync(path, { force: true })
    rmSync(gonePath(path), { force: true })
  }

  async #retireOldest(): Promise<void> {
    while (this.bytes > this.#mostBytes) {
      const oldest = this.#journals[0]!
      this.end(oldest.path)
      const { path, isDoubtful } = oldest
      oldest.isDoubtful = true
      await retireJournal(path, { ...this.#retiring, isDoubtful })
      this.forget(path)
    }
  }
}

/** Has a file reach as far as this, and further if there is to be room. */
function widen(open: OpenJournal, end: number): void {
  if (end <= open.end) return
  const { file, journal } = open
  open.end = end + open.room
  if (open.room === 0) return
  try {
    writeAll(file, Buffer.alloc(open.end - journal.bytes), journal.bytes)
  } catch {
    // The disk is nearly full: what is added may have its place all the same.
    ftruncateSync(file, journal.bytes)
    open.end = end
  }
}

function goneBytes(journal: string): number {
  return statSync(gonePath(journal), { throwIfNoEntry: false })?.size ?? 0
}

function isThere(journal: string): boolean {
  return statSync(journal, { throwIfNoEntry: false }) !== undefined
}
