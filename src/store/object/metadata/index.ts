/**
 * The object store's index: what it knows of its blobs without asking the storage, in a SQLite database of its own. The
 * storage is the truth: whatever is lost or wrong here can be made anew from it.
 *
 * Everything is synchronous, as SQLite is, and takes well below a millisecond. Several processes may use one database.
 */
import { resolve } from 'node:path'
import type { Hash } from '../../../hash.ts'
import { StoreClosedError } from '../../errors.ts'
import type { HashAndFormat, Tag } from '../../index.ts'
import {
  BlobRows,
  type DeletionNote,
  type FragmentChange,
  type FragmentChanges,
  type Held
} from './blob-rows.ts'
import { Checkpointer } from './checkpointer.ts'
import { CHECKPOINT_PAGES, type Connection, connect, IN_MEMORY, setCheckpointPages } from './connection.ts'
import { migrate } from './migrate.ts'
import { defaultMigrationsFolder, readMigrations } from './migrations-folder.ts'
import { type LeaseRow, type ProtectedBlobs, ProtectionRows } from './protection-rows.ts'
import type { BlobRow } from './rows.ts'
import { explained } from './sqlite-errors.ts'
import { type TagQuery, TagRows } from './tag-rows.ts'

export { IN_MEMORY } from './connection.ts'
export * from './errors.ts'
export type {
  BlobRow,
  DeletionNote,
  FragmentChange,
  FragmentChanges,
  Held,
  LeaseRow,
  ProtectedBlobs,
  TagQuery
}

export interface MetadataOptions {
  /** Where the migrations are; by default those of this package. */
  readonly migrationsFolder?: string | undefined
  /**
   * How long to wait for another process that is writing, in ms; 5000 by default. This process stands still meanwhile. Less
   * ends sooner when a process hangs amid writing, and fails sooner when the disk is slow.
   */
  readonly busyTimeoutMs?: number | undefined
}

export interface BlobQuery {
  /** Only blobs after this one. */
  readonly after?: Hash | undefined
  /** Most rows to return. In pages of 100, millions of rows are listed in less memory than in larger ones, and as fast. */
  readonly limit: number
}

/**
 * All methods throw StoreClosedError after `close`, StoreFullError when there is no room, DatabaseBusyError when another process
 * does not let go, DatabaseDamagedError, MetadataError when a row holds what cannot be, and else StoreError. Those that take
 * a limit throw RangeError when it is not positive.
 */
export class Metadata implements Disposable {
  /** The database's file, or {@link IN_MEMORY}. */
  readonly path: string
  readonly #connection: Connection
  readonly #blobs: BlobRows
  readonly #tags: TagRows
  readonly #protection: ProtectionRows
  readonly #facts: ReturnType<typeof prepareFacts>
  readonly #checkpointer: Checkpointer | undefined

