/**
 * Opening the blobs of a response while those before them are being sent: to open one takes a turn through the disk, or to a
 * server, and of many small blobs the response would do nothing but wait for that.
 */
import { GROUP_BYTES } from '../bao/constants.ts'
import type { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import type { BlobReader, BlobStore, WaitOptions } from '../store/index.ts'

export interface WantedBlob {
  /** Its index in the request. */
  readonly index: number
  readonly hash: Hash
  readonly ranges: ChunkRanges
}

export interface OpenedBlob extends WantedBlob {
  /** Closed when the next blob is asked for; undefined when nothing of the blob is held. */
  readonly reader: BlobReader | undefined
}

/** Blobs that are open, or being opened, behind the one that is being sent. Each may hold two files open. */
export const MOST_AHEAD = 16

/** The same while all that come are small: those are in memory when they are open, and a store opens many in one go. */
export const MOST_SMALL_AHEAD = 64

/**
 * Opens blobs in their order.
 *
 * What goes wrong with one is thrown in its turn. When the consumer leaves, and when something is thrown, all are closed.
 */
export async function* openAhead(
  store: BlobStore,
  wanted: AsyncIterable<WantedBlob>,
  { signal }: WaitOptions
): AsyncGenerator<OpenedBlob, void, undefined> {
  const open = (blob: WantedBlob) => store.open(blob.hash, { signal, ranges: blob.ranges })
  const queue: { readonly blob: WantedBlob; readonly opening: Promise<BlobReader | undefined> }[] = []
  const source = wanted[Symbol.asyncIterator]()
  let isRead = false
  let most = MOST_AHEAD
  let sourceError: { readonly error: unknown } | undefined
  const fill = async (): Promise<void> => {
    while (!isRead && queue.length <= most) {
      let next: IteratorResult<WantedBlob>
      try {
        next = await source.next()
      } catch (error) {
        sourceError = { error }
        isRead = true
        return
      }
      if (next.done === true) {
        isRead = true
        return
      }
      const opening = open(next.value)
      // It may fail while others are being sent.
      opening.catch(() => undefined)
      queue.push({ blob: next.value, opening })
    }
  }
  try {
    for (;;) {
      await fill()
      const next = queue.shift()
      if (next === undefined) break
      const { blob, opening } = next
      let reader = await opening
      try {
        // More of it may have arrived since.
        if (reader === undefined || reader.held !== undefined) {
          await reader?.close()
          reader = undefined
          reader = await open(blob)
        }
        const isSmall = reader !== undefined && reader.size <= GROUP_BYTES
        most = isSmall ? Math.min(MOST_SMALL_AHEAD, most + 1) : MOST_AHEAD
        yield { ...blob, reader }
      } finally {
        await reader?.close()
      }
    }
    if (sourceError !== undefined) throw sourceError.error
  } finally {
    const readers = await Promise.allSettled(queue.map(({ opening }) => opening))
    for (const { value } of readers.filter(result => result.status === 'fulfilled')) await value?.close()
  }
}
