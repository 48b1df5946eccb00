/** Opens what is held of a blob, while other processes may be completing or deleting it. */
import { fstatSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { groupCount, outboardBytes } from '../../bao/geometry.ts'
import type { Hash } from '../../hash.ts'
import { StoreError } from '../errors.ts'
import { type BlobFiles, openPair } from '../file-reader.ts'
import { isSameIdentity } from './claim.ts'
import type { FsContext } from './context.ts'
import type { FoundComplete } from './found.ts'
import type { Held } from './held.ts'
import { PartialFiles } from './partial-files.ts'

/**
 * Opens the files of a complete blob.
 *
 * @returns undefined when they are not, or no longer, what was found: look again
 */
export async function openComplete(
  { layout }: FsContext,
  hash: Hash,
  { size }: FoundComplete
): Promise<BlobFiles | undefined> {
  const hasOutboard = groupCount(size) > 1
  const files = await openPair(layout.data(hash), hasOutboard ? layout.outboard(hash) : undefined)
  if (files === undefined) return undefined
  const isRight = lengthOf(files.data) === size && lengthOf(files.outboard) === outboardBytes(size)
  if (isRight) return { hash, size, ...files }
  await closeAll(files)
  return undefined
}

/** The same for a partial blob. */
export async function openPartial(
  { layout }: FsContext,
  hash: Hash,
  { size, ranges, identity }: Held
): Promise<BlobFiles | undefined> {
  const files = await openPair(layout.partialData(hash), layout.partialOutboard(hash))
  if (files === undefined) return undefined
  const opened = await PartialFiles.of(files.data, files.outboard!)
  if (isSameIdentity(opened.identity, identity)) return { hash, size, held: ranges, ...files }
  await closeAll(files)
  return undefined
}

/** Synchronously, as in `stats.ts`: of a file that is open, the system knows it by heart. */
function lengthOf(file: FileHandle | undefined): number {
  return file === undefined ? 0 : fstatSync(file.fd).size
}

async function closeAll({
  data,
  outboard
}: {
  data: FileHandle
  outboard: FileHandle | undefined
}): Promise<void> {
  await Promise.all([data.close(), outboard?.close()])
}

/** Tries until it succeeds; each failure means that another process has changed something in between. */
export async function untilStill<T>(hash: Hash, attempt: () => Promise<T | 'again'>): Promise<T> {
  for (let i = 0; i < ATTEMPTS; i++) {
    const outcome = await attempt()
    if (outcome !== 'again') return outcome
  }
  throw new StoreError(`cannot open blob ${hash}: other processes keep changing it`)
}

const ATTEMPTS = 10