  private constructor(path: string, connection: Connection) {
    this.path = path
    this.#connection = connection
    this.#blobs = new BlobRows(connection)
    this.#tags = new TagRows(connection)
    this.#protection = new ProtectionRows(connection)
    this.#facts = prepareFacts(connection)
    if (path === IN_MEMORY) return
    this.#checkpointer = new Checkpointer(path, () => {
      if (connection.open) setCheckpointPages(connection, CHECKPOINT_PAGES)
    })
  }

  /**
   * Opens the database, makes it if there is none, and brings its schema up to date.
   *
   * @param path a file, which is made with its folder if it is not there; or {@link IN_MEMORY}
   * @throws ForeignDatabaseError, NewerDatabaseError, MigrationChangedError, MigrationOrderError, InvalidMigrationError
   */
  static open(
    path: string,
    { migrationsFolder = defaultMigrationsFolder(), busyTimeoutMs }: MetadataOptions = {}
  ): Metadata {
    const migrations = readMigrations(migrationsFolder)
    const file = path === IN_MEMORY ? path : resolve(path)
    const connection = connect(file, busyTimeoutMs)
    try {
      return explained(file, () => {
        migrate(connection, migrations)
        return new Metadata(file, connection)
      })
    } catch (error) {
      connection.close()
      throw error
    }
  }

  find(hash: Hash): BlobRow | undefined {
    return this.#guarded(() => this.#blobs.find(hash))
  }

  /** In ascending order of the hashes in base32, which is that of the keys in the storage, not that of the bytes. */
  listBlobs({ after, limit }: BlobQuery): BlobRow[] {
    return this.#guarded(() => this.#blobs.list(after, checkedLimit(limit)))
  }

  /** Reads all rows, 0.1 s for a million: not to be called while a node serves. */
  countBlobs(): { complete: number; partial: number } {
    return this.#guarded(() => this.#blobs.count())
  }

  /** The blob is whole under its final key. Its fragments are forgotten, and it is no longer to be deleted. */
  markComplete(hash: Hash, held: Held): void {
    this.transaction(() => this.#blobs.markComplete(hash, held))
  }

  /** Names of what is there of a partial blob. */
  fragments(hash: Hash): string[] {
    return this.#guarded(() => this.#blobs.fragments(hash))
  }

  /**
   * A fragment is there, and others are not needed any more. The blob is no longer to be deleted. When the blob was
   * thought to have another size, all fragments of that size are forgotten.
   *
   * @returns false when the blob is complete: then nothing was done
   */
  keepFragment(hash: Hash, change: FragmentChange): boolean {
    return this.keepFragments(hash, { ...change, add: [change.add] })
  }

  /** As `keepFragment`, with many at once: not more than about a thousand. */
  keepFragments(hash: Hash, changes: FragmentChanges): boolean {
    return this.transaction(() => this.#blobs.keepFragments(hash, changes))
  }

  /** Forgets fragments, and a partial blob that has none left. */
  dropFragments(hash: Hash, names: readonly string[]): void {
    this.transaction(() => this.#blobs.dropFragments(hash, names))
  }

  /**
   * Forgets a blob, and notes that its objects are to be deleted.
   *
   * @param owner who is going to do it
   * @returns what it was
   */
  remove(hash: Hash, owner: string): BlobRow | undefined {
    return this.transaction(() => this.#blobs.remove(hash, owner))
  }

  /** Forgets a blob whose objects are gone, or are kept elsewhere. */
  forget(hash: Hash): void {
    this.transaction(() => this.#blobs.forget(hash))
  }

  /** Blobs whose objects are to be deleted; who waits longest comes first. */
  pendingDeletions(limit: number): Hash[] {
    return this.#guarded(() => this.#blobs.pendingDeletions(checkedLimit(limit)))
  }

  isDeletionPending(hash: Hash): boolean {
    return this.#guarded(() => this.#blobs.isDeletionPending(hash))
  }

  /** The note that says so. */
  deletion(hash: Hash): DeletionNote | undefined {
    return this.#guarded(() => this.#blobs.deletion(hash))
  }

  /** Takes a note, from whom it belonged to, to begin. @returns false when it has changed since it was read */
  beginDeletion(hash: Hash, note: DeletionNote, owner: string): boolean {
    return this.transaction(() => this.#blobs.beginDeletion(hash, note, owner))
  }

  /** Says that an owner still is. @returns how many notes it has */
  renewDeletions(owner: string): number {
    return this.transaction(() => this.#blobs.renewDeletions(owner))
  }

  /** Takes a deletion back that has not begun. @returns whether there was one */
  withdrawDeletion(hash: Hash): boolean {
    return this.transaction(() => this.#blobs.withdrawDeletion(hash))
  }

  /** Forgets what was to be deleted: it is not in this storage. */
  forgetDeletions(): void {
    this.transaction(() => this.#blobs.forgetDeletions())
  }

  /** The blob's objects are deleted. */
  deletionDone(hash: Hash): void {
    this.transaction(() => this.#blobs.deletionDone(hash))
  }

  /** Sets or replaces a tag. @throws InvalidTagNameError */
  setTag(tag: Tag): void {
    this.transaction(() => this.#tags.set(tag))
  }

  getTag(name: string): Tag | undefined {
    return this.#guarded(() => this.#tags.get(name))
  }

  /** @returns whether there was one */
  deleteTag(name: string): boolean {
    return this.transaction(() => this.#tags.delete(name))
  }

  /** In order of their names' UTF-8 bytes. */
  listTags(query: TagQuery): Tag[] {
    return this.#guarded(() => this.#tags.list({ ...query, limit: checkedLimit(query.limit) }))
  }

  countTags(): number {
    return this.#guarded(() => this.#tags.count())
  }

  /** The number of the last change of what is protected. */
  protectionSeq(): number {
    return this.#guarded(() => this.#protection.now())
  }

  /** What is protected now by changes with numbers above `after` and up to `upTo`, about `limit` of them. */
  protectedBetween(after: number, upTo: number, limit: number): ProtectedBlobs {
    return this.#guarded(() => this.#protection.between(after, upTo, checkedLimit(limit)))
  }

  newLease(id: string, owner: string): void {
    this.transaction(() => this.#protection.newLease(id, owner))
  }

  /** @returns false when the lease is not there any more */
  protect(lease: string, blobs: readonly HashAndFormat[]): boolean {
    return this.transaction(() => this.#protection.protect(lease, blobs))
  }

  /** Forgets up to `limit` of the blobs that a lease protects, and with the last of them the lease. @returns whether it is gone */
  endLease(lease: string, limit: number): boolean {
    return this.transaction(() => this.#protection.endLease(lease, checkedLimit(limit)))
  }

  /** Says that an owner of leases still is. @returns how many leases it has */
  renewLeases(owner: string): number {
    return this.transaction(() => this.#protection.renew(owner))
  }

  leases(): LeaseRow[] {
    return this.#guarded(() => this.#protection.leases())
  }

  /** Bytes of all complete blobs. */
  completeBytes(): number {
    return this.#guarded(() => this.#facts.completeBytes.get() ?? 0)
  }

  /** Partial blobs, in the order of `listBlobs`. */
  listPartial({ after, limit }: BlobQuery): BlobRow[] {
    return this.#guarded(() => this.#blobs.listPartial(after, checkedLimit(limit)))
  }

  /** Something that is known of the index itself. */
  fact(key: string): string | undefined {
    return this.#guarded(() => this.#facts.get.get(key))
  }

  /** @param value undefined: it is not known any more */
  setFact(key: string, value: string | undefined): void {
    this.transaction(() => {
      if (value === undefined) this.#facts.delete.run(key)
      else this.#facts.set.run(key, value)
    })
  }

  /**
   * Runs several calls as one: either all of what they write stays, or, when `action` throws, nothing. Other processes wait
   * meanwhile, and so does this one: it is not for waiting, nor for more than about a thousand rows at a time.
   */
  transaction<T>(action: () => T): T {
    // From the start as a writer: who reads first and then wants to write fails when somebody else has written in between.
    return this.#guarded(() => {
      const result = this.#connection.transaction(action).immediate()
      if (!this.#connection.inTransaction) this.#checkpointer?.wrote(this.#facts.changed.get() ?? 0)
      return result
    })
  }

  /** A number that is another one when another connection has written. Cheap to ask. */
  changes(): number {
    return this.#guarded(() => this.#facts.changes.get() ?? 0)
  }

  /** Writes to disk what is only in the log yet. May be called again. */
  close(): void {
    if (!this.#connection.open) return
    try {
      // The last one to close does so in any case, but others may have the database open. Only our own thread is waited for.
      this.#connection.pragma(`wal_checkpoint(${this.#checkpointer?.isAtWork ? 'FULL' : 'PASSIVE'})`)
    } catch {
      // The log has it all: whoever opens the database next goes on from there.
    }
    this.#connection.close()
    this.#checkpointer?.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #guarded<T>(action: () => T): T {
    if (!this.#connection.open) throw new StoreClosedError()
    return explained(this.path, action)
  }
}

/** SQLite takes a negative limit for none. */
function checkedLimit(limit: number): number {
  if (Number.isSafeInteger(limit) && limit > 0) return limit
  throw new RangeError(`a limit is a positive number of rows, not ${limit}`)
}

function prepareFacts(connection: Connection) {
  return {
    completeBytes: connection.prepare<[], number>('SELECT complete_bytes FROM totals').pluck(),
    get: connection.prepare<[string], string>('SELECT value FROM facts WHERE key = ?').pluck(),
    set: connection.prepare<[string, string]>(
      'INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value'
    ),
    delete: connection.prepare<[string]>('DELETE FROM facts WHERE key = ?'),
    changed: connection.prepare<[], number>('SELECT total_changes()').pluck(),
    changes: connection.prepare<[], number>('PRAGMA data_version').pluck()
  }
}
