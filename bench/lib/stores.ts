/** The stores that benchmarks compare, by name. */
import { join } from 'node:path'
import type { BlobStore } from '../../dist/store/index.js'
import { LegacyFsStore } from '../../dist/store/legacy-fs/index.js'
import { MemoryStore } from '../../dist/store/memory/index.js'
import { ObjectStore } from '../../dist/store/object/index.js'
import { parseS3Url } from '../../dist/store/object/storage/s3/url.js'

/** Names the bucket for the store `s3`: `s3://key:secret@host:port/bucket`. */
export const S3_URL_VARIABLE = 'BLOBS_BENCH_S3_URL'

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
      return new MemoryStore()
    case 'filesystem':
      return await ObjectStore.local(join(dir, 'objects'))
    case 's3':
      return await ObjectStore.open({
        dbPath: join(dir, 'blobs.db'),
        storage: { type: 's3', ...s3Options(), prefix: s3Prefix(dir) }
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

export function s3Options(): ReturnType<typeof parseS3Url> {
  const url = process.env[S3_URL_VARIABLE]
  if (url === undefined) throw new Error(`${S3_URL_VARIABLE} must name a bucket`)
  return parseS3Url(url)
}
