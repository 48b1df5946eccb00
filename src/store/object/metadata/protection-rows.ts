/** What is protected, by tags and by leases: the roots from which garbage collection sets out. */
import type { HashAndFormat, Root } from '../../index.ts'
import type { Connection } from './connection.ts'
import { parseRoot, type RawRoot } from './rows.ts'

/** A lease as others see it. */
export interface LeaseRow {
  readonly id: string
  /** The open store it belongs to. */
  readonly owner: string
  /** When that one has said last that it still is, in ms since 1970. */
  readonly renewedAt: number
}

export interface ProtectedBlobs {
  readonly roots: readonly Root[]
  /** The number of the last of them, to go on from. */
  readonly last: number
}

/** Its methods neither begin transactions nor turn errors: `Metadata` does. */
export class ProtectionRows {
  readonly #path: string
  readonly #sql: ReturnType<typeof prepare>

  constructor(connection: Connection) {
    this.#path = connection.name
    this.#sql = prepare(connection)
  }

  /** The number of the last change. */
  now(): number {
    return this.#sql.now.get() ?? 0
  }

  /** Roots with numbers above `after` and up to `upTo`, the lowest first, at most `limit` tags and as many leased blobs. */
  between(after: number, upTo: number, limit: number): ProtectedBlobs {
    const tags = this.#sql.tags.all(after, upTo, limit)
    const leased = this.#sql.leased.all(after, upTo, limit)
    const end = Math.min(endOf(tags, limit, upTo), endOf(leased, limit, upTo))
    const rows = [...tags, ...leased].filter(({ seq }) => seq <= end)
    return { roots: rows.map(row => parseRoot(row, this.#path)), last: end }
  }

  newLease(id: string, owner: string): void {
    this.#sql.newLease.run(id, owner, Date.now())
  }

  /** @returns false when the lease is not there any more */
  protect(lease: string, blobs: readonly HashAndFormat[]): boolean {
    if (this.#sql.renewLease.run(Date.now(), lease).changes === 0) return false
    for (const { hash, format } of blobs) {
      this.#sql.tick.run()
      this.#sql.protect.run(lease, hash.toBase32(), format)
    }
    return true
  }

  endLease(lease: string, limit: number): boolean {
    if (this.#sql.endSome.run(lease, limit).changes === limit) return false
    this.#sql.endLease.run(lease)
    return true
  }

  renew(owner: string): number {
    return this.#sql.renewAll.run(Date.now(), owner).changes
  }

  leases(): LeaseRow[] {
    return this.#sql.leases.all()
  }
}

/** Up to which number `rows` are all there are. */
function endOf(rows: readonly RawRoot[], limit: number, upTo: number): number {
  return rows.length < limit ? upTo : rows.at(-1)!.seq
}

function prepare(connection: Connection) {
  return {
    now: connection.prepare<[], number>('SELECT seq FROM protection_clock').pluck(),
    tick: connection.prepare<[]>('UPDATE protection_clock SET seq = seq + 1'),
    tags: connection.prepare<[number, number, number], RawRoot>(
      'SELECT seq, name, hash, format FROM tags WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?'
    ),
    leased: connection.prepare<[number, number, number], RawRoot>(
      'SELECT seq, NULL AS name, hash, format FROM leased_blobs WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?'
    ),
    newLease: connection.prepare<[string, string, number]>(
      'INSERT INTO leases (id, owner, renewed_at) VALUES (?, ?, ?)'
    ),
    renewLease: connection.prepare<[number, string]>('UPDATE leases SET renewed_at = ? WHERE id = ?'),
    protect: connection.prepare<[string, string, string]>(
      `INSERT INTO leased_blobs (seq, lease, hash, format)
       SELECT seq, ?, ?, ? FROM protection_clock`
    ),
    endSome: connection.prepare<[string, number]>(
      'DELETE FROM leased_blobs WHERE seq IN (SELECT seq FROM leased_blobs WHERE lease = ? LIMIT ?)'
    ),
    endLease: connection.prepare<[string]>('DELETE FROM leases WHERE id = ?'),
    renewAll: connection.prepare<[number, string]>('UPDATE leases SET renewed_at = ? WHERE owner = ?'),
    leases: connection.prepare<[], LeaseRow>('SELECT id, owner, renewed_at AS renewedAt FROM leases')
  }
}
