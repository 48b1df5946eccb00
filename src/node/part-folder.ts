/**
 * The folder in which a transfer is kept until it is whole: `.blobs-<16 digits of the hash>.part` beside the target (of a
 * path in a collection, 16 digits that stand for both). It survives when the transfer ends early, so that the next one goes on.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Hash } from '../hash.ts'
import { errorCode, explained, isNotFound } from '../store/fs-errors.ts'
import type { BlobStore, WaitOptions } from '../store/index.ts'
import { LegacyFsStore } from '../store/legacy-fs/index.ts'
import { isRunning } from '../store/processes.ts'
import { nameOfHash } from './export-plan.ts'

/** Another process is receiving the same blob in the same place. */
export class PartFolderInUseError extends Error {
  override readonly name = 'PartFolderInUseError'
  readonly code = 'ERR_IN_USE'

  constructor(path: string, pid: number) {
    super(
      `process ${pid} is receiving the same into ${path}; wait for it, or choose another place (if that process does something else, remove ${join(path, LOCK)})`
    )
  }
}

const STORE = 'store'
const TREE = 'tree'
const LOCK = 'lock'

export class PartFolder {
  readonly path: string
  readonly store: BlobStore
  /** Whether it was there before. */
  readonly isResumed: boolean

  private constructor(path: string, store: BlobStore, isResumed: boolean) {
    this.path = path
    this.store = store
    this.isResumed = isResumed
  }

  /**
   * Opens the folder, or makes it.
   *
   * @param place the folder in which the target will be
   * @throws PartFolderInUseError, StoreError
   */
  static async open(place: string, hash: Hash, options: WaitOptions = {}): Promise<PartFolder> {
    const path = join(place, `.blobs-${nameOfHash(hash)}.part`)
    const isNew = await explained(`cannot write into ${place}`, () => makeFolder(path))
    await explained(`cannot write into ${path}`, () => lock(path))
    try {
      const store = await LegacyFsStore.open(join(path, STORE))
      const folder = new PartFolder(path, store, !isNew)
      await folder.#reclaim(options)
      return folder
    } catch (error) {
      await rm(join(path, LOCK), { force: true })
      throw error
    }
  }

  /** Where the files are to be put together: not there yet. */
  get workFolder(): string {
    return join(this.path, TREE)
  }

  /** Removes all of it. */
  async remove(): Promise<void> {
    await this.store.close()
    await rm(this.path, { recursive: true, force: true })
  }

  /** Leaves what there is for the next time. */
  async leave(): Promise<void> {
    await this.store.close()
    await rm(join(this.path, LOCK), { force: true })
  }

  /** Takes back what was on its way out of the store when the last transfer was stopped. */
  async #reclaim(options: WaitOptions): Promise<void> {
    await explained(`cannot read ${this.workFolder}`, async () => {
      if (!(await isThere(this.workFolder))) return
      for (const entry of await readdir(this.workFolder, { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) await this.store.addPath(join(entry.parentPath, entry.name), options)
      }
      await rm(this.workFolder, { recursive: true })
    })
  }
}

/** @returns whether there was none */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 })
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Takes the lock, also from a process that is no more. Of several that do this at the same instant more than one may get it:
 * the store does not mind, and the target is still written by one only.
 */
async function lock(folder: string): Promise<void> {
  const path = join(folder, LOCK)
  for (;;) {
    try {
      await writeFile(path, `${process.pid}`, { flag: 'wx' })
      return
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    const pid = await holderOf(path)
    if (pid !== undefined && isRunning(pid)) throw new PartFolderInUseError(folder, pid)
    await rm(path, { force: true })
  }
}

/** Undefined when the lock has just gone, or nothing is written in it. */
async function holderOf(path: string): Promise<number | undefined> {
  try {
    const pid = Number(await readFile(path, 'utf8'))
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await readdir(path)
    return true
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}
