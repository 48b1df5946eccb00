/** Copying slices of objects into a new file: 4 MiB at a time, while the next are being read. */

import { Breather } from '../../../breather.ts'
import { readAll } from '../../../write-all.ts'
import { checkInside } from '../checks.ts'
import { ObjectNotFoundError, StorageError } from '../errors.ts'
import type { Slice } from '../index.ts'
import type { NewFile } from './new-file.ts'
import { openObject } from './open-object.ts'
import type { Paths } from './paths.ts'

const BLOCK_BYTES = 4 * 1024 * 1024

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
      for (let at = 0; at < length; at += blockBytes) {
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
