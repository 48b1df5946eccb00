/** The tables of blobs: what is held of them, and which of them are still to be deleted from the storage. */
import type { Hash } from '../../../hash.ts'
import type { Connection } from './connection.ts'
import { type BlobRow, parseBlob, parseHash, type RawBlob } from './rows.ts'

const COLUMNS = 'hash, size, state, has_outboard, created_at, updated_at'

export interface Held {
  /** Bytes. */
  readonly size: number
  readonly hasOutboard: boolean
}

export interface FragmentChange {
  /** Bytes of the whole blob, as claimed. */
  readonly size: number
  /** The fragment that is there now. */
  readonly add: string
  /** Those that it makes needless. */
  readonly drop: readonly string[]
}

/** That a blob's objects are to be deleted. */
export interface DeletionNote {
  /** The open store that does it. */
  readonly owner: string
  /** Whether it is at it; before, it can be withdrawn. */
  readonly isBegun: boolean
  /** In ms since 1970. */
  readonly createdAt: number
  /** When the owner has said last that it still is, in ms since 1970. */
  readonly renewedAt: number
}

export interface FragmentChanges {
  /** Bytes of the whole blob, as claimed. */
  readonly size: number
  /** Fragments that are there now. */
  readonly add: readonly string[]
  /** Those that they make needless. */
  readonly drop: readonly string[]
}

/** Its methods neither begin transactions nor turn errors: `Metadata` does. */
export class BlobRows {
  readonly #path: string
  readonly #sql: ReturnType<typeof prepare>

  constructor(connection: Connection) {
    this.#path = connection.name
    this.#sql = prepare(connection)
  }

  find(hash: Hash): BlobRow | undefined {
    const row = this.#sql.find.get(hash.toBase32())
    return row === undefined ? undefined : parseBlob(row, this.#path, hash)
  }

  list(after: Hash | undefined, limit: number): BlobRow[] {
    return this.#sql.list.all(after?.toBase32() ?? '', limit).map(row => parseBlob(row, this.#path))
  }

  listPartial(after: Hash | undefined, limit: number): BlobRow[] {
    return this.#sql.listPartial.all(after?.toBase32() ?? '', limit).map(row => parseBlob(row, this.#path))
  }

  count(): { complete: number; partial: number } {
    const all = this.#sql.countAll.get() ?? 0
    const partial = this.#sql.countPartial.get() ?? 0
    return { complete: all - partial, partial }
  }

  markComplete(hash: Hash, { size, hasOutboard }: Held): void {
    const key = hash.toBase32()
    this.#put(key, size, 'complete', hasOutboard)
    this.#sql.dropAllFragments.run(key)
    this.#sql.deletionDone.run(key)
  }

  fragments(hash: Hash): string[] {
    return this.#sql.fragments.all(hash.toBase32())
  }

  keepFragments(hash: Hash, { size, add, drop }: FragmentChanges): boolean {
    const key = hash.toBase32()
    const row = this.find(hash)
    if (row?.state === 'complete') return false
    if (row !== undefined && row.size !== size) this.#sql.dropAllFragments.run(key)
    this.#put(key, size, 'partial', false)
    for (const name of drop) this.#sql.dropFragment.run(key, name)
    for (const name of add) this.#sql.addFragment.run(key, name)
    this.#sql.deletionDone.run(key)
    return true
  }

  dropFragments(hash: Hash, names: readonly string[]): void {
    const key = hash.toBase32()
    let dropped = 0
    for (const name of names) dropped += this.#sql.dropFragment.run(key, name).changes
    if (dropped > 0) this.#sql.touch.run(Date.now(), key)
    this.#sql.dropIfEmpty.run(key)
  }

  remove(hash: Hash, owner: string): BlobRow | undefined {
    const row = this.find(hash)
    if (row === undefined) return undefined
    this.forget(hash)
    const now = Date.now()
    this.#sql.noteDeletion.run(hash.toBase32(), owner, now, now)
    return row
  }

  /** Fragments go along with their blob (`ON DELETE CASCADE`). */
  forget(hash: Hash): void {
    this.#sql.forget.run(hash.toBase32())
  }

  pendingDeletions(limit: number): Hash[] {
    return this.#sql.pendingDeletions.all(limit).map(key => parseHash(key, this.#path, 'table deletions'))
  }

  isDeletionPending(hash: Hash): boolean {
    return this.#sql.isDeletionPending.get(hash.toBase32()) !== undefined
  }

  deletion(hash: Hash): DeletionNote | undefined {
    const row = this.#sql.deletion.get(hash.toBase32())
    return row && { ...row, isBegun: row.isBegun === 1 }
  }

  beginDeletion(hash: Hash, { owner, renewedAt }: DeletionNote, newOwner: string): boolean {
    return this.#sql.beginDeletion.run(newOwner, Date.now(), hash.toBase32(), owner, renewedAt).changes > 0
  }

  renewDeletions(owner: string): number {
    return this.#sql.renewDeletions.run(Date.now(), owner).changes
  }

  withdrawDeletion(hash: Hash): boolean {
    return this.#sql.withdrawDeletion.run(hash.toBase32()).changes > 0
  }

  forgetDeletions(): void {
    this.#sql.forgetDeletions.run()
  }

  deletionDone(hash: Hash): void {
    this.#sql.deletionDone.run(hash.toBase32())
  }

  #put(key: string, size: number, state: BlobRow['state'], hasOutboard: boolean): void {
    const now = Date.now()
    this.#sql.put.run(key, size, state, hasOutboard ? 1 : 0, now, now)
  }
}

