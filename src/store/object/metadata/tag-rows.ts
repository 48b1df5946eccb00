/** The table of tags. Names are bytes there: SQLite compares these as the order of tags has it. */
import type { Tag } from '../../index.ts'
import { checkTagName } from '../../tag-names.ts'
import type { Connection } from './connection.ts'
import { parseTag, type RawTag } from './rows.ts'

const COLUMNS = 'name, hash, format'

/** Greater than any byte of UTF-8, so than any name that begins as what stands before it. */
const BEYOND = Buffer.of(0xff)

const NOTHING = Buffer.alloc(0)

export interface TagQuery {
  /** Only names that begin so. */
  readonly prefix?: string | undefined
  /** Only this name and those after it. */
  readonly from?: string | undefined
  /** Only names before this one. */
  readonly to?: string | undefined
  /** Only names after this one. */
  readonly after?: string | undefined
  /** Most tags to return. */
  readonly limit: number
}

/** Its methods do not turn errors: `Metadata` does. */
export class TagRows {
  readonly #path: string
  readonly #sql: ReturnType<typeof prepare>

  constructor(connection: Connection) {
    this.#path = connection.name
    this.#sql = prepare(connection)
  }

  set({ name, hash, format }: Tag): void {
    checkTagName(name)
    const now = Date.now()
    this.#sql.tick.run()
    this.#sql.set.run(Buffer.from(name), hash.toBase32(), format, now, now)
  }

  get(name: string): Tag | undefined {
    if (!name.isWellFormed()) return undefined
    const row = this.#sql.get.get(Buffer.from(name))
    return row === undefined ? undefined : parseTag(row, this.#path)
  }

  delete(name: string): boolean {
    return name.isWellFormed() && this.#sql.delete.run(Buffer.from(name)).changes > 0
  }

  list({ prefix = '', from = '', to, after, limit }: TagQuery): Tag[] {
    // Half a surrogate pair has no bytes in UTF-8 for a name to begin with.
    if (!prefix.isWellFormed()) return []
    const start = Buffer.from(prefix)
    const first = later(start, Buffer.from(from))
    const beyond = Buffer.concat([start, BEYOND])
    const end = to === undefined ? beyond : earlier(beyond, Buffer.from(to))
    const afterBytes = after === undefined ? NOTHING : Buffer.from(after)
    return this.#sql.list.all(first, end, afterBytes, limit).map(row => parseTag(row, this.#path))
  }

  count(): number {
    return this.#sql.count.get() ?? 0
  }
}

function later(a: Buffer, b: Buffer): Buffer {
  return Buffer.compare(a, b) < 0 ? b : a
}

function earlier(a: Buffer, b: Buffer): Buffer {
  return Buffer.compare(a, b) < 0 ? a : b
}

function prepare(connection: Connection) {
  return {
    tick: connection.prepare<[]>('UPDATE protection_clock SET seq = seq + 1'),
    set: connection.prepare<[Buffer, string, string, number, number]>(
      `INSERT INTO tags (${COLUMNS}, created_at, updated_at, seq)
       SELECT ?, ?, ?, ?, ?, seq FROM protection_clock WHERE true
       ON CONFLICT (name) DO UPDATE SET
         hash = excluded.hash, format = excluded.format, updated_at = excluded.updated_at, seq = excluded.seq`
    ),
    get: connection.prepare<[Buffer], RawTag>(`SELECT ${COLUMNS} FROM tags WHERE name = ?`),
    delete: connection.prepare<[Buffer]>('DELETE FROM tags WHERE name = ?'),
    list: connection.prepare<[Buffer, Buffer, Buffer, number], RawTag>(
      `SELECT ${COLUMNS} FROM tags WHERE name >= ? AND name < ? AND name > ? ORDER BY name LIMIT ?`
    ),
    count: connection.prepare<[], number>('SELECT count(*) FROM tags').pluck()
  }
}
