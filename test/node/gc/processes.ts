/** What the processes that keep, forget and collect, and the tests that kill them, agree on. */
import { join } from 'node:path'
import { type Sample, sample } from '../../../src/store/compliance/samples.ts'
import type { BlobStore } from '../../../src/store/index.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'

export const KINDS = ['legacy-fs', 'objects'] as const

export type Kind = (typeof KINDS)[number]

/** Few, so that several processes often have to do with the same; below, at and above what needs an outboard. */
export const POOL: readonly Sample[] = [100, 5_000, 16_384, 40_000, 200_000, 1_200_000, 3_000, 60_000].map(
  (size, i) => sample(size, 50 + i)
)

/** A process that is killed leaves to the system what it has written, so nothing is synced. */
export async function openKind(kind: Kind, folder: string): Promise<BlobStore> {
  if (kind === 'legacy-fs') return await LegacyFsStore.open(folder, { sync: 'none' })
  return await ObjectStore.local(join(folder, 'blobs'), { dbPath: join(folder, 'blobs.db'), sync: 'none' })
}
