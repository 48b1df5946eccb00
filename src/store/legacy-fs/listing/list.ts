/**
 * Lists what is in the data folder, which may hold hundreds of thousands of blobs.
 *
 * Files are looked at synchronously, which is an order of magnitude faster than asking a thread for each, but never for
 * long without letting others have their turn. Of many, a thread looks at half.
 */
import { lstatSync } from 'node:fs'
import { EMPTY_HASH, Hash } from '../../../hash.ts'
import { Breather } from '../../breather.ts'
import type { BlobInfo, BlobStatus } from '../../index.ts'
import { isDataName, type Layout, parseName } from '../layout.ts'
import { BATCH, namesIn } from './names.ts'
import { Page } from './page.ts'
import { SecondLook } from './second-look.ts'

/** Blobs that are looked at together. */
const PAGE = 1024

/** Of fewer blobs, most would be listed before a thread has started. */
const WORTH_A_THREAD = 16_384

/** What is known after a first look at the folder. */
interface Survey {
  readonly partialOnes: Set<string>
  readonly foreignOnes: Set<string>
}

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
  let secondLook: SecondLook | undefined
  try {
    // First those that are partial, so that one that is completed meanwhile is neither missed nor listed twice.
    const { partialOnes, foreignOnes } = await survey(layout, check, () => {
      secondLook = SecondLook.start(layout.dataFolder)
    })
    for (const hex of partialOnes) {
      check()
      const hash = Hash.parse(hex)
      const held = await status(hash)
      if (held.state === 'absent') partialOnes.delete(hex)
      else yield { hash, status: held, changedAt: changedAt(layout.ranges(hash)) }
    }
    const breather = new Breather(undefined)
    const isComplete = (hex: string) => !partialOnes.has(hex) && !foreignOnes.has(hex)
    for await (const page of pagesAhead(pagesOf(layout, isComplete), secondLook)) {
      for (const [place, hex] of page.hexes.entries()) {
        if (place % BATCH === 0) await breather.breathe()
        check()
        const found = page.at(place)
        if (found === undefined) continue
        const { size, changedAt } = found
        yield { hash: Hash.parse(hex), status: { state: 'complete', size }, changedAt }
      }
    }
  } finally {
    await secondLook?.end()
  }
}

/** @param onMany told as soon as it is known that there are many blobs */
async function survey(layout: Layout, check: () => void, onMany: () => void): Promise<Survey> {
  const partialOnes = new Set<string>()
  const foreignOnes = new Set<string>()
  let count = 0
  for await (const names of namesIn(layout)) {
    check()
    for (const name of names) {
      if (isDataName(name)) {
        if (++count === WORTH_A_THREAD) onMany()
        continue
      }
      const entry = parseName(name)
      if (entry?.kind === 'partial') partialOnes.add(entry.hex)
      else if (entry?.kind === 'foreign-marker') foreignOnes.add(entry.hex)
    }
  }
  return { partialOnes, foreignOnes }
}

/** Each page is read before the one before it is listed, so that the thread does not wait for who lists them. */
async function* pagesAhead(
  pages: AsyncIterable<Page>,
  secondLook: SecondLook | undefined
): AsyncGenerator<Page, void, undefined> {
  let before: Page | undefined
  for await (const page of pages) {
    secondLook?.take(page)
    if (before !== undefined) yield before
    before = page
  }
  if (before !== undefined) yield before
}

/** Blobs that have a file for their data. */
async function* pagesOf(
  layout: Layout,
  isWanted: (hex: string) => boolean
): AsyncGenerator<Page, void, undefined> {
  const empty = EMPTY_HASH.toString()
  let hexes: string[] = []
  for await (const names of namesIn(layout)) {
    for (const name of names) {
      if (!isDataName(name)) continue
      const entry = parseName(name)
      if (entry?.kind === 'data' && entry.hex !== empty && isWanted(entry.hex)) hexes.push(entry.hex)
    }
    if (hexes.length < PAGE) continue
    yield new Page(layout.dataFolder, hexes)
    hexes = []
  }
  if (hexes.length > 0) yield new Page(layout.dataFolder, hexes)
}

/** Of what has just gone, now: it was completed or replaced. */
function changedAt(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
}
