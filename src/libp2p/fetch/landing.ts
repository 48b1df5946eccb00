/** Where what the providers send goes. */
import type { BlobSink, ReceivedBlob } from '../../protocol/receive.ts'
import { SizeMismatchError } from '../../store/errors.ts'
import type { BlobStore, BlobWriter } from '../../store/index.ts'
import { PIECE_BYTES } from '../constants.ts'
import { SizeDisputedError } from './errors.ts'
import type { Item } from './item.ts'
import type { Pool } from './pool.ts'
import type { Part, Task } from './task.ts'

const NOWHERE: BlobSink = { write: async () => undefined, close: async () => undefined }

export interface Landing {
  /** A blob begins to arrive. */
  open(task: Task, part: Part, blob: ReceivedBlob): Promise<BlobSink>
}

export interface StoreLandingInit {
  readonly store: BlobStore
  readonly pool: Pool
  /** What is waited for before anything is written. */
  readonly mayWrite?: Promise<void> | undefined
  /** A size is known, or claimed, for the first time. */
  readonly onSize: (size: number) => void
  /** A blob begins that is much larger than it was thought to be. */
  readonly onLarge: (task: Task) => void
  /** Bytes are in the store that were not there. */
  readonly onBytes: (bytes: number) => void
  /** The store has failed: no other provider can help. */
  readonly onStoreError: (error: unknown) => void
}

/** Keeps what arrives, and counts each byte once. */
export function storeLanding({
  store,
  pool,
  mayWrite,
  onSize,
  onLarge,
  onBytes,
  onStoreError
}: StoreLandingInit): Landing {
  /** What a task meets that is to end, and what is the provider's fault, does not concern the others. */
  const reported = (task: Task, error: unknown): unknown => {
    if (!task.signal.aborted && !(error instanceof SizeMismatchError)) onStoreError(error)
    return error
  }
  const claim = ({ provider }: Task, { item }: Part, size: number): void => {
    if (item.size === size) return
    if (item.isSizeProven) throw new SizeMismatchError(item.hash, size, item.size!)
    if (item.size !== undefined) throw new SizeDisputedError(item, size)
    item.size = size
    item.claimant = provider
    pool.sized(item)
    onSize(size)
  }
  return {
    async open(task, part, blob) {
      const { size } = blob
      // Given to another provider since it was asked for.
      if (part.isDone) return NOWHERE
      claim(task, part, size)
      const guess = part.left
      task.begin(part)
      if (part.left > guess + 2 * PIECE_BYTES) onLarge(task)
      let writer: BlobWriter
      try {
        if (mayWrite !== undefined) await mayWrite
        writer = await store.writer(blob.hash, size, task)
      } catch (error) {
        throw reported(task, error)
      }
      return {
        async write(verified) {
          try {
            await writer.write(verified)
          } catch (error) {
            throw reported(task, error)
          }
          const bytes = part.item.size === size ? task.landed(part, verified.leaves) : 0
          task.provider.received += bytes
          if (bytes > 0) onBytes(bytes)
        },
        async close() {
          try {
            await writer.close()
          } catch (error) {
            throw reported(task, error)
          }
          if (!part.isDone) return
          part.letGo()
          pool.settle(part.item)
        }
      }
    }
  }
}

/** Looks at sizes only, and keeps nothing. */
export function sizesLanding(onSize: (item: Item, size: number) => void): Landing {
  return {
    async open(_task, { item }, { size }) {
      onSize(item, size)
      return NOWHERE
    }
  }
}
