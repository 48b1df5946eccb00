/**
 * The journals of a folder: what keeps small blobs safe until their own files are on disk.
 *
 * Whoever adds many small blobs puts them into a journal of his own (`file-writer.ts`), which is on disk before he says that
 * they are there. The system writes their files by itself within half a minute or so; after that it costs next to nothing to
 * wait for each of them, and the journal is removed. That is done by the store that wrote it, or when it is gone, by the next
 * one that is open for long enough.
 *
 * - When the machine has been started anew in between, what a journal says is held against the files, and what they lack is
 *   made up. A record proves itself by its hash, so this can only make things right.
 * - Who deletes a blob says so beside each journal that there is, so that it does not come back: what is deleted is what stood
 *   in the journal up to then. Added anew after that, it stands further on, or in another journal. It is said when the file is
 *   gone: a file that can be seen is relied on. Who is killed in between leaves a blob that the journal brings back.
 */
import { readdirSync, renameSync } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { hashBytes } from '../../../bao/outboard.ts'
import { Hash } from '../../../hash.ts'
import { syncFolder } from '../../folders.ts'
import { isFull, isNotFound } from '../../fs-errors.ts'
import { Limiter } from '../../limiter.ts'
import { fateOf, LEASE_PATIENCE_MS } from '../../owners.ts'
import { writeSmallFile } from '../../small-file.ts'
import { fileStats } from '../../stats.ts'
import { thisBoot } from '../boot.ts'
import type { FsContext } from '../context.ts'
import { Gone, noteGone } from './gone.ts'
import {
  BOOT_BYTES,
  bootOf,
  gonePath,
  HEADER_BYTES,
  type JournalRecord,
  journalOfGone,
  ownerOf,
  recordsIn
} from './journal-format.ts'
import type { JournalPlace } from './messages.ts'

/** Milliseconds after its last record at which a journal is retired: Linux writes what is older than 30 seconds, every 5. */
const RETIRE_AFTER_MS = 45_000

/** Milliseconds after which the system has written a file for sure. */
const ON_DISK_AFTER_MS = 120_000

/** Milliseconds between two looks at what may be retired. */
const LOOK_MS = 15_000

/** Blobs that are made up at the same time. */
const MOST_AT_ONCE = 32

export interface JournalsKeeper {
  /** The open store's name, see `owners.ts`. */
  readonly owner: string
  /** Puts on disk what a journal speaks of, and removes it. `isDoubtful`: it has failed before, no file can be trusted. */
  readonly retire: (journal: string, isDoubtful: boolean) => Promise<void>
}

export class Journals {
  readonly #context: Omit<FsContext, 'journals' | 'mutex'>
  readonly #unsynced = new Set<string>()
  #syncing: Promise<void> | undefined
  /** Journals that could not be retired: the system tells only once of what it could not write. */
  readonly #doubtful = new Set<string>()
  #keeper: JournalsKeeper | undefined
  #looking: NodeJS.Timeout | undefined
  readonly #forgetting = new Limiter(1)
  #isRetiring = false
  #places = 0

  constructor(context: Omit<FsContext, 'journals' | 'mutex'>) {
    this.#context = context
  }

  /** Makes up what a power failure has taken from the files. To be called before anything is looked for. */
  async replay(): Promise<void> {
    const { journalFolder, root } = this.#context.layout
    for (const { path, owner } of this.#found()) {
      // There may be a GiB of them, and mostly there is nothing to be made up.
      const header = await readIfThere(path, HEADER_BYTES)
      if (header === undefined || !isOfOtherBoot(header) || fateOf(owner) === 'open') continue
      const journal = await readIfThere(path)
      if (journal === undefined) continue
      try {
        await this.#makeUp(path, journal)
      } catch (error) {
        if (!isFull(error)) throw error
        this.#context.notice(
          `there is no room in ${root} to make up what the last power failure may have taken; it is kept in ${journalFolder}: make room and open the store again`
        )
        continue
      }
      if (await this.#isNobodys(path, owner)) await remove(path)
    }
    await this.#removeStray()
  }

