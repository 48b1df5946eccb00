/** What was deleted since it was put into a journal. Synchronous, as a thread of its own needs it too: it is little at a time. */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync
} from 'node:fs'
import type { Hash } from '../../../hash.ts'
import { isNotFound } from '../../fs-errors.ts'
import { addGone, encodeGone, GONE_BYTES, gonePath, type JournalRecord } from './journal-format.ts'

const { O_APPEND, O_CREAT, O_RDWR } = constants

/** Knows what of a journal counts no more. Others go on deleting meanwhile, so what is new is read whenever it is asked. */
export class Gone {
  readonly #journal: string
  readonly #ends = new Map<string, number>()
  #readBytes = 0

  constructor(journal: string) {
    this.#journal = journal
  }

  /** Whether the journal is there, and what a record of it says counts. */
  counts({ at, hash }: JournalRecord): boolean {
    this.#readNew()
    return at >= (this.#ends.get(hash.toString('hex')) ?? 0) && existsSync(this.#journal)
  }

  #readNew(): void {
    let file: number
    try {
      file = openSync(gonePath(this.#journal), 'r')
    } catch (error) {
      if (isNotFound(error)) return
      throw error
    }
    try {
      const bytes = Buffer.alloc(wholeBytes(fstatSync(file).size) - this.#readBytes)
      for (let filled = 0; filled < bytes.length; ) {
        const more = readSync(file, bytes, filled, bytes.length - filled, this.#readBytes + filled)
        if (more === 0) throw new Error(`${gonePath(this.#journal)} was cut off while it was read`)
        filled += more
      }
      addGone(this.#ends, bytes)
      this.#readBytes += bytes.length
    } finally {
      closeSync(file)
    }
  }
}

/**
 * Notes that what a journal says of a blob up to here counts no more.
 *
 * @param journalBytes how long the journal is
 * @throws what the system says; then nothing is noted
 */
export function noteGone(journal: string, hash: Hash, journalBytes: number): void {
  const file = openSync(gonePath(journal), O_RDWR | O_CREAT | O_APPEND)
  try {
    cutToWhole(file)
    const bytes = encodeGone(hash.bytes, journalBytes)
    if (writeSync(file, bytes) === bytes.length) return
    throw Object.assign(new Error(`there was no room for all of a note in ${gonePath(journal)}`), {
      code: 'ENOSPC'
    })
  } catch (error) {
    cutToWhole(file)
    throw error
  } finally {
    closeSync(file)
  }
}

/** A full disk or a killed process may leave half a note, behind which nothing would be found. */
function cutToWhole(file: number): void {
  const { size } = fstatSync(file)
  if (wholeBytes(size) !== size) ftruncateSync(file, wholeBytes(size))
}

function wholeBytes(size: number): number {
  return size - (size % GONE_BYTES)
}
