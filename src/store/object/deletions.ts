/**
 * Deleting a blob's objects. The index forgets the blob and notes that its objects are to be deleted, in one step; then they
 * are; then the note goes. What a killed process leaves is deleted when the store is opened again.
 */
import type { Hash } from '../../hash.ts'
import { pause } from '../waiting.ts'
import type { ObjectContext } from './context.ts'
import { deleteAll } from './finish.ts'
import { blobPrefix } from './layout.ts'

/** Milliseconds between two looks whether another process has deleted the objects. */
const POLL_MS = 50

/** How long to wait for that, in ms. Then that process counts as dead, and the work is done here. */
const PATIENCE_MS = 30_000

/** Notes that are read at a time. */
const PAGE = 100

/** Blobs that are remembered as not deleted; to all others, other processes' patience applies. */
const MOST_FAILED = 10_000

export class Deletions {
  readonly #context: ObjectContext
  /** Blobs of which readers of this process are open, and how many. */
  readonly #readers = new Map<string, number>()
  /** Blobs whose objects this process has tried to delete, and could not. */
  readonly #failed = new Set<string>()

  constructor(context: ObjectContext) {
    this.#context = context
  }

  onReaderOpened(hash: Hash): void {
    const key = hash.toString()
    this.#readers.set(key, (this.#readers.get(key) ?? 0) + 1)
  }

  /** Whether readers of this process are open. */
  isRead(hash: Hash): boolean {
    return this.#readers.has(hash.toString())
  }

  /** Whether this process has tried to delete the blob's objects, and could not. */
  hasFailed(hash: Hash): boolean {
    return this.#failed.has(hash.toString())
  }

  /** Deletes what was to be deleted as soon as nobody reads it. */
  async onReaderClosed(hash: Hash): Promise<void> {
    const key = hash.toString()
    const left = (this.#readers.get(key) ?? 1) - 1
    if (left > 0) {
      this.#readers.set(key, left)
      return
    }
    this.#readers.delete(key)
    if (this.#context.metadata.isDeletionPending(hash)) await this.#deleteUnderMutex(hash)
  }

  /** Deletes the objects of a blob that the index has forgotten; later if somebody is reading it. Under the blob's mutex. */
  async delete(hash: Hash): Promise<void> {
    if (this.isRead(hash)) return
    const { metadata } = this.#context
    if (!metadata.isDeletionPending(hash)) return
    const key = hash.toString()
    try {
      await deleteAll(this.#context, blobPrefix(hash))
    } catch (error) {
      if (this.#failed.size < MOST_FAILED) this.#failed.add(key)
      throw error
    }
    this.#failed.delete(key)
    metadata.deletionDone(hash)
  }

  /** Goes on with what killed processes have begun. */
  async resume(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const hashes = this.#context.metadata.pendingDeletions(PAGE)
      for (const hash of hashes) {
        signal.throwIfAborted()
        await this.#deleteUnderMutex(hash)
      }
      // What is being read by now is deleted when its readers close.
      const isAnyDone = hashes.some(hash => !this.#context.metadata.isDeletionPending(hash))
      if (hashes.length < PAGE || !isAnyDone) return
    }
  }

  /** Waits until no process is deleting the objects of a blob that is about to be put. */
  async whenDone(hash: Hash, signal?: AbortSignal): Promise<void> {
    const { metadata } = this.#context
    const deadline = performance.now() + PATIENCE_MS
    while (metadata.isDeletionPending(hash)) {
      signal?.throwIfAborted()
      // A reader of ours keeps the objects: putting them again keeps them for good.
      if (this.isRead(hash)) return
      if (this.hasFailed(hash) || performance.now() > deadline) return await this.#deleteUnderMutex(hash)
      await pause(POLL_MS, signal)
    }
  }

  async #deleteUnderMutex(hash: Hash): Promise<void> {
    await this.#context.mutex.run(hash.toString(), () => this.delete(hash))
  }
}
