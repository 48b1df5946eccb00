/**
 * Gives small blobs their files, many at a time. Writes synchronously: for a thread of its own, or for one blob on a quick disk.
 *
 * Waiting until each file is on disk is most of what such a file costs. So all of them are put into a journal first, which is
 * one file to wait for; should the power fail, it is made up from there what their own files lack then.
 */
import { TempFolder } from '../../temp.ts'
import { dataPath } from '../layout.ts'
import { type JournalRecord, recordsIn } from './journal-format.ts'
import { JournalWriter, type Noted } from './journal-writer.ts'
import { type Failure, type ThreadData, toFailure } from './messages.ts'
import { placeFile } from './place-file.ts'
import { retireJournal } from './retire.ts'
import { syncFolder } from './sync-folder.ts'

export class FileWriter {
  readonly #dataFolder: string
  readonly #temp: TempFolder
  readonly #journal: JournalWriter | undefined

  /** @param room see {@link JournalWriter} */
  constructor({ dataFolder, tempFolder, journals }: ThreadData, room = 0) {
    this.#dataFolder = dataFolder
    this.#temp = new TempFolder(tempFolder)
    this.#journal = journals && new JournalWriter(journals, { dataFolder, temp: this.#temp }, room)
  }

  /**
   * @param records as in a journal
   * @returns of each the version of its file, which has its final name and will survive a power failure; or why it has not
   */
  write(records: Uint8Array): (string | Failure)[] {
    const bytes = Buffer.from(records.buffer, records.byteOffset, records.length)
    const all = Array.from(recordsIn(bytes, 0))
    const journal = this.#journal
    if (journal === undefined) return this.#place(all)
    const noted = this.#note(journal, records)
    if (noted === undefined) return this.#placeSynced(all)
    const results = this.#place(all)
    // Who deletes a blob after its record and before its file finds no file, but has the record count no more.
    const annulled = new Set(journal.annulled(noted, all))
    if (annulled.size === 0) return results
    const synced = this.#placeSynced([...annulled])
    return all.map((record, i) => (annulled.has(record) ? synced.shift()! : results[i]!))
  }

  /** Bytes of its journals that have not been retired. */
  get journalBytes(): number {
    return this.#journal?.bytes ?? 0
  }

  /** Retires the oldest journals when there are too many bytes in all of them. To be called after writing. */
  async makeRoom(): Promise<void> {
    await this.#journal?.makeRoom()
  }

  /** Adds nothing more to a journal. */
  end(journal: string): void {
    this.#journal?.end(journal)
  }

  /** Counts a journal no more, which another one has retired. */
  forget(journal: string): void {
    this.#journal?.forget(journal)
  }

  /** To be called when nothing more is to be written. */
  close(): void {
    this.#journal?.close()
  }

  /** Whoever's journal it is. @param isDoubtful whether to make all files anew */
  async retire(journal: string, isDoubtful: boolean): Promise<void> {
    this.end(journal)
    await retireJournal(journal, { dataFolder: this.#dataFolder, temp: this.#temp, isDoubtful })
    this.forget(journal)
  }

  /** Without a journal, on a full disk for example, each file is waited for: there may be room for some of them. */
  #note(journal: JournalWriter, records: Uint8Array): Noted | undefined {
    try {
      return journal.append(records)
    } catch {
      return undefined
    }
  }

  #placeSynced(records: readonly JournalRecord[]): (string | Failure)[] {
    const results = this.#place(records, true)
    try {
      syncFolder(this.#dataFolder)
      return results
    } catch (error) {
      return results.map(() => toFailure(error))
    }
  }

  /** @param isSynced whether to wait until the files' bytes are on disk */
  #place(records: readonly JournalRecord[], isSynced = false): (string | Failure)[] {
    return records.map(({ hash, data }) => {
      try {
        const path = dataPath(this.#dataFolder, hash.toString('hex'))
        return placeFile(this.#temp.newPath(), path, data, isSynced)
      } catch (error) {
        return toFailure(error)
      }
    })
  }
}
