/**
 * A folder's entries in ascending order, in bounded memory: the file system has them in no order, and there may be millions.
 * They are read through, and those that come first are kept; when those have been taken, they are read through again, for
 * those that come next.
 */
import { type Dir, opendirSync } from 'node:fs'
import { errorCode } from '../../../fs-errors.ts'
import { isKeyPart } from '../checks.ts'
import type { Breather } from './breather.ts'

/** Names that are kept at once, at least: twice as many take about 20 MB. A folder of so many more is read through once more. */
export const KEPT_NAMES = 128 * 1024

/** Entries that the system is asked for at once. */
const READ_AT_ONCE = 512

/**
 * The names of a folder's entries that can be a part of a key: of files as they are, of folders with a `/` behind, which is
 * how their keys go on, and what decides about their order: `a-b` comes before `a/b`, and that before `a0`.
 *
 * @param prefix only names that begin so
 * @param after only names that come after this one, or folders that it leads into
 * @param kept how many to keep at once
 */
export async function* sortedEntries(
  path: string,
  prefix: string,
  after: string,
  breather: Breather,
  kept = KEPT_NAMES
): AsyncGenerator<string, void, undefined> {
  const isWanted = (name: string) =>
    name.startsWith(prefix) && (name > after || (name.endsWith('/') && after.startsWith(name)))
  let last = ''
  for (;;) {
    const first = new FirstNames(kept)
    await readThrough(path, breather, name => {
      if (name > last && isWanted(name)) first.add(name)
    })
    const names = first.sorted()
    yield* names
    if (first.isAll || names.length === 0) return
    last = names.at(-1)!
  }
}

async function readThrough(path: string, breather: Breather, onName: (name: string) => void): Promise<void> {
  const folder = openFolder(path)
  if (folder === undefined) return
  try {
    let entry = folder.readSync()
    for (let i = 0; entry !== null; i++, entry = folder.readSync()) {
      if (i % READ_AT_ONCE === 0) await breather.breathe()
      if (!isKeyPart(entry.name)) continue
      if (entry.isFile()) onName(entry.name)
      else if (entry.isDirectory()) onName(`${entry.name}/`)
    }
  } finally {
    folder.closeSync()
  }
}

/** @returns undefined when there is no such folder (any more) */
function openFolder(path: string): Dir | undefined {
  try {
    return opendirSync(path, { bufferSize: READ_AT_ONCE })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}

/** The first of many names. */
class FirstNames {
  readonly #most: number
  #names: string[] = []
  /** Names above this one are not among the first. */
  #bound: string | undefined

  constructor(most: number) {
    this.#most = most
  }

  /** Whether none has been left out. */
  get isAll(): boolean {
    return this.#bound === undefined
  }

  add(name: string): void {
    if (this.#bound !== undefined && name > this.#bound) return
    this.#names.push(name)
    if (this.#names.length < 2 * this.#most) return
    this.#names = this.sorted().slice(0, this.#most)
    this.#bound = this.#names.at(-1)
  }

  sorted(): string[] {
    return this.#names.sort()
  }
}
