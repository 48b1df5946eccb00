/**
 * Deleting a blob's objects. The index forgets the blob and notes that its objects are to be deleted, in one step; then they
 * are; then the note goes.
 *
 * The note belongs to the store that made it, and nobody else deletes what it is for as long as that one is at it: somebody may
 * be adding the blob again as soon as the note is gone, and a request that comes late would take the new objects away. What a
 * killed process leaves is deleted by the next store that is opened, or that has need of it.
 */
import type { Hash } from '../../hash.ts'
import { endOwner, mayBeOpen, newOwner } from '../owners.ts'
import { pause } from '../waiting.ts'
import type { ObjectContext } from './context.ts'
import { deleteAll } from './finish.ts'
import { blobPrefix } from './layout.ts'
import type { BlobRow, DeletionNote } from './metadata/index.ts'

/** Milliseconds between two looks whether another store has deleted the objects. */
const POLL_MS = 50

/** Milliseconds after which a store says again that it is at it. */
const RENEW_MS = 5_000

/** A store that has not said so for this many milliseconds is taken for dead, even if nothing else tells so. */
const PATIENCE_MS = 30_000

/** Notes that are read at a time. */
const PAGE = 100

/** Blobs that are remembered as not deleted; the others are left to whoever opens the store next. */
const MOST_FAILED = 10_000

export class Deletions {
  readonly #context: ObjectContext
  readonly #owner = newOwner()
  /** Called under the blob's mutex when its objects turn out to be needed. */
  readonly #onKept: (hash: Hash) => Promise<void>
  /** Blobs of which readers of this store are open, and how many. */
  readonly #readers = new Map<string, number>()
  /** Blobs whose objects this store has tried to delete, and could not. */
  readonly #failed = new Set<string>()
  #renewing: NodeJS.Timeout | undefined

  constructor(context: ObjectContext, onKept: (hash: Hash) => Promise<void>) {
    this.#context = context
    this.#onKept = onKept
  }

  onReaderOpened(hash: Hash): void {
    const key = hash.toString()
    this.#readers.set(key, (this.#readers.get(key) ?? 0) + 1)
  }

  /** Whether readers of this store are open. */
  isRead(hash: Hash): boolean {
    return this.#readers.has(hash.toString())
  }

  /** Whether this store has tried to delete the blob's objects, and could not. */
  hasFailed(hash: Hash): boolean {
    return this.#failed.has(hash.toString())
  }

  /** Has the index forget a blob, and note that its objects are to be deleted. @returns what it was */
  note(hash: Hash): BlobRow | undefined {
    const row = this.#context.metadata.remove(hash, this.#owner)
    if (row !== undefined) this.#keepRenewing()
    return row
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

  /**
   * Deletes the objects of a blob that the index has forgotten; later if somebody is reading it, and not at all if another store
   * does. Under the blob's mutex.
   */
  async delete(hash: Hash): Promise<void> {
    if (this.isRead(hash)) return
    const { metadata } = this.#context
    const note = metadata.deletion(hash)
    if (note === undefined) return
    const isOurs = note.owner === this.#owner
    if (!isOurs && !this.#isLeft(note)) return
    if (!metadata.beginDeletion(hash, note, this.#owner)) return
    this.#keepRenewing()
    const key = hash.toString()
    try {
      if (!isOurs && (await this.#isNewer(hash, note))) return await this.#keep(hash)
      // Who has been taken for dead, because it stood still, leaves it to who has taken over.
      const isOwn = () => metadata.deletion(hash)?.owner === this.#owner
      if (!(await deleteAll(this.#context, blobPrefix(hash), isOwn))) return
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

  /** Waits until nobody is deleting the objects of a blob that is about to be put. */
  async whenDone(hash: Hash, signal?: AbortSignal): Promise<void> {
    const { metadata } = this.#context
    for (;;) {
      const note = metadata.deletion(hash)
      if (note === undefined) return
      signal?.throwIfAborted()
      // A reader keeps the objects: putting them again keeps them for good.
      if (this.isRead(hash)) return
      const hasFailed = note.owner === this.#owner && this.hasFailed(hash)
      if (hasFailed || this.#isLeft(note)) await this.#deleteUnderMutex(hash)
      else if (!note.isBegun && metadata.withdrawDeletion(hash)) return
      else await pause(POLL_MS, signal)
    }
  }

  /** To be called when the store has been closed, before the index is. */
  close(): void {
    clearInterval(this.#renewing)
    this.#renewing = undefined
    endOwner(this.#owner)
  }

  /** Whether whoever made the note is not there any more. */
  #isLeft({ owner, renewedAt }: DeletionNote): boolean {
    return !mayBeOpen(owner) || Date.now() - renewedAt > PATIENCE_MS
  }

  /**
   * Whether an object is younger than the note: a database that a power failure or a backup has put back may have notes of
   * blobs that have been added again since.
   */
  async #isNewer(hash: Hash, { createdAt }: DeletionNote): Promise<boolean> {
    for await (const { modifiedAt } of this.#context.storage.list({ prefix: blobPrefix(hash) })) {
      if (modifiedAt > createdAt) return true
    }
    return false
  }

  async #keep(hash: Hash): Promise<void> {
    this.#context.metadata.deletionDone(hash)
    await this.#onKept(hash)
  }

  #keepRenewing(): void {
    this.#renewing ??= setInterval(() => this.#renew(), RENEW_MS).unref()
  }

  #renew(): void {
    try {
      if (this.#context.metadata.renewDeletions(this.#owner) > 0) return
      clearInterval(this.#renewing)
      this.#renewing = undefined
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#context.notice(`cannot note that deleting goes on: ${why}`)
    }
  }

  async #deleteUnderMutex(hash: Hash): Promise<void> {
    await this.#context.mutex.run(hash.toString(), () => this.delete(hash))
  }
}
