/**
 * Copying slices of objects into a new file: past the system's cache where that can be done, else 4 MiB at a time, while the next
 * are being read.
 */
import type { FileHandle } from 'node:fs/promises'
import { Breather } from '../../../breather.ts'
import { UncachedFile } from '../../../uncached.ts'
import { readAll } from '../../../write-all.ts'
import { checkInside } from '../checks.ts'
import { ObjectNotFoundError, StorageError } from '../errors.ts'
import type { Slice } from '../index.ts'
import type { NewFile } from './new-file.ts'
import { openObject } from './open-object.ts'
import type { Paths } from './paths.ts'

const BLOCK_BYTES = 4 * 1024 * 1024

/** Less than this many bytes is not worth another way. */
const LEAST_UNCACHED_BYTES = 1024 * 1024

/** @throws ObjectNotFoundError, StorageError when one of the slices is not there: to be found before anything is copied */
export async function checkSources(
  paths: Paths,
  slices: readonly Slice[],
  storage: string,
  signal: AbortSignal | undefined
): Promise<void> {
  const breather = new Breather(signal)
  for (const slice of slices) {
    const stats = paths.stats(slice.key)
    if (stats === undefined) throw new ObjectNotFoundError(slice.key, storage)
    checkInside(slice, stats.size, storage)
    await breather.breathe()
  }
}

/**
 * @param storage its name, for messages
 * @param start where in the target they begin, in bytes
 */
export async function copySlices(
  paths: Paths,
  slices: readonly Slice[],
  target: NewFile,
  storage: string,
  signal: AbortSignal | undefined,
  start = 0
): Promise<void> {
  const longest = slices.reduce((most, slice) => Math.max(most, slice.length), 0)
  const blockBytes = Math.min(longest, BLOCK_BYTES)
  // One is written while the other is filled.
  let block = Buffer.allocUnsafeSlow(blockBytes)
  let other = Buffer.allocUnsafeSlow(blockBytes)
  let writing: Promise<void> | undefined
  let end = start
  try {
    for (const { key, offset, length } of slices) {
      await using source = await openObject(paths, key, storage)
      const copied = await copyUncached(source, { offset, length }, target, end, signal)
      end += copied
      for (let at = copied; at < length; at += blockBytes) {
        signal?.throwIfAborted()
        const piece = block.subarray(0, Math.min(blockBytes, length - at))
        if (!(await readAll(source, [piece], offset + at))) {
          throw new StorageError(`${key} in ${storage} has become shorter while it was being read`)
        }
        await writing
        writing = target.write([piece], end)
        // Awaited in its turn.
        writing.catch(() => undefined)
        end += piece.length
        const filled = block
        block = other
        other = filled
      }
    }
    await writing
  } finally {
    await writing?.catch(() => undefined)
  }
}

/** @returns bytes copied, from the first on */
async function copyUncached(
  source: FileHandle,
  { offset, length }: Omit<Slice, 'key'>,
  target: NewFile,
  at: number,
  signal: AbortSignal | undefined
): Promise<number> {
  if (length < LEAST_UNCACHED_BYTES) return 0
  const uncached = await UncachedFile.of(source, 'read')
  if (uncached === undefined) return 0
  try {
    return await target.copy(uncached, offset, at, length, signal)
  } finally {
    await uncached.close()
  }
}
