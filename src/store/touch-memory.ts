/** Touches memory in a thread for files, so that it is there when the main thread writes to it. For Node. */
import { open } from 'node:fs/promises'

/** What can be read without end, and without a change to what is zero. */
const ZEROS = '/dev/zero'

/**
 * Fills new memory with the zeros that are in it.
 *
 * @throws NodeJS.ErrnoException where there is no `/dev/zero`
 */
export async function touch(memory: ArrayBufferLike): Promise<void> {
  const zeros = await open(ZEROS)
  try {
    await zeros.read(new Uint8Array(memory))
  } finally {
    await zeros.close()
  }
}
