/**
 * Lists what is in the data folder, which may hold hundreds of thousands of blobs.
 *
 * Files are looked at synchronously, which is an order of magnitude faster than asking a thread for each, but never for
 * long without letting others have their turn.
 */
import { lstatSync } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { EMPTY_HASH, Hash } from '../../hash.ts'
import { explained } from '../fs-errors.ts'
import type { BlobInfo, BlobStatus } from '../index.ts'
import { type Layout, parseName } from './layout.ts'

/** Longest time in milliseconds without giving others their turn. */
const TURN_MS = 5

/** Entries that are read from the folder at once. */
const ENTRIES = 1024

/**
 * @param status looks a blob up, for those that a glance at the folder does not suffice for
 * @param check throws when it is time to stop
 */
export async function* listBlobs(
  layout: Layout,
  status: (hash: Hash) => Promise<BlobStatus>,
  check: () => void
): AsyncGenerator<BlobInfo, void, undefined> {
  // First those that are partial, so that one that is completed meanwhile is neither missed nor listed twice.
  const partialOnes = new Set<string>()
  const foreignOnes = new Set<string>()
  for await (const { hex, kind } of entries(layout, check)) {
    if (kind === 'partial') partialOnes.add(hex)
    else if (kind === 'foreign-marker') foreignOnes.add(hex)
  }
  for (const hex of partialOnes) {
    check()
    const hash = Hash.parse(hex)
    const held = await status(hash)
    if (held.state === 'absent') partialOnes.delete(hex)
    else yield { hash, status: held, changedAt: changedAt(layout.ranges(hash)) }
  }
  for await (const { hex, kind } of entries(layout, check)) {
    if (kind !== 'data' || partialOnes.has(hex) || foreignOnes.has(hex)) continue
    const hash = Hash.parse(hex)
    const found = glance(layout, hash)
    if (found === undefined) continue
    yield { hash, status: { state: 'complete', size: found.size }, changedAt: found.changedAt }
  }
}

async function* entries(
  layout: Layout,
  check: () => void
): AsyncGenerator<NonNullable<ReturnType<typeof parseName>>, void, undefined> {
  const folder = await explained(`cannot list ${layout.dataFolder}`, () =>
    opendir(layout.dataFolder, { bufferSize: ENTRIES })
  )
  let turnEnd = performance.now() + TURN_MS
  for await (const { name } of folder) {
    check()
    if (performance.now() > turnEnd) {
      await setImmediate()
      turnEnd = performance.now() + TURN_MS
    }
    const entry = parseName(name)
    if (entry !== undefined) yield entry
  }
}

/** Size in bytes of a complete blob, and when it came, as far as its file tells. */
function glance(layout: Layout, hash: Hash): { size: number; changedAt: number } | undefined {
  const stats = lstatSync(layout.data(hash), { throwIfNoEntry: false })
  if (stats === undefined || !stats.isFile() || hash.equals(EMPTY_HASH) || stats.size === 0) return undefined
  return { size: stats.size, changedAt: stats.mtimeMs }
}

/** Of what has just gone, now: it was completed or replaced. */
function changedAt(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
}
