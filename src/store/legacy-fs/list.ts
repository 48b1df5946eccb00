/**
 * Lists what is in the data folder, which may hold hundreds of thousands of blobs.
 *
 * Files are looked at synchronously, which is an order of magnitude faster than asking a thread for each, but never for
 * long without letting others have their turn.
 */
import { type Dir, lstatSync } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { EMPTY_HASH, Hash } from '../../hash.ts'
import { Breather } from '../breather.ts'
import { explained } from '../fs-errors.ts'
import type { BlobInfo, BlobStatus } from '../index.ts'
import { isDataName, type Layout, parseName } from './layout.ts'

/** Entries that the system is asked for at once. */
const ENTRIES = 1024

/** Entries between two looks at the clock. */
const BATCH = 64

/**
 * @param status looks a blob up, for those that a glance at the folder does not suffice for
 * @param check throws when it is time to stop
 */
export async function* listBlobs(
  layout: Layout,
  status: (hash: Hash) => Promise<BlobStatus>,
  check: () => void
): AsyncGenerator<BlobInfo, void, undefined> {
  check()
  // First those that are partial, so that one that is completed meanwhile is neither missed nor listed twice.
  const partialOnes = new Set<string>()
  const foreignOnes = new Set<string>()
  for await (const names of namesIn(layout)) {
    check()
    for (const name of names) {
      if (isDataName(name)) continue
      const entry = parseName(name)
      if (entry?.kind === 'partial') partialOnes.add(entry.hex)
      else if (entry?.kind === 'foreign-marker') foreignOnes.add(entry.hex)
    }
  }
  for (const hex of partialOnes) {
    check()
    const hash = Hash.parse(hex)
    const held = await status(hash)
    if (held.state === 'absent') partialOnes.delete(hex)
    else yield { hash, status: held, changedAt: changedAt(layout.ranges(hash)) }
  }
  for await (const names of namesIn(layout)) {
    for (const name of names) {
      check()
      if (!isDataName(name)) continue
      const entry = parseName(name)
      if (entry?.kind !== 'data' || partialOnes.has(entry.hex) || foreignOnes.has(entry.hex)) continue
      const hash = Hash.parse(entry.hex)
      const found = glance(layout, hash)
      if (found === undefined) continue
      yield { hash, status: { state: 'complete', size: found.size }, changedAt: found.changedAt }
    }
  }
}

/** The names in the data folder, some at a time. */
async function* namesIn({ dataFolder }: Layout): AsyncGenerator<readonly string[], void, undefined> {
  const what = `cannot list ${dataFolder}`
  const folder = await explained(what, () => opendir(dataFolder, { bufferSize: ENTRIES }))
  try {
    const breather = new Breather(undefined)
    for (;;) {
      const names = await explained(what, async () => nextNames(folder))
      if (names.length === 0) return
      yield names
      await breather.breathe()
    }
  } finally {
    await folder.close()
  }
}

function nextNames(folder: Dir): string[] {
  const names: string[] = []
  while (names.length < BATCH) {
    const entry = folder.readSync()
    if (entry === null) break
    names.push(entry.name)
  }
  return names
}

/** Size in bytes of a complete blob, and when it came, as far as its file tells. */
function glance(layout: Layout, hash: Hash): { size: number; changedAt: number } | undefined {
  const stats = lstatSync(layout.data(hash), { throwIfNoEntry: false })
  if (stats === undefined || !stats.isFile() || stats.size === 0 || hash.equals(EMPTY_HASH)) return undefined
  return { size: stats.size, changedAt: stats.mtimeMs }
}

/** Of what has just gone, now: it was completed or replaced. */
function changedAt(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
}
