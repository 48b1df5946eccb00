/** Has the server make an object, and does not believe that it has. */
import type { S3Client } from './client.ts'
import { deleteObjects } from './delete.ts'

/**
 * @param make has the object made out of parts that are there already
 * @throws StorageError when it is not there then, or not of this size. What is of another size is taken away: it would pass for
 *   the object.
 */
export async function makeObject(
  client: S3Client,
  key: string,
  size: number,
  signal: AbortSignal,
  make: () => Promise<void>
): Promise<void> {
  await client.writing(key, signal, async () => {
    await make()
    const found = await client.storedSize(key, size, signal)
    if (found === size) return
    await deleteObjects(client, [key], signal)
    throw client.wronglyStored(key, size, `${found} bytes are there`)
  })
}
