/** Looking at files that may not be there. */
import type { BigIntStats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { isNotFound } from '../fs-errors.ts'

/** What the system says about a file (numbers of any size are exact); undefined when it is not there. */
export async function statIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true })
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

/** The same, and undefined also for what is not a regular file. */
export async function fileStats(path: string): Promise<BigIntStats | undefined> {
  const stats = await statIfThere(path)
  return stats?.isFile() ? stats : undefined
}
