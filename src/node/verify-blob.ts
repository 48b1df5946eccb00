/**
 * Reading a blob through to see whether it is what its hash says: by the tree, as it would be served, and by a second opinion,
 * a whole hash that is computed by code that has nothing to do with ours.
 */
import { createHash } from 'blake3-wasm'
import { RUN_BYTES } from '../bao/constants.ts'
import { readVerified } from '../bao/encoder.ts'
import { CorruptSourceError } from '../bao/errors.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { BlobDamagedError, BlobNotFoundError } from '../store/errors.ts'
import type { BlobReader, BlobStatus, BlobStore, WaitOptions } from '../store/index.ts'
import { wholeRange } from '../store/status.ts'

/** What was found. */
export interface Verified {
  readonly hash: Hash
  /**
   * `ok`: all that is held is right, and it is all of the blob; `partial`: all that is held is right; `mended`: the data is
   * right, what belongs to it was not, and is now; `damaged`: some of the data is wrong, and the store holds that no longer.
   */
  readonly state: 'ok' | 'partial' | 'mended' | 'damaged'
  /** Bytes that were read. */
  readonly bytes: number
  /** What is wrong. */
  readonly reason?: string
  /** Of a blob that is damaged, what had been held of it and is held no longer. */
  readonly lost?: Lost | 'all'
}

export interface Lost {
  /** Bytes of the blob, as far as anybody knows. */
  readonly size: number
  /** Chunks, in whole groups. */
  readonly ranges: ChunkRanges
}

export interface VerifyOptions extends WaitOptions {
  readonly onProgress?: ((bytes: number) => void) | undefined
}

/** @throws BlobNotFoundError when nothing is held of the blob; StoreError when it cannot be read at all */
export async function verifyBlob(
  store: BlobStore,
  hash: Hash,
  options: VerifyOptions = {}
): Promise<Verified> {
  const before = await store.status(hash, options)
  const first = await readThrough(store, hash, options)
  if (first.state !== 'damaged') return first
  const after = await store.reportDamage(hash)
  const lost = lostOf(before, after)
  if (lost !== undefined) return { ...first, lost }
  const second = await readThrough(store, hash, options)
  return second.state === 'ok' ? { ...second, state: 'mended', reason: first.reason ?? '' } : second
}

/** @returns undefined when nothing is lost */
function lostOf(before: BlobStatus, after: BlobStatus): Lost | 'all' | undefined {
  if (after.state === 'complete') return undefined
  if (after.state === 'absent') return 'all'
  const { size } = after
  const had = before.state === 'partial' ? before.ranges : wholeRange(size)
  const ranges = had.subtract(after.ranges)
  return ranges.isEmpty ? undefined : { size, ranges }
}

async function readThrough(store: BlobStore, hash: Hash, options: VerifyOptions): Promise<Verified> {
  let bytes = 0
  const count = (length: number): void => {
    bytes += length
    options.onProgress?.(bytes)
  }
  try {
    await using reader = await store.open(hash, options)
    if (reader === undefined) throw new BlobNotFoundError(hash)
    const { held } = reader
    await verifyTree(reader, held ?? ChunkRanges.all, count, options)
    if (held !== undefined) return { hash, state: 'partial', bytes }
    const whole = await hashWhole(reader, options)
    if (whole === hash.toString()) return { hash, state: 'ok', bytes }
    return { hash, state: 'damaged', bytes, reason: `the whole of it has the hash ${whole}` }
  } catch (error) {
    if (error instanceof CorruptSourceError) return { hash, state: 'damaged', bytes, reason: error.message }
    if (error instanceof BlobDamagedError)
      return { hash, state: 'damaged', bytes, reason: `it is damaged: ${error.found}` }
    throw error
  }
}

async function verifyTree(
  reader: BlobReader,
  ranges: ChunkRanges,
  count: (bytes: number) => void,
  { signal }: WaitOptions
): Promise<void> {
  const pieces = readVerified(reader.hash, reader, ranges, { signal, batchBytes: RUN_BYTES })
  for await (const piece of pieces) count(piece.bytes.length)
}

/** @returns 64 hex digits */
async function hashWhole(reader: BlobReader, { signal }: WaitOptions): Promise<string> {
  const hasher = createHash()
  try {
    const buffer = new Uint8Array(Math.min(RUN_BYTES, reader.size))
    for (let offset = 0; offset < reader.size; offset += buffer.length) {
      signal?.throwIfAborted()
      const piece = buffer.subarray(0, Math.min(buffer.length, reader.size - offset))
      await reader.readData(offset, piece, signal)
      hasher.update(piece)
    }
    return hasher.digest('hex')
  } finally {
    // Its memory is outside JavaScript's.
    hasher.dispose()
  }
}
