/** What the processes that are killed and the test that kills them agree on. */
import { join } from 'node:path'
import { ObjectStore } from '../../../src/store/object/store.ts'
import { randomData } from '../../helpers/data.ts'

/** Bytes of the blob that is received over several lives of a process. */
export const CRASH_BLOB_BYTES = 60 * 1024 * 1024 + 100

export function crashBlob(): Uint8Array {
  return randomData(CRASH_BLOB_BYTES, 3)
}

/** A store in a folder. A process that is killed leaves to the system what it has written, so nothing is synced. */
export async function openFolder(folder: string, database = 'blobs.db'): Promise<ObjectStore> {
  const storage = { type: 'filesystem', path: join(folder, 'blobs'), sync: 'none' } as const
  return await ObjectStore.open({ dbPath: join(folder, database), storage })
}
