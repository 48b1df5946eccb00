/**
 * A folder's entries in ascending order, in bounded memory: the file system has them in no order, and there may be millions.
 * They are read through, and those that come first are kept; when those have been taken, they are read through again, for
 * those that come next.
 */
import { type Dir, opendirSync } from 'node:fs'
import type { Breather } from '../../../breather.ts'
import { errorCode } from '../../../fs-errors.ts'
import { isKeyPart } from '../checks.ts'

/** Names that are kept at once; they take about 15 MB. A folder is read through once for each so many that it has. */
const KEPT_NAMES = 128 * 1024

/** Names that are gathered before they are put into order: few, because nobody else has a turn meanwhile. */
const GATHERED_NAMES = 16 * 1024

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
  /** In order. */
  readonly #names: string[] = []
  readonly #gathered: string[] = []
  #hasLeftOut = false

  constructor(most: number) {
    this.#most = most
  }

  /** Whether none has been left out. */
  get isAll(): boolean {
    return !this.#hasLeftOut
  }

  add(name: string): void {
    if (this.#names.length === this.#most && name > this.#names.at(-1)!) this.#hasLeftOut = true
    else if (this.#gathered.push(name) === Math.min(GATHERED_NAMES, this.#most)) this.#sort()
  }

  sorted(): readonly string[] {
    this.#sort()
    return this.#names
  }

  #sort(): void {
    mergeInto(this.#names, this.#gathered.sort())
    this.#gathered.length = 0
    if (this.#names.length <= this.#most) return
    this.#hasLeftOut = true
    this.#names.length = this.#most
  }
}

/** Puts the names of `more` into `names`; both are in order. From the end on, so that it takes no other memory. */
function mergeInto(names: string[], more: readonly string[]): void {
  let left = names.length - 1
  let at = names.length + more.length
  names.length = at
  for (let i = more.length - 1; i >= 0; i--) {
    while (left >= 0 && names[left]! > more[i]!) names[--at] = names[left--]!
    names[--at] = more[i]!
  }
}
