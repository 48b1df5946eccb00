/** What the tests assert again and again. */
import assert from 'node:assert/strict'
import { encode, readVerified } from '../../bao/encoder.ts'
import { isWhole } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import type { BlobInfo, BlobReader, BlobStatus, BlobStore } from '../index.ts'
import { encoded, groups, join, proven, type Sample } from './samples.ts'

/** Bytes are compared without printing them. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.equal(actual.length, expected.length, `length of ${what}`)
  // Byte by byte only to tell where: done by JavaScript it took a quarter of the time of all tests.
  if (Buffer.compare(actual, expected) === 0) return
  const first = actual.findIndex((byte, i) => byte !== expected[i])
  assert.fail(`${what} differs at byte ${first}`)
}

export function assertStatus(actual: BlobStatus, expected: BlobStatus): void {
  assert.deepEqual(describeStatus(actual), describeStatus(expected))
}

function describeStatus(status: BlobStatus): object {
  return status.state === 'partial' ? { ...status, ranges: status.ranges.toString() } : { ...status }
}

export function partial(blob: Sample, ranges: ChunkRanges, isSizeProven = false): BlobStatus {
  return { state: 'partial', size: blob.size, isSizeProven, ranges }
}

/** The reader of a blob that must be there. */
export async function opened(store: BlobStore, hash: Hash): Promise<BlobReader> {
  const reader = await store.open(hash)
  assert.ok(reader, `blob ${hash} cannot be opened`)
  return reader
}

/** The store's copy is complete and is, byte for byte, the blob: its data, and its encoding with all parents. */
export async function assertComplete(store: BlobStore, blob: Sample): Promise<void> {
  assertStatus(await store.status(blob.hash), { state: 'complete', size: blob.size })
  await using reader = await opened(store, blob.hash)
  assert.equal(reader.size, blob.size)
  assert.equal(reader.held, undefined, 'a complete blob has no list of what is held')
  assert.ok(reader.hash.equals(blob.hash))
  await assertEncodes(reader, blob, ChunkRanges.all)
}

/** The store has exactly `ranges` of the blob, and encodes them. */
export async function assertPartial(store: BlobStore, blob: Sample, ranges: ChunkRanges): Promise<void> {
  const isSizeProven = isWhole(ranges.union(ChunkRanges.range(0, Math.ceil(blob.size / 1024) - 1)), blob.size)
  assertStatus(await store.status(blob.hash), partial(blob, ranges, isSizeProven))
  await using reader = await opened(store, blob.hash)
  assert.equal(reader.held?.toString(), ranges.toString())
  await assertEncodes(reader, blob, ranges)
}

export async function assertAbsent(store: BlobStore, hash: Hash): Promise<void> {
  assertStatus(await store.status(hash), { state: 'absent' })
  assert.equal(await store.open(hash), undefined)
  assert.deepEqual(
    (await Array.fromAsync(store.list())).filter(info => info.hash.equals(hash)),
    []
  )
}

export async function assertEncodes(reader: BlobReader, blob: Sample, ranges: ChunkRanges): Promise<void> {
  const actual = await join(encode(blob.hash, reader, ranges))
  assertSameBytes(actual, await encoded(blob, ranges), `encoding of ${ranges} of ${blob.size} bytes`)
}

/** The data of the groups from `first` up to, not including, `end`, read from the store and checked. */
export async function readGroups(reader: BlobReader, first: number, end: number): Promise<Uint8Array> {
  const pieces = await Array.fromAsync(readVerified(reader.hash, reader, groups(first, end)))
  return await join(
    (async function* () {
      for (const { bytes } of pieces) yield bytes
    })()
  )
}

/** Brings some of a blob into the store, by a writer of its own. */
export async function receive(
  store: BlobStore,
  blob: Sample,
  ranges: ChunkRanges,
  options: { size?: number; stepBytes?: number } = {}
): Promise<BlobStatus> {
  const writer = await store.writer(blob.hash, options.size ?? blob.size)
  for await (const verified of proven(blob, ranges, options)) await writer.write(verified)
  return await writer.close()
}

/** The promise is rejected with an error that has this code. */
export async function assertRejects(promise: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof Error)
    assert.equal('code' in error ? error.code : error.name, code, `${error.name}: ${error.message}`)
    return true
  })
}

export async function listed(store: BlobStore): Promise<Map<string, BlobInfo>> {
  const infos = await Array.fromAsync(store.list())
  const byHash = new Map(infos.map(info => [info.hash.toString(), info]))
  assert.equal(byHash.size, infos.length, 'a blob is listed once')
  return byHash
}

/** Whether all of a list's blobs are these. */
export async function assertLists(store: BlobStore, blobs: readonly Sample[]): Promise<void> {
  const names = [...(await listed(store)).keys()].sort()
  assert.deepEqual(names, blobs.map(blob => blob.hash.toString()).sort())
}
