/** Where a file or folder is to be written: the rule of `-o`. */
import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { StoreError } from '../store/errors.ts'
import { explained } from '../store/fs-errors.ts'

export interface Place {
  /** The folder it is to be in, as an absolute path. */
  readonly folder: string
  /** What it is to be called; undefined for its own name. */
  readonly name: string | undefined
}

/** Reads an output path: `a/b` is a name, `a/b/` a folder to write into, as are `.` and `..`. */
export function placeOf(output = './'): Place {
  if (/(^|[/\\])\.{0,2}$/.test(output)) return { folder: resolve(output), name: undefined }
  return { folder: dirname(resolve(output)), name: basename(output) }
}

/** The absolute path of what is called `ownName` unless the place has a name for it. */
export function pathOf({ folder, name }: Place, ownName: string): string {
  return join(folder, name ?? ownName)
}

/** @throws StoreError when the folder is not there */
export async function requireFolder({ folder }: Place): Promise<void> {
  const stats = await explained(`cannot write into ${folder}`, () => stat(folder))
  if (!stats.isDirectory()) throw new StoreError(`cannot write into ${folder}: it is not a folder`)
}
