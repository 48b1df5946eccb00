/**
 * Gives small blobs their files, many at a time. Synchronous: for a thread of its own.
 *
 * Waiting until each file is on disk is most of what such a file costs. So all of them are put into a journal first, which is
 * one file to wait for; should the power fail, it is made up from there what their own files lack then.
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, renameSync, rmSync } from 'node:fs'
import { versionOf } from '../../stats.ts'
import { TempFolder } from '../../temp.ts'
import { dataPath } from '../layout.ts'
import { recordsIn } from './journal-format.ts'
import { JournalWriter, syncFolder, writeAll } from './journal-writer.ts'
import { type Failure, type ThreadData, toFailure } from './messages.ts'

export class FileWriter {
  readonly #dataFolder: string
  readonly #temp: TempFolder
  readonly #journal: JournalWriter | undefined

  constructor({ dataFolder, tempFolder, journals }: ThreadData) {
    this.#dataFolder = dataFolder
    this.#temp = new TempFolder(tempFolder)
    this.#journal = journals && new JournalWriter(journals, dataFolder)
  }

  /**
   * @param records as in a journal
   * @returns of each the version of its file, which has its final name and will survive a power failure; or why it has not
   */
  write(records: Uint8Array): (string | Failure)[] {
    const isSynced = this.#journal !== undefined && !this.#isNoted(records)
    const bytes = Buffer.from(records.buffer, records.byteOffset, records.length)
    const results = Array.from(recordsIn(bytes, 0), ({ hash, data }) => {
      try {
        return this.#writeFile(dataPath(this.#dataFolder, hash.toString('hex')), data, isSynced)
      } catch (error) {
        return toFailure(error)
      }
    })
    if (!isSynced) return results
    try {
      syncFolder(this.#dataFolder)
      return results
    } catch (error) {
      return results.map(() => toFailure(error))
    }
  }

  *retire(journal: string): Generator<void, void, undefined> {
    yield* this.#journal?.retire(journal) ?? []
  }

  /** Without a journal, on a full disk for example, each file is waited for: there may be room for some of them. */
  #isNoted(records: Uint8Array): boolean {
    try {
      this.#journal?.append(records)
      return true
    } catch {
      return false
    }
  }

  #writeFile(path: string, data: Uint8Array, isSynced: boolean): string {
    const temp = this.#temp.newPath()
    const file = openSync(temp, 'wx')
    try {
      let version: string
      try {
        writeAll(file, data)
        version = versionOf(fstatSync(file, { bigint: true }))
        if (isSynced) fdatasyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(temp, path)
      return version
    } catch (error) {
      rmSync(temp, { force: true })
      throw error
    }
  }
}
