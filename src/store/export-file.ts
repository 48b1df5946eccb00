/** Writing a blob to a file outside the store: every byte checked, and under its name only when it is whole. */
import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { RUN_BYTES } from '../bao/constants.ts'
import { readVerified } from '../bao/encoder.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import { TargetExistsError, UnsupportedExportModeError } from './errors.ts'
import { exists, renameToNew, syncFolder } from './folders.ts'
import { toStoreError } from './fs-errors.ts'
import type { BlobReader, ExportOptions } from './index.ts'
import { Progress } from './progress.ts'
import { writeAll } from './write-all.ts'

/** Longest part of the target's name that goes into the temporary name: names have at most 255 bytes. */
const KEPT_NAME_CHARS = 50

/**
 * For stores whose blobs are no plain files.
 *
 * @throws UnsupportedExportModeError unless bytes can be copied in this mode
 */
export function requireCopying(target: string, { mode = 'copy' }: ExportOptions): void {
  if (mode === 'copy' || mode === 'move') return
  throw new UnsupportedExportModeError(mode, target, "this store's blobs are not plain files")
}

/**
 * Writes a complete blob to `target`, by way of `.<name>.<random>.part` in the same folder. Whatever fails, nothing stays.
 *
 * @throws TargetExistsError, CorruptSourceError, StoreError, StoreFullError, the signal's reason
 */
export async function exportFile(
  reader: BlobReader,
  target: string,
  options: ExportOptions = {}
): Promise<void> {
  try {
    if (await exists(target)) throw new TargetExistsError(target)
    const temp = tempPath(target)
    const file = await open(temp, 'wx')
    try {
      try {
        await writeBlob(file, reader, options)
        await file.sync()
      } finally {
        await file.close()
      }
      options.signal?.throwIfAborted()
      await renameToNew(temp, target)
    } catch (error) {
      await rm(temp, { force: true })
      throw error
    }
    if (options.isNameSynced !== false) await syncFolder(dirname(target))
  } catch (error) {
    throw toStoreError(error, `cannot write ${target}`)
  }
}

/** Where to write a file before it gets its name: in the same folder. */
export function tempPath(target: string): string {
  const name = Array.from(basename(target)).slice(0, KEPT_NAME_CHARS).join('')
  return join(dirname(target), `.${name}.${randomBytes(6).toString('hex')}.part`)
}

/** Writes 1 MiB at a time, while the next is being read and checked. */
async function writeBlob(file: FileHandle, reader: BlobReader, options: ExportOptions): Promise<void> {
  let pieces: Uint8Array[] = []
  let gathered = 0
  let end = 0
  let writing: Promise<void> | undefined
  const progress = new Progress(options.onProgress)
  const flush = async () => {
    await writing
    writing = writeAll(file, pieces, end - gathered)
    // Awaited in its turn.
    writing.catch(() => undefined)
    progress.add(gathered)
    pieces = []
    gathered = 0
  }
  try {
    for await (const { bytes } of readVerified(reader.hash, reader, ChunkRanges.all, {
      signal: options.signal,
      batchBytes: RUN_BYTES
    })) {
      pieces.push(bytes)
      gathered += bytes.length
      end += bytes.length
      if (gathered >= RUN_BYTES) await flush()
    }
    if (gathered > 0) await flush()
    await writing
    progress.end()
  } finally {
    await writing?.catch(() => undefined)
  }
}

/**
 * Reads a complete blob through without keeping it.
 *
 * @throws CorruptSourceError when the stored bytes are wrong
 */
export async function checkBlob(reader: BlobReader, options: ExportOptions = {}): Promise<void> {
  const progress = new Progress(options.onProgress)
  for await (const { bytes } of readVerified(reader.hash, reader, ChunkRanges.all, {
    signal: options.signal,
    batchBytes: RUN_BYTES
  })) {
    progress.add(bytes.length)
  }
  progress.end()
}
