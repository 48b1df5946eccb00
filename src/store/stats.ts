/**
 * Looking at files that may not be there.
 *
 * Synchronously: the kernel answers in a microsecond or two, while handing the question to another thread costs fifty, and a
 * blob needs several. On a slow network file system this blocks for one round trip per look.
 */
import { type BigIntStats, lstatSync } from 'node:fs'

/** What the system says about a file (numbers of any size are exact); undefined when it is not there. */
export function statIfThere(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })
}

/** The same, and undefined also for what is not a regular file. */
export function fileStats(path: string): BigIntStats | undefined {
  const stats = statIfThere(path)
  return stats?.isFile() ? stats : undefined
}

/** Differs when a file has been replaced or written to. */
export function versionOf({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}-${size}-${mtimeNs}`
}
