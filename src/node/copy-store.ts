/**
 * Copying all that one store holds into another: whole blobs, what is held of partial ones, and tags.
 *
 * Every byte is checked against its hash on the way. What the target holds already is not read, so a copy that was interrupted
 * goes on where it was, also in the middle of a blob. Nothing is removed from either store.
 */
import { GROUP_CHUNKS, RUN_BYTES } from '../bao/constants.ts'
import type { Verified } from '../bao/decoder.ts'
import { encodeVerified } from '../bao/encoder.ts'
import { chunkCount, groupCount } from '../bao/geometry.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { errorCode } from '../store/fs-errors.ts'
import type {
  BlobInfo,
  BlobReader,
  BlobStatus,
  BlobStore,
  BlobWriter,
  Tag,
  WaitOptions
} from '../store/index.ts'
import { wholeRange } from '../store/status.ts'
import { forEachBounded } from './bounded.ts'

export interface CopyOptions extends WaitOptions {
  /** Whether a tag that means something else in the target is set to what it means in the source. Default: it is kept. */
  readonly replaceTags?: boolean | undefined
  /** Told how far it is, once per piece that was copied and once per blob. */
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined
  /** Told of each blob or tag that could not be copied, and why. */
  readonly onProblem?: ((problem: CopyProblem) => void) | undefined
}

export interface CopyProgress {
  /** Blobs that are done with, those that were there before among them. */
  readonly blobs: number
  /** Bytes of data that were copied. */
  readonly bytes: number
}

export interface CopyProblem {
  /** The blob's hash in hex, or the tag's name. */
  readonly what: string
  readonly kind: 'blob' | 'tag'
  readonly message: string
}

/** What was done with the blobs and tags of the source. Each blob and each tag counts once. */
export interface CopyReport {
  /** Blobs that are whole in the target now, and were not before. */
  readonly copied: number
  /** Blobs of which the target held all that the source does. */
  readonly present: number
  /** Blobs of which the target now holds what the source does, which is not all of them. */
  readonly partial: number
  /** Blobs that the source cannot give, or not all it said it held: damaged, or gone. */
  readonly damaged: number
  /** Partial blobs whose size, by what either store was told, is another one in the target. They were left as they are. */
  readonly conflicting: number
  /** Blobs that are larger than the target takes. They were left out. */
  readonly tooLarge: number
  /** Tags that mean the same in the target now. */
  readonly tags: number
  /** Tags that mean something else in the target, and were left so. */
  readonly tagsKept: number
  /** Bytes of data that were copied. */
  readonly bytes: number
}

type Outcome = 'copied' | 'present' | 'partial' | 'damaged' | 'conflicting' | 'tooLarge'

/** Blobs that are copied at a time. Each takes up to six pieces of 1 MiB, besides what the stores take. */
const COPY_CONCURRENCY = 8

/** What says that the source does not have, in good order, what it said it had: an object that is too short, say, or unreadable. */
const SOURCE_FAILURES = new Set([
  'ERR_BLOB_DAMAGED',
  'ERR_BLOB_NOT_FOUND',
  'ERR_CORRUPT_SOURCE',
  'ERR_MISSING_CHUNKS',
  'ERR_OBJECT_NOT_FOUND',
  'ERR_STORAGE'
])

/**
 * Copies one store into another.
 *
 * @throws the first failure of either store. A blob that cannot be read, or is larger than the target takes, is none: it is
 *   reported, and the others are copied.
 */
export async function copyStore(
  from: BlobStore,
  to: BlobStore,
  options: CopyOptions = {}
): Promise<CopyReport> {
  const copy = new StoreCopy(from, to, options)
  await copy.blobs()
  // Tags last: what has one in the target has been copied before, as far as the source has it.
  await copy.tags()
  return copy.report
}

/** Reading the source failed, not writing the target. */
class SourceFailure extends Error {}

/** It was listed, and cannot be opened. */
class GoneFromSource extends SourceFailure {}

