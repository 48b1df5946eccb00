/** Waits until what happened to a folder's entries is on disk. Synchronous: for a thread of its own. */
import { closeSync, fsyncSync, openSync } from 'node:fs'

export function syncFolder(path: string): void {
  // Windows neither can nor need do that.
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
