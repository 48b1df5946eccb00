/** Gives a file its content and its name at once. Synchronous: for a thread of its own. */
import { closeSync, fdatasyncSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { versionOf } from '../../stats.ts'

/**
 * @param temp a path in the same file system that nobody uses
 * @param isSynced whether to wait until the bytes are on disk, which does not go for the name
 * @param mayPlace asked when all is ready; when not, nothing is left of it
 * @returns the file's version
 */
export function placeFile(
  temp: string,
  path: string,
  data: Uint8Array,
  isSynced: boolean,
  mayPlace: () => boolean = () => true
): string {
  const file = openSync(temp, 'wx')
  try {
    let version: string
    try {
      writeAll(file, data)
      version = versionOf(fstatSync(file, { bigint: true }))
      if (isSynced) fdatasyncSync(file)
    } finally {
      closeSync(file)
    }
    if (mayPlace()) renameSync(temp, path)
    else rmSync(temp, { force: true })
    return version
  } catch (error) {
    rmSync(temp, { force: true })
    throw error
  }
}

/** @param at where; else behind what was written last */
export function writeAll(file: number, bytes: Uint8Array, at?: number): void {
  for (let written = 0; written < bytes.length; ) {
    const position = at === undefined ? undefined : at + written
    written += writeSync(file, bytes, written, bytes.length - written, position)
  }
}
