/**
 * The files that a path stands for when it is shared.
 *
 * A file stands for itself; so does a symbolic link that was named by the user. In a folder every regular file counts, hidden
 * ones too. Symbolic links in it are skipped, since they may lead anywhere, and so are devices, sockets and pipes. Folders have
 * no place in a collection: an empty one leaves no trace. Nor have permissions and times: what comes out is as if it were new.
 */
import type { Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { basename, resolve, sep } from 'node:path'
import { Breather } from '../store/breather.ts'
import { eachInTurns } from '../store/each-in-turns.ts'
import { StoreError } from '../store/errors.ts'
import { explained } from '../store/fs-errors.ts'
import { sortInTurns } from '../store/sort-in-turns.ts'
import { forEachBounded } from './bounded.ts'

/** Files that are looked at at the same time. Raising it helps on network drives only. */
const STAT_CONCURRENCY = 16

/** Entries of a folder that the system is asked for at once. */
const ENTRIES = 1024

/** A folder that changes is read so many times at most. */
const MOST_READINGS = 3

/** Milliseconds within which two changes may leave the same time. */
const TICK_MS = 20

/** There is no file in what is to be shared. */
export class NothingToShareError extends Error {
  override readonly name = 'NothingToShareError'
  readonly code = 'ERR_NOTHING_TO_SHARE'

  constructor(path: string) {
    super(`there is no file in ${path}: a collection is made of files, empty folders cannot be shared`)
  }
}

/** Files to be shared. There may be millions of them: of each, its name and size are in memory, and nothing else. */
export interface Source {
  readonly kind: 'file' | 'folder'
  /** The last part of its path; empty for the root of a file system. */
  readonly name: string
  /**
   * What each file is called in a collection: relative, with `/`; in a folder it begins with the folder's name. Sorted, in the order of
   * UTF-16 units.
   */
  readonly names: readonly string[]
  /** Bytes of each file, by now. */
  readonly sizes: Float64Array
  readonly pathOf: (index: number) => string
}

export interface WalkOptions {
  readonly signal?: AbortSignal | undefined
  /** Told what is left out, and what it is: `a symbolic link`. */
  readonly onSkip?: ((path: string, kind: string) => void) | undefined
}

/**
 * @throws NothingToShareError, and StoreError when something cannot be read
 */
export async function walkSource(path: string, options: WalkOptions = {}): Promise<Source> {
  const name = basename(resolve(path))
  const stats = await explained(`cannot read ${path}`, () => stat(path))
  if (stats.isFile()) {
    return { kind: 'file', name, names: [name], sizes: Float64Array.of(stats.size), pathOf: () => path }
  }
  if (!stats.isDirectory())
    throw new StoreError(`${path} is neither a file nor a folder; only those can be shared`)
  const found: string[] = []
  await walk(path, name, found, options)
  if (found.length === 0) throw new NothingToShareError(path)
  const breather = new Breather(options.signal)
  const breathe = () => breather.breathe()
  const names: string[] = []
  const addOnce = (file: string): void => {
    if (file !== names.at(-1)) names.push(file)
  }
  // Of a folder that was read more than once, or was changed meanwhile.
  await eachInTurns(await sortInTurns(found, byUnits, breathe), addOnce, breathe)
  const prefix = below(name, '').length
  const pathOf = (index: number): string => inside(path, names[index]!.slice(prefix))
  const sizes = new Float64Array(names.length)
  const lookAt = async (index: number): Promise<void> => {
    const file = pathOf(index)
    sizes[index] = (await explained(`cannot read ${file}`, () => stat(file))).size
  }
  await forEachBounded(names.keys(), STAT_CONCURRENCY, lookAt, options.signal)
  return { kind: 'folder', name, names, sizes, pathOf }
}

async function walk(folder: string, name: string, names: string[], options: WalkOptions): Promise<void> {
  options.signal?.throwIfAborted()
  const { folders, others } = await readStill(folder, name, names, options)
  for (const { name: other, kind } of others) options.onSkip?.(inside(folder, other), kind)
  for (const inner of folders) await walk(inside(folder, inner), below(name, inner), names, options)
}

interface NotFiles {
  readonly folders: string[]
  readonly others: { readonly name: string; readonly kind: string }[]
}

/**
 * Adds the files in a folder to `names`, without what is in the folders below, which come when it has been read to its end: a file that
 * is replaced meanwhile, as many programs save theirs, is not told of by some file systems (tmpfs), though it was there all the
 * time. So a folder that has changed meanwhile is read anew, and what was told of once counts: most names come twice then.
 */
async function readStill(
  folder: string,
  name: string,
  names: string[],
  { signal }: WalkOptions
): Promise<NotFiles> {
  for (let reading = 1; ; reading++) {
    signal?.throwIfAborted()
    const begun = Date.now()
    const changed = await changedAt(folder)
    const found = await readOnce(folder, name, names)
    const isStill = (await changedAt(folder)) === changed && changed < begun - TICK_MS
    if (isStill || reading === MOST_READINGS) return found
  }
}

async function readOnce(folder: string, name: string, names: string[]): Promise<NotFiles> {
  const found: NotFiles = { folders: [], others: [] }
  for await (const entry of entriesOf(folder)) {
    if (entry.isDirectory()) found.folders.push(entry.name)
    else if (entry.isFile()) names.push(below(name, entry.name))
    else found.others.push({ name: entry.name, kind: kindOf(entry) })
  }
  return found
}

/** In ms since 1970. */
async function changedAt(folder: string): Promise<number> {
  return (await explained(`cannot read ${folder}`, () => stat(folder))).mtimeMs
}

/** Some at a time, as there may be a million. */
async function* entriesOf(folder: string): AsyncGenerator<Dirent, void, undefined> {
  const what = `cannot read ${folder}`
  const entries = await explained(what, () => opendir(folder, { bufferSize: ENTRIES }))
  try {
    for (;;) {
      const entry = await explained(what, () => entries.read())
      if (entry === null) return
      yield entry
    }
  } finally {
    await entries.close()
  }
}

function byUnits(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** As the system goes there: without the name before a `..`, which may be a symbolic link, it would be another place. */
function inside(folder: string, path: string): string {
  return folder.endsWith('/') || folder.endsWith(sep) ? folder + path : `${folder}${sep}${path}`
}

/** The root of a file system has no name. */
function below(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

function kindOf(entry: Dirent): string {
  if (entry.isSymbolicLink()) return 'a symbolic link'
  if (entry.isSocket()) return 'a socket'
  if (entry.isFIFO()) return 'a pipe'
  return 'a device'
}
