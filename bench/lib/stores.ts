/** The stores that benchmarks compare, by name. */
import { join } from 'node:path'
import type { BlobStore } from '../../dist/store/index.js'
import { LegacyFsStore } from '../../dist/store/legacy-fs/index.js'

export const STORES = ['legacy-fs', 'memory', 'filesystem', 's3'] as const
export type StoreName = (typeof STORES)[number]

export function storeName(text: string): StoreName {
  const name = STORES.find(known => known === text)
  if (name === undefined) throw new RangeError(`there is no store "${text}"; there are: ${STORES.join(', ')}`)
  return name
}

/** @param dir a folder of the store's own */
export async function openStore(name: StoreName, dir: string): Promise<BlobStore> {
  switch (name) {
    case 'legacy-fs':
      return await LegacyFsStore.open(dir)
    case 'memory':
      // Only who has such a store loads it: the others' memory is not charged for it.
      return new (await import('../../dist/store/memory/index.js')).MemoryStore()
    case 'filesystem':
      return await (await objectStore()).local(join(dir, 'objects'))
    case 's3':
      return await (await objectStore()).open({
        dbPath: join(dir, 'blobs.db'),
        storage: { type: 's3', ...(await import('./s3-options.ts')).s3Options(), prefix: s3Prefix(dir) }
      })
  }
}

/** What the keys begin with of all stores that are in `dir`, or below it. */
export function s3Prefix(dir: string): string {
  return `${dir
    .split('/')
    .filter(part => part !== '')
    .join('/')}/`
}

/** Loaded only where it is used, as by the `blobs` command: it brings SQLite and an S3 client along. */
async function objectStore() {
  const { ObjectStore } = await import('../../dist/store/object/index.js')
  return ObjectStore
}
