/** Looking at a LegacyFsStore's folder from outside. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { Decoder, encode } from '../../../src/bao/index.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import type { BlobInfo, BlobStore, BlobWriter } from '../../../src/store/index.ts'
import { LegacyFsStore, type LegacyFsStoreOptions } from '../../../src/store/legacy-fs/index.ts'
import { encodeAll, memorySource } from '../../helpers/bao.ts'
import { randomData } from '../../helpers/data.ts'

const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A folder that is removed after the test. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'legacy-fs-'))
  cleanups.push(async () => await rm(folder, { recursive: true }))
  return folder
}

/** A store that is closed after the test. */
export async function testStore(folder: string, options?: LegacyFsStoreOptions): Promise<LegacyFsStore> {
  const store = await LegacyFsStore.open(folder, options)
  cleanups.push(async () => await store.close())
  return store
}

export function sampleBlob(size: number, seed = 1) {
  const data = randomData(size, seed)
  const source = memorySource(data)
  return { data, size, hash: source.hash, source }
}

export type SampleBlob = ReturnType<typeof sampleBlob>

/** Groups from `first` up to, not including, `end`. */
export function groups(first: number, end = first + 1): ChunkRanges {
  return ChunkRanges.range(first * 16, end * 16)
}

/** Brings some of a blob into a store, as a getter does. @returns the writer, still open */
export async function startReceiving(
  store: BlobStore,
  blob: SampleBlob,
  ranges: ChunkRanges
): Promise<BlobWriter> {
  const writer = await store.writer(blob.hash, blob.size)
  const bytes = await encodeAll(blob.source, ranges)
  const decoder = new Decoder(blob.hash, blob.size, ranges)
  for (let at = 0; !decoder.isDone; ) {
    const verified = decoder.decode(bytes.subarray(at))
    at += verified.consumed
    await writer.write(verified)
  }
  return writer
}

export async function receive(store: BlobStore, blob: SampleBlob, ranges: ChunkRanges): Promise<void> {
  await (await startReceiving(store, blob, ranges)).close()
}

/** Reads all that a store claims to have of a blob. Throws when anything of it is missing or wrong. */
export async function readClaimed(
  store: BlobStore,
  { hash, status }: Pick<BlobInfo, 'hash' | 'status'>
): Promise<number> {
  await using reader = await store.open(hash)
  if (reader === undefined) throw new Error(`${hash} is listed as ${status.state} but cannot be opened`)
  const ranges = status.state === 'partial' ? status.ranges : ChunkRanges.all
  let bytes = 0
  for await (const piece of encode(hash, reader, ranges)) bytes += piece.length
  return bytes
}
