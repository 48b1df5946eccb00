/** Files come into the tree of folders and go, and folders with them, whatever others do at the same time. */
import { mkdir, rename, rmdir, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCode, isNotFound } from '../../../fs-errors.ts'
import type { FolderSyncs } from './folder-syncs.ts'
import { look, type Paths } from './paths.ts'

/** How often others may remove a folder before we can put something into it. */
const MOST_TRIES = 1000

/** Files that are deleted at once: as many as the `blobs` command gives Node threads for files. */
const AT_ONCE = 16

/** What is said of a name that nothing has: also that what is above it is a file. */
const NOTHING = new Set(['ENOENT', 'ENOTDIR'])

export class Tree {
  readonly #paths: Paths
  readonly #syncs: FolderSyncs

  constructor(paths: Paths, syncs: FolderSyncs) {
    this.#paths = paths
    this.#syncs = syncs
  }

  /**
   * Makes a file the object of a key, in place of one that is there already.
   *
   * @param missing what to throw when the file is not there
   * @param isFolderLasting whether the folder that it goes to is known to be on disk: then only what is in it has to be waited for
   */
  async place(file: string, key: string, missing: () => Error, isFolderLasting = false): Promise<void> {
    const path = this.#paths.file(key)
    for (let tries = 1; ; tries++) {
      try {
        await rename(file, path)
        break
      } catch (error) {
        if (!isNotFound(error) || tries === MOST_TRIES) throw error
        if (look(file) === undefined) throw missing()
      }
      await this.#makeFolders(path)
    }
    await this.#syncs.sync(isFolderLasting ? [dirname(path)] : this.#paths.above(path))
  }

  /** Gives an object another key. @param missing what to throw when there is no such object */
  async move(from: string, to: string, missing: () => Error): Promise<void> {
    if (this.#paths.stats(from) === undefined) throw missing()
    if (from === to) return
    const path = this.#paths.file(from)
    await this.place(path, to, missing)
    await this.#syncs.sync(await this.#removeEmpty([dirname(path)]))
  }

  /** Deletes objects that may be there, and the folders that are empty then. */
  async delete(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const folders = new Set<string>()
    await someAtOnce(keys, async key => {
      signal?.throwIfAborted()
      const path = this.#paths.file(key)
      if (await isDeleted(path)) folders.add(dirname(path))
    })
    await this.#syncs.sync(await this.#removeEmpty(folders))
  }

  /**
   * Makes the folders that a file needs, but not the root: when that has gone, something is wrong. Where others remove folders
   * at this very moment, they may still not be there afterwards.
   */
  async #makeFolders(path: string): Promise<void> {
    const folders = [...this.#paths.above(path)].slice(0, -1)
    for (const folder of folders.reverse()) {
      try {
        await mkdir(folder)
      } catch (error) {
        if (isNotFound(error)) return
        if (errorCode(error) !== 'EEXIST') throw error
      }
    }
  }

  /** @returns the folders that have changed and stayed */
  async #removeEmpty(folders: Iterable<string>): Promise<Set<string>> {
    const stayed = new Set<string>()
    await someAtOnce(folders, async folder => {
      let rest = folder
      while (rest !== this.#paths.root && (await isRemoved(rest))) rest = dirname(rest)
      stayed.add(rest)
    })
    return stayed
  }
}

/** @returns whether there was such a file */
async function isDeleted(path: string): Promise<boolean> {
  try {
    await unlink(path)
    return true
  } catch (error) {
    // A folder is no object, either: which error it gives depends on the system.
    if (NOTHING.has(errorCode(error) ?? '') || look(path)?.isDirectory()) return false
    throw error
  }
}

/** Removes a folder that is empty. @returns whether it is not there any more */
async function isRemoved(folder: string): Promise<boolean> {
  try {
    await rmdir(folder)
    return true
  } catch (error) {
    // Otherwise there is something in it, which is the rule, or it cannot be removed, which does no harm.
    return isNotFound(error)
  }
}

/** Does something with each item, some at once. When it fails, the others that have begun are waited for. */
async function someAtOnce<T>(items: Iterable<T>, action: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]()
  const lane = async () => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) await action(next.value)
  }
  const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
