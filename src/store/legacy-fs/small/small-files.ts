/**
 * Small files, read and written one by one or by a thread that does many for each message: to hand a call to the threads that wait
 * for the disk and to be told of its end costs as much as the call, and each file takes two or three of them. The thread is started
 * when there is enough for it to do, and ends when there is nothing for a while.
 *
 * One that is alone is read and written right here while the disk is quick: the message and its answer would take longer than all
 * that is done for it. When one after the other is written, that is done with a journal, too: it is one wait for the disk instead
 * of two.
 */
import { rename, rm } from 'node:fs/promises'
import type { Hash } from '../../../hash.ts'
import { Limiter } from '../../limiter.ts'
import { readSmallFile, readSmallFileSync, type SmallFile, writeSmallFile } from '../../small-file.ts'
import type { FsContext } from '../context.ts'
import { Batches } from './batches.ts'
import { DiskPace } from './disk-pace.ts'
import { FileWriter } from './file-writer.ts'
import { HelperGoneError, HelperThread } from './helper-thread.ts'
import { recordBytes, writeRecord } from './journal-format.ts'
import { type Failure, type Read, type ThreadData, toError } from './messages.ts'

/** So many at the same time are many. */
const MANY = 8

/**
 * Files that are written, or come many at a time, before a journal is begun or a thread is started, without a pause of
 * {@link IDLE_MS}: a thread costs as much as some hundred files, and 10 MiB of memory.
 */
const STARTS_AFTER = 32

/** Milliseconds without work after which the thread ends. */
const IDLE_MS = 10_000

/** Files that are open at the same time where there is no thread. */
const MOST_OPEN = 128

/** Files in a batch, to be read and to be written: with these, what a batch costs is little in comparison with its files. */
const MOST_READ = 64
const MOST_WRITTEN = 256

/** Bytes of journals that are written to here: far less than what makes a journal be retired at once, which takes long. */
const MOST_OWN_BYTES = 64 * 1024 * 1024

/** After so many that were alone, the next one will be. */
const ALONE_IN_A_ROW = 4

/** Bytes that such a journal has room for, some dozens of blobs: to make room takes as long as one of them. */
const OWN_ROOM_BYTES = 256 * 1024

type ReadResult = SmallFile | 'other' | 'changed'

interface SmallBlob {
  readonly hash: Hash
  readonly bytes: Uint8Array
}

export interface SmallFilesInit {
  readonly context: FsContext
  /** Bytes of a file; a longer one is not small. */
  readonly most: number
}

export class SmallFiles {
  readonly #init: SmallFilesInit
  readonly #reads: Batches<string, ReadResult | Failure | undefined>
  readonly #writes: Batches<SmallBlob, string | Failure | undefined>
  readonly #limiter = new Limiter(MOST_OPEN)
  #atOnce = 0
  #crowd = 0
  /** When one last came that counts, by the clock of `performance`. */
  #crowdedAt = 0
  readonly #reading = new DiskPace()
  readonly #writing = new DiskPace()
  /** How many batches there were, one after the other, of a single blob each. */
  #alone = 1
  #thread: HelperThread | undefined
  /** Writes what is alone. */
  #own: FileWriter | undefined
  /** Where Node's permissions are in force, nobody is allowed to wait for the disk in this way. */
  #isHelpPossible = process.permission === undefined
  #idle: NodeJS.Timeout | undefined

  constructor(init: SmallFilesInit) {
    this.#init = init
    this.#reads = new Batches({ most: MOST_READ, run: paths => this.#readMany(paths) })
    this.#writes = new Batches({ most: MOST_WRITTEN, run: blobs => this.#writeMany(blobs) })
  }

  /**
   * Reads all of a file.
   *
   * @returns `other` for a longer file, and for what is not a regular one; `changed` when it was written to meanwhile
   */
  read(path: string): Promise<ReadResult> {
    return this.#read(path, false)
  }

  /**
   * The same of one of the store's own files, most of which are in the system's memory when they are read. What comes is to be held
   * against the blob's hash: it may have been written to meanwhile.
   */
  readOwn(path: string): Promise<ReadResult> {
    return this.#read(path, true)
  }