  /** Retires from now on what this store has written, and what those that are gone have left. */
  keep(keeper: JournalsKeeper): void {
    this.#keeper = keeper
    if (this.#found().length > 0) this.#lookLater()
  }

  /** A place for the journals of a thread; undefined when nothing has to be on disk. */
  newPlace(): JournalPlace | undefined {
    if (!this.#context.isSynced || this.#keeper === undefined) return undefined
    this.#lookLater()
    return {
      folder: this.#context.layout.journalFolder,
      prefix: `${this.#keeper.owner}-${this.#places++}`,
      boot: thisBoot() ?? new Uint8Array(BOOT_BYTES)
    }
  }

  /** Says that a blob has been deleted. To be called when its file is gone; on disk after `sync`. */
  async forget(hash: Hash): Promise<void> {
    // With a hundred journals it takes milliseconds, and hundreds may be deleted at the same time: each has a turn of its own.
    await this.#forgetting.run(async () => {
      await nextTurn()
      this.#noteGone(hash)
    })
  }

  /**
   * Whether what journals say of a blob may count no more though its file is there, and is not on disk for sure: it was added while
   * it was being deleted, and who was deleting it has been killed in between. Older versions said that it is gone before it was.
   */
  mayBeInVain(hash: Hash): boolean {
    const { isSynced, layout } = this.#context
    if (!isSynced) return false
    const stats = fileStats(layout.data(hash))
    if (stats === undefined || Date.now() - Number(stats.mtimeMs) > ON_DISK_AFTER_MS) return false
    return readdirSync(layout.journalFolder).some(name => journalOfGone(name) !== undefined)
  }

  /** Waits until what was said is on disk. */
  async sync(): Promise<void> {
    if (!this.#context.isSynced) return
    // The one under way may have taken what we wait for.
    const before = this.#syncing?.catch(() => undefined)
    const syncing = before === undefined ? this.#sync() : before.then(() => this.#sync())
    this.#syncing = syncing
    try {
      await syncing
    } finally {
      if (this.#syncing === syncing) this.#syncing = undefined
    }
  }

  #noteGone(hash: Hash): void {
    let isNoted = false
    for (const { path } of this.#found()) {
      const size = fileStats(path)?.size
      // One that holds nothing says nothing of it.
      if (size === undefined || size <= HEADER_BYTES) continue
      noteGone(path, hash, Number(size))
      this.#unsynced.add(gonePath(path))
      isNoted = true
    }
    // Who has asked before whether a record counts, and is about to give it its file, finds that gone; or has done so by now.
    if (isNoted) this.#context.temp.removeFor(hash.toString())
  }

  async #sync(): Promise<void> {
    const paths = [...this.#unsynced]
    if (paths.length === 0) return
    this.#unsynced.clear()
    try {
      for (const path of paths) await syncIfThere(path)
      await syncFolder(this.#context.layout.journalFolder)
    } catch (error) {
      for (const path of paths) this.#unsynced.add(path)
      throw error
    }
  }

  close(): void {
    clearInterval(this.#looking)
    this.#keeper = undefined
  }

  #found(): { path: string; owner: string }[] {
    const { journalFolder } = this.#context.layout
    return readdirSync(journalFolder).flatMap(name => {
      const owner = ownerOf(name)
      return owner === undefined ? [] : [{ path: join(journalFolder, name), owner }]
    })
  }

  /** Notes beside a journal that was removed while they were written. */
  async #removeStray(): Promise<void> {
    const { journalFolder } = this.#context.layout
    for (const name of readdirSync(journalFolder)) {
      const journal = journalOfGone(name)
      if (journal === undefined || fileStats(join(journalFolder, journal)) !== undefined) continue
      await rm(join(journalFolder, name), { force: true })
    }
  }

  #lookLater(): void {
    this.#looking ??= setInterval(() => void this.#retireOld(), LOOK_MS).unref()
  }

