/** Where the objects of a folder are. */
import type { Stats } from 'node:fs'
import { lstatSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errorCode } from '../../../fs-errors.ts'
import { StorageError } from '../errors.ts'

export class Paths {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  /** The file of a key. @throws StorageError when there is a symbolic link on the way to it */
  file(key: string): string {
    const path = join(this.root, key)
    this.#checkFolders(key)
    return path
  }

  /** The folder, or undefined when there is none. @param key that of the folder; empty for the root */
  folder(key: string): string | undefined {
    const path = join(this.root, key)
    this.#checkFolders(key)
    return key === '' || look(path)?.isDirectory() ? path : undefined
  }

  /** What is known of the object; undefined when there is none. */
  stats(key: string): Stats | undefined {
    const stats = look(this.file(key))
    return stats?.isFile() ? stats : undefined
  }

  /** The folders between a file or folder and the root, which is the last. */
  *above(path: string): Generator<string, void, undefined> {
    for (let folder = dirname(path); folder.length > this.root.length; folder = dirname(folder)) yield folder
    yield this.root
  }

  #checkFolders(key: string): void {
    for (let end = key.indexOf('/'); end >= 0; end = key.indexOf('/', end + 1)) {
      const path = join(this.root, key.slice(0, end))
      const stats = look(path)
      if (stats === undefined) return
      if (stats.isSymbolicLink()) {
        throw new StorageError(`${path} is a symbolic link, which is not followed; put a folder in its place`)
      }
    }
  }
}

/** Looked at synchronously, for the reason that `stats.ts` of the stores gives. */
export function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    // Something on the way is a file: there is nothing below it.
    if (errorCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}