  /**
   * Gives a blob its file under its final name, to be called under the blob's mutex. It survives a power failure then.
   *
   * @returns the file's version
   */
  async write(hash: Hash, bytes: Uint8Array): Promise<string> {
    this.#atOnce++
    try {
      const written = this.#isHelped(true)
        ? (this.#writeAlone(hash, bytes) ?? (await this.#writes.add({ hash, bytes })))
        : undefined
      if (written === undefined) return await this.#limiter.run(() => this.#writeOne(hash, bytes))
      if (isFailure(written)) throw toError(written)
      return written
    } finally {
      this.#atOnce--
    }
  }

  /**
   * Puts on disk what a journal speaks of, and removes it. Starts a thread if need be.
   *
   * @param isDoubtful whether to make all files anew
   */
  async retire(journal: string, isDoubtful: boolean): Promise<void> {
    this.#own?.end(journal)
    const thread = this.#started()
    if (thread === undefined) return
    await thread.ask({ kind: 'retire', journal, isDoubtful })
    this.#own?.forget(journal)
    this.#idle?.refresh()
  }

  /** To be called when nothing is under way any more. */
  async close(): Promise<void> {
    this.#isHelpPossible = false
    clearTimeout(this.#idle)
    this.#own?.close()
    await this.#thread?.end()
  }

  async #read(path: string, isOwn: boolean): Promise<ReadResult> {
    this.#atOnce++
    try {
      // To read one that is alone takes a single turn through the pool, where the thread takes two messages.
      const read = this.#isHelped(false) ? await this.#reads.add(path) : undefined
      if (read === undefined) return await this.#readOne(path, isOwn)
      if (isFailure(read)) throw toError(read)
      return read
    } finally {
      this.#atOnce--
    }
  }

  /** Whether there has been enough to do lately to do it in a better way than file by file. */
  #isHelped(isWrite: boolean): boolean {
    if (!isWrite && this.#atOnce < MANY) return false
    const now = performance.now()
    if (now - this.#crowdedAt > IDLE_MS) this.#crowd = 0
    this.#crowdedAt = now
    return this.#isHelpPossible && ++this.#crowd > STARTS_AFTER
  }

  #started(): HelperThread | undefined {
    if (this.#thread !== undefined || !this.#isHelpPossible) return this.#thread
    try {
      const thread = new HelperThread(this.#threadData(), () => {
        if (this.#thread === thread) this.#thread = undefined
      })
      this.#thread = thread
      this.#idle = setTimeout(() => this.#endWhenIdle(thread), IDLE_MS).unref()
      return thread
    } catch {
      // Threads may be forbidden, or too many. All can be done without.
      this.#isHelpPossible = false
      return undefined
    }
  }

  #threadData(): ThreadData {
    const { layout, journals } = this.#init.context
    return { dataFolder: layout.dataFolder, tempFolder: layout.tempFolder, journals: journals.newPlace() }
  }

  #endWhenIdle(thread: HelperThread): void {
    if (thread.isBusy) this.#idle?.refresh()
    else void thread.end()
  }

  /** @returns undefined for each when the thread has ended */
  async #readMany(paths: readonly string[]): Promise<readonly (ReadResult | Failure | undefined)[]> {
    const answer = await this.#ask({ kind: 'read', paths, most: this.#init.most })
    let end = 0
    return paths.map((_, i) => {
      const read = answer?.results[i] as Read | undefined
      if (typeof read !== 'object' || !('length' in read)) return read
      const start = end
      end += read.length
      return { bytes: answer!.bytes!.subarray(start, end), version: read.version }
    })
  }

  /** @returns undefined for each when the thread has ended */
  async #writeMany(blobs: readonly SmallBlob[]): Promise<readonly (string | Failure | undefined)[]> {
    const records = Buffer.allocUnsafeSlow(blobs.reduce((sum, { bytes }) => sum + recordBytes(bytes), 0))
    let at = 0
    for (const { hash, bytes } of blobs) at = writeRecord(records, at, hash.bytes, bytes)
    const isAlone = blobs.length === 1
    // The first that is alone after many is the last of these, or more of them are on their way.
    const isHere = isAlone && this.#alone > 0
    this.#alone = isAlone ? this.#alone + 1 : 0
    const results =
      (isHere ? this.#writeHere(records) : undefined) ??
      (await this.#ask({ kind: 'write', records }))?.results
    return blobs.map((_, i) => results?.[i] as string | Failure | undefined)
  }

  /** One that follows on some that were alone does not wait for others, which may come in this turn of the event loop: these go together. */
  #writeAlone(hash: Hash, bytes: Uint8Array): string | Failure | undefined {
    if (this.#atOnce > 1 || this.#alone < ALONE_IN_A_ROW || this.#writing.isInTurn) return undefined
    const records = Buffer.allocUnsafe(recordBytes(bytes))
    writeRecord(records, 0, hash.bytes, bytes)
    return this.#writeHere(records)?.[0]
  }

  /** @returns undefined when it had better be left to the thread */
  #writeHere(records: Uint8Array): (string | Failure)[] | undefined {
    const isFree = this.#isHelpPossible && this.#writing.isQuick && this.#thread?.isBusy !== true
    if (!isFree || (this.#own?.journalBytes ?? 0) > MOST_OWN_BYTES) return undefined
    const own = this.#own ?? new FileWriter(this.#threadData(), OWN_ROOM_BYTES)
    this.#own = own
    return this.#writing.time(() => own.write(records))
  }

  async #ask(request: Parameters<HelperThread['ask']>[0]) {
    try {
      const thread = this.#started()
      if (thread?.isReady !== true) return undefined
      const answer = await thread.ask(request)
      this.#idle?.refresh()
      return answer
    } catch (error) {
      if (error instanceof HelperGoneError) return undefined
      throw error
    }
  }

  #readOne(path: string, isOwn: boolean): ReadResult | Promise<ReadResult> {
    const { most } = this.#init
    if (!isOwn || !this.#reading.isQuick) return readSmallFile(path, most)
    return this.#reading.time(() => readSmallFileSync(path, most, { mayChange: true }))
  }

  async #writeOne(hash: Hash, bytes: Uint8Array): Promise<string> {
    const { context } = this.#init
    const path = context.temp.newPath()
    const version = await writeSmallFile(path, bytes, context.isSynced)
    try {
      await rename(path, context.layout.data(hash))
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
    await context.dataSync.sync()
    return version
  }
}

function isFailure(result: object | string): result is Failure {
  return typeof result === 'object' && 'message' in result
}