function prepare(connection: Connection) {
  return {
    find: connection.prepare<[string], RawBlob>(`SELECT ${COLUMNS} FROM blobs WHERE hash = ?`),
    list: connection.prepare<[string, number], RawBlob>(
      `SELECT ${COLUMNS} FROM blobs WHERE hash > ? ORDER BY hash LIMIT ?`
    ),
    listPartial: connection.prepare<[string, number], RawBlob>(
      `SELECT ${COLUMNS} FROM blobs WHERE state = 'partial' AND hash > ? ORDER BY hash LIMIT ?`
    ),
    countAll: connection.prepare<[], number>('SELECT count(*) FROM blobs').pluck(),
    countPartial: connection
      .prepare<[], number>("SELECT count(*) FROM blobs WHERE state = 'partial'")
      .pluck(),
    put: connection.prepare<[string, number, string, number, number, number]>(
      `INSERT INTO blobs (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (hash) DO UPDATE SET
         size = excluded.size,
         state = excluded.state,
         has_outboard = excluded.has_outboard,
         updated_at = max(excluded.updated_at, updated_at + 1)`
    ),
    touch: connection.prepare<[number, string]>(
      'UPDATE blobs SET updated_at = max(?, updated_at + 1) WHERE hash = ?'
    ),
    forget: connection.prepare<[string]>('DELETE FROM blobs WHERE hash = ?'),
    fragments: connection
      .prepare<[string], string>('SELECT name FROM fragments WHERE hash = ? ORDER BY name')
      .pluck(),
    addFragment: connection.prepare<[string, string]>(
      'INSERT INTO fragments (hash, name) VALUES (?, ?) ON CONFLICT DO NOTHING'
    ),
    dropFragment: connection.prepare<[string, string]>('DELETE FROM fragments WHERE hash = ? AND name = ?'),
    dropAllFragments: connection.prepare<[string]>('DELETE FROM fragments WHERE hash = ?'),
    dropIfEmpty: connection.prepare<[string]>(
      `DELETE FROM blobs WHERE hash = ? AND state = 'partial'
       AND NOT EXISTS (SELECT 1 FROM fragments WHERE fragments.hash = blobs.hash)`
    ),
    noteDeletion: connection.prepare<[string, string, number, number]>(
      `INSERT INTO deletions (hash, owner, is_begun, created_at, renewed_at) VALUES (?, ?, 0, ?, ?)
       ON CONFLICT DO NOTHING`
    ),
    deletion: connection.prepare<[string], Omit<DeletionNote, 'isBegun'> & { isBegun: number }>(
      `SELECT owner, is_begun AS isBegun, created_at AS createdAt, renewed_at AS renewedAt
       FROM deletions WHERE hash = ?`
    ),
    beginDeletion: connection.prepare<[string, number, string, string, number]>(
      `UPDATE deletions SET owner = ?, is_begun = 1, renewed_at = ?
       WHERE hash = ? AND owner = ? AND renewed_at = ?`
    ),
    renewDeletions: connection.prepare<[number, string]>(
      'UPDATE deletions SET renewed_at = ? WHERE owner = ?'
    ),
    withdrawDeletion: connection.prepare<[string]>('DELETE FROM deletions WHERE hash = ? AND is_begun = 0'),
    forgetDeletions: connection.prepare<[]>('DELETE FROM deletions'),
    pendingDeletions: connection
      .prepare<[number], unknown>('SELECT hash FROM deletions ORDER BY created_at, hash LIMIT ?')
      .pluck(),
    isDeletionPending: connection.prepare<[string]>('SELECT 1 FROM deletions WHERE hash = ?'),
    deletionDone: connection.prepare<[string]>('DELETE FROM deletions WHERE hash = ?')
  }
}