  async #retireOld(): Promise<void> {
    const keeper = this.#keeper
    if (keeper === undefined || this.#isRetiring) return
    this.#isRetiring = true
    try {
      for (const { path, owner } of this.#found()) {
        const isOurs = owner === keeper.owner || (await this.#isNobodys(path, owner))
        if (isOurs && (await isUntouchedFor(path, RETIRE_AFTER_MS))) await this.#retire(keeper, path)
      }
    } catch (error) {
      // Closed meanwhile: the next one that is open goes on.
      if (this.#keeper === undefined) return
      // Nothing is lost: what could not be put on disk stays in its journal.
      const reason = error instanceof Error ? error.message : String(error)
      this.#context.notice(
        `cannot put on disk what ${this.#context.layout.journalFolder} speaks of: ${reason}`
      )
    } finally {
      this.#isRetiring = false
    }
  }

  async #retire(keeper: JournalsKeeper, path: string): Promise<void> {
    const isDoubtful = this.#doubtful.has(path)
    this.#doubtful.add(path)
    await keeper.retire(path, isDoubtful)
    this.#doubtful.delete(path)
  }

  async #isNobodys(path: string, owner: string): Promise<boolean> {
    const fate = fateOf(owner)
    return fate === 'unknown' ? await isUntouchedFor(path, LEASE_PATIENCE_MS) : fate === 'ended'
  }

  async #makeUp(path: string, journal: Buffer): Promise<void> {
    const { layout } = this.#context
    const gone = new Gone(path)
    const limiter = new Limiter(MOST_AT_ONCE)
    const made: Promise<void>[] = []
    for (const record of recordsIn(journal, HEADER_BYTES)) {
      // The last one may be no more than what the disk held there before.
      if (!hashBytes(record.data).hash.bytes.every((byte, i) => byte === record.hash[i])) break
      made.push(limiter.run(() => this.#makeUpBlob(record, gone)))
    }
    // Nothing is to be under way when this ends.
    for (const ending of await Promise.allSettled(made)) if (ending.status === 'rejected') throw ending.reason
    await syncFolder(layout.dataFolder)
  }

  async #makeUpBlob(record: JournalRecord, gone: Gone): Promise<void> {
    const { layout, temp } = this.#context
    const { data } = record
    const target = layout.data(Hash.fromBytes(record.hash))
    const stats = fileStats(target)
    if (Number(stats?.size) === data.length && (await readIfThere(target))?.equals(data)) return
    if (!gone.counts(record)) return
    const made = temp.newPathFor(record.hash.toString('hex'))
    // Whatever this store waits for: the journal, which is removed, was to last.
    await writeSmallFile(made, data, true)
    try {
      // Another process may have opened the store meanwhile, made up all, and deleted it.
      if (gone.counts(record)) renameSync(made, target)
    } catch (error) {
      // It has done so since: see `forget`.
      if (!isNotFound(error) || gone.counts(record)) throw error
    } finally {
      await rm(made, { force: true })
    }
  }
}

function isOfOtherBoot(journal: Uint8Array): boolean {
  const boot = bootOf(journal)
  const now = thisBoot()
  return boot !== undefined && (now === undefined || !now.every((byte, i) => byte === boot[i]))
}

async function isUntouchedFor(path: string, ms: number): Promise<boolean> {
  const stats = fileStats(path)
  return stats !== undefined && Date.now() - Number(stats.mtimeMs) >= ms
}

async function remove(path: string): Promise<void> {
  await rm(path, { force: true })
  // A journal that comes back in a power failure must not come without what it says in vain.
  await syncFolder(dirname(path))
  await rm(gonePath(path), { force: true })
}

async function syncIfThere(path: string): Promise<void> {
  try {
    await using file = await open(path, 'r+')
    await file.sync()
  } catch (error) {
    // Retired meanwhile.
    if (!isNotFound(error)) throw error
  }
}

/** @param most bytes to read; without it, all of it is read */
async function readIfThere(path: string, most?: number): Promise<Buffer | undefined> {
  try {
    if (most === undefined) return await readFile(path)
    await using file = await open(path)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(most), 0, most, 0)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}
