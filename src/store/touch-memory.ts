/** Touches memory in a thread for files, so that it is there when the main thread writes to it. For Node. */
import { openSync, read } from 'node:fs'

/**
 * Can be read without end, and changes nothing in memory that is zero. Opened once for the process, since each call to a thread may
 * have to wake it up. Where there is no such file this module does not load.
 */
const zeros = openSync('/dev/zero', 'r')

/** Fills new memory with the zeros that are in it. */
export async function touchMemory(memory: ArrayBufferLike): Promise<void> {
  const bytes = new Uint8Array(memory)
  await new Promise<void>((resolve, reject) => {
    read(zeros, bytes, 0, bytes.length, null, error => (error === null ? resolve() : reject(error)))
  })
}
