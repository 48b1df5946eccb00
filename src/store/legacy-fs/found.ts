/** What the files of a blob say. Asked anew every time: another process may have changed them. */
import { outboardBytes } from '../../bao/geometry.ts'
import { EMPTY_HASH, type Hash } from '../../hash.ts'
import { fileStats, statIfThere, versionOf } from '../stats.ts'
import { type Claim, type Identity, isAbout, type Lengths, readClaim } from './claim.ts'
import type { Layout } from './layout.ts'

export interface FoundComplete {
  readonly state: 'complete'
  /** Bytes. */
  readonly size: number
  /** Whether the outboard is there and has the length it must have. If not, it has to be computed from the data. */
  readonly hasOutboard: boolean
  /** That of the data file, see {@link versionOf}. */
  readonly version: string
}

export interface FoundPartial {
  readonly state: 'partial'
  readonly claim: Claim
}

export type Found = FoundComplete | FoundPartial | { readonly state: 'absent' }

const ABSENT = { state: 'absent' } as const

/**
 * What is there of a blob.
 *
 * The blob may be completed by another process between two looks; `.data` is there at the latest when the partial files are
 * not. Hence the first look at these, and the last at that.
 */
export async function find(layout: Layout, hash: Hash): Promise<Found> {
  const mayBePartial = fileStats(layout.partialData(hash)) !== undefined
  const complete = findComplete(layout, hash)
  if (complete !== undefined || !mayBePartial) return complete ?? ABSENT
  return (await findPartial(layout, hash)) ?? findComplete(layout, hash) ?? ABSENT
}

/** Whether there is nothing of a blob, also not of one that was completed in between: see {@link find}. */
export function isAbsent(layout: Layout, hash: Hash): boolean {
  return fileStats(layout.partialData(hash)) === undefined && findComplete(layout, hash) === undefined
}

/** The complete blob, if there is a `.data` that nobody calls partial. */
export function findComplete(layout: Layout, hash: Hash): FoundComplete | undefined {
  const stats = fileStats(layout.data(hash))
  if (stats === undefined) return undefined
  for (const marker of layout.foreignMarkers(hash)) {
    if (statIfThere(marker) !== undefined) return undefined
  }
  const size = Number(stats.size)
  // A file of nothing is not a blob of this hash, whoever put it there.
  if (size === 0 && !hash.equals(EMPTY_HASH)) return undefined
  const wanted = outboardBytes(size)
  const hasOutboard = wanted === 0 || Number(fileStats(layout.outboard(hash))?.size) === wanted
  return { state: 'complete', size, hasOutboard, version: versionOf(stats) }
}

/** The partial blob, if it has a claim that is about the files that are there. */
export async function findPartial(layout: Layout, hash: Hash): Promise<FoundPartial | undefined> {
  // Of most blobs that are asked for nothing is there.
  if (fileStats(layout.partialData(hash)) === undefined) return undefined
  const [claim, files] = await Promise.all([readClaim(layout, hash), findPartialFiles(layout, hash)])
  if (claim === undefined || files === undefined || !isAbout(claim, files.identity, files.lengths))
    return undefined
  return { state: 'partial', claim }
}

export interface PartialFilesFound {
  readonly identity: Identity
  readonly lengths: Lengths
}

/** The two files of a partial blob. Between the two renames that complete it, the outboard has its final name already. */
export async function findPartialFiles(layout: Layout, hash: Hash): Promise<PartialFilesFound | undefined> {
  const [data, part, whole] = await Promise.all([
    fileStats(layout.partialData(hash)),
    fileStats(layout.partialOutboard(hash)),
    fileStats(layout.outboard(hash))
  ])
  const outboard = part ?? whole
  if (data === undefined || outboard === undefined) return undefined
  return {
    identity: { data: data.ino, outboard: outboard.ino },
    lengths: { data: data.size, outboard: outboard.size }
  }
}