class StoreCopy {
  readonly #from: BlobStore
  readonly #to: BlobStore
  readonly #options: CopyOptions
  readonly #counts = {
    copied: 0,
    present: 0,
    partial: 0,
    damaged: 0,
    conflicting: 0,
    tooLarge: 0,
    tags: 0,
    tagsKept: 0
  }
  #blobs = 0
  #bytes = 0

  constructor(from: BlobStore, to: BlobStore, options: CopyOptions) {
    this.#from = from
    this.#to = to
    this.#options = options
  }

  get report(): CopyReport {
    return { ...this.#counts, bytes: this.#bytes }
  }

  async blobs(): Promise<void> {
    const { signal } = this.#options
    await forEachBounded(
      this.#from.list({ signal }),
      COPY_CONCURRENCY,
      async (blob, stop) => {
        const outcome = await this.#blob(blob, stop)
        if (outcome === 'deleted') return
        this.#counts[outcome]++
        this.#blobs++
        this.#tell()
      },
      signal
    )
  }

  async tags(): Promise<void> {
    const { signal } = this.#options
    for await (const tag of this.#from.tags.list({ signal })) {
      signal?.throwIfAborted()
      this.#counts[await this.#tag(tag)]++
    }
  }

  async #tag(tag: Tag): Promise<'tags' | 'tagsKept'> {
    const { name, hash, format } = tag
    const before = await this.#to.tags.get(name)
    if (before?.hash.equals(hash) && before.format === format) return 'tags'
    if (before !== undefined && this.#options.replaceTags !== true) {
      const message = `it names ${before.hash} in the target and ${hash} in the source`
      this.#options.onProblem?.({ what: name, kind: 'tag', message })
      return 'tagsKept'
    }
    await this.#to.tags.set(name, { hash, format })
    return 'tags'
  }

  /** @returns `deleted` when it is in the source no more: what comes and goes meanwhile is no part of a copy */
  async #blob(blob: BlobInfo, signal: AbortSignal): Promise<Outcome | 'deleted'> {
    try {
      return await this.#attempt(blob, signal)
    } catch (error) {
      if (!(error instanceof SourceFailure)) throw error
      if (error instanceof GoneFromSource && (await this.#isDeleted(blob.hash, signal))) return 'deleted'
      // A source that can mend what is wrong, such as an outboard, is asked for it once more.
      const now = await this.#from.reportDamage(blob.hash)
      if (now.state === 'complete') return await this.#lastAttempt({ ...blob, status: now }, signal)
      return this.#leaveOut(blob.hash, 'damaged', error)
    }
  }

  async #isDeleted(hash: Hash, signal: AbortSignal): Promise<boolean> {
    return (await this.#from.status(hash, { signal })).state === 'absent'
  }

  async #lastAttempt(blob: BlobInfo, signal: AbortSignal): Promise<Outcome> {
    try {
      return await this.#attempt(blob, signal)
    } catch (error) {
      if (!(error instanceof SourceFailure)) throw error
      return this.#leaveOut(blob.hash, 'damaged', error)
    }
  }

  #leaveOut(hash: Hash, outcome: Outcome, { message }: { readonly message: string }): Outcome {
    this.#options.onProblem?.({ what: hash.toString(), kind: 'blob', message })
    return outcome
  }

  async #attempt(blob: BlobInfo, signal: AbortSignal): Promise<Outcome> {
    const { hash } = blob
    const there = await this.#to.status(hash, { signal })
    const missing = missingRanges(blob, there)
    if (missing === 'conflicting') {
      const message = 'what is held of it in the target has another size'
      return this.#leaveOut(hash, 'conflicting', { message })
    }
    if (missing.isEmpty) return 'present'
    await using reader = await this.#open(hash, missing, signal)
    return await this.#write(reader, missing, signal)
  }

  async #open(hash: Hash, ranges: ChunkRanges, signal: AbortSignal): Promise<BlobReader> {
    try {
      const reader = await this.#from.open(hash, { ranges, signal })
      if (reader !== undefined) return reader
    } catch (error) {
      throw ofSource(error)
    }
    throw new GoneFromSource('it is gone from the source')
  }

  async #write(reader: BlobReader, missing: ChunkRanges, signal: AbortSignal): Promise<Outcome> {
    const { hash, size, held } = reader
    // What was listed may have shrunk since.
    const ranges = held === undefined ? missing : missing.intersect(held)
    let writer: BlobWriter
    try {
      writer = await this.#to.writer(hash, size, { signal })
    } catch (error) {
      if (!isTooLarge(error)) throw error
      return this.#leaveOut(hash, 'tooLarge', error)
    }
    try {
      for await (const verified of verifiedOf(reader, ranges, signal)) {
        await writer.write(verified, { signal })
        for (const { bytes } of verified.leaves) this.#bytes += bytes.length
        this.#tell()
      }
    } catch (error) {
      // Not by `await using`: when closing fails too, the reason would be hidden in a SuppressedError.
      await writer.close().catch(() => undefined)
      throw error
    }
    const { state } = await writer.close()
    return state === 'complete' ? 'copied' : 'partial'
  }

  #tell(): void {
    this.#options.onProgress?.({ blobs: this.#blobs, bytes: this.#bytes })
  }
}

/** Chunks that have to be copied: those that the source has and the target has not. */
function missingRanges({ status }: BlobInfo, there: BlobStatus): ChunkRanges | 'conflicting' {
  if (there.state === 'complete') return ChunkRanges.empty
  const isProven = status.state === 'complete' || status.isSizeProven
  const held = status.state === 'complete' ? ChunkRanges.all : status.ranges
  if (there.state === 'absent') return held
  // Ranges of a blob are only comparable for one size. One that is proven wins over one that is not. When both seem to be, the
  // data in the source has another length than it should.
  if (there.size !== status.size) return isProven && !there.isSizeProven ? held : 'conflicting'
  // Chunks beyond the end stand for the last one, which may be there.
  const ranges = held.subtract(there.ranges).intersect(wholeRange(status.size))
  if (!ranges.isEmpty || status.state !== 'complete') return ranges
  // All of it is there, but it could not be made complete. Whoever writes a group of it tries again, and learns why it fails.
  return ChunkRanges.range((groupCount(status.size) - 1) * GROUP_CHUNKS, chunkCount(status.size))
}

/** @throws SourceFailure when the source is not what it said; what was read before has been handed out */
async function* verifiedOf(
  reader: BlobReader,
  ranges: ChunkRanges,
  signal: AbortSignal
): AsyncGenerator<Verified, void, undefined> {
  try {
    yield* encodeVerified(reader.hash, reader, ranges, { signal, batchBytes: RUN_BYTES, reuseBuffers: true })
  } catch (error) {
    throw ofSource(error)
  }
}

/** Whether it is the target's limit. By its code: its class comes with the whole object store. */
function isTooLarge(error: unknown): error is Error {
  return error instanceof Error && errorCode(error) === 'ERR_BLOB_TOO_LARGE'
}

function ofSource(error: unknown): unknown {
  if (!(error instanceof Error) || !SOURCE_FAILURES.has(errorCode(error) ?? '')) return error
  return new SourceFailure(error.message, { cause: error })
}
