/** Bringing the index's database to the schema that this program knows, and back. */
import Database from 'better-sqlite3'
import { APPLICATION_ID, type Connection } from './connection.ts'
import {
  InvalidMigrationError,
  MigrationChangedError,
  MigrationOrderError,
  NewerDatabaseError
} from './errors.ts'
import type { Migration } from './migrations-folder.ts'

/** A migration as the database has recorded it. */
export interface AppliedMigration {
  readonly version: string
  readonly name: string
  readonly checksum: string
  /** In ms since 1970. */
  readonly appliedAt: number
}

export interface MigrationStatus {
  /** What was applied, the oldest first. */
  readonly applied: readonly AppliedMigration[]
  /** What is still to be applied, in this order. */
  readonly pending: readonly Migration[]
}

/** Comes before all migrations, since it records them. */
const CREATE = `
  CREATE TABLE IF NOT EXISTS migrations (
    version    TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`

/**
 * What was applied and what was not.
 *
 * @throws NewerDatabaseError, MigrationChangedError, MigrationOrderError when the migrations do not fit the database
 */
export function migrationStatus(connection: Connection, migrations: readonly Migration[]): MigrationStatus {
  const applied = readApplied(connection)
  checkFit(connection.name, applied, migrations)
  return { applied, pending: migrations.slice(applied.length) }
}

/**
 * Applies what was not applied yet, each migration in a transaction of its own. Of several processes that do so at the same
 * time, one applies each, and all succeed.
 *
 * @returns what this process has applied
 * @throws NewerDatabaseError, MigrationChangedError, MigrationOrderError, InvalidMigrationError: nothing was changed by the
 *   migration that failed, nor by those after it
 */
export function migrate(connection: Connection, migrations: readonly Migration[]): Migration[] {
  // Looked at without a lock first: this is all that most starts do.
  if (migrationStatus(connection, migrations).pending.length === 0) return []
  const done: Migration[] = []
  for (;;) {
    const next = changeSchema(connection, () => {
      const [pending] = migrationStatus(connection, migrations).pending
      if (pending === undefined) return undefined
      connection.pragma(`application_id = ${APPLICATION_ID}`)
      connection.exec(CREATE)
      runSql(connection, pending, 'up')
      connection
        .prepare('INSERT INTO migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)')
        .run(pending.version, pending.name, pending.checksum, Date.now())
      return pending
    })
    if (next === undefined) return done
    done.push(next)
  }
}

/**
 * Takes back the last migrations, each in a transaction of its own.
 *
 * @param steps how many; taking back the first one drops all that is in the database
 * @returns what was taken back
 * @throws NewerDatabaseError, MigrationChangedError, MigrationOrderError, InvalidMigrationError
 */
export function rollback(
  connection: Connection,
  migrations: readonly Migration[],
  steps: number
): Migration[] {
  const done: Migration[] = []
  while (done.length < steps) {
    const last = changeSchema(connection, () => {
      const { applied } = migrationStatus(connection, migrations)
      const migration = migrations[applied.length - 1]
      if (migration === undefined) return undefined
      runSql(connection, migration, 'down')
      connection.prepare('DELETE FROM migrations WHERE version = ?').run(migration.version)
      return migration
    })
    if (last === undefined) break
    done.push(last)
  }
  return done
}

function readApplied(connection: Connection): AppliedMigration[] {
  const isThere = connection
    .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'")
    .get()
  if (isThere === undefined) return []
  return connection
    .prepare<[], AppliedMigration>(
      'SELECT version, name, checksum, applied_at AS appliedAt FROM migrations ORDER BY version'
    )
    .all()
}

function checkFit(
  path: string,
  applied: readonly AppliedMigration[],
  migrations: readonly Migration[]
): void {
  const newest = migrations.at(-1)?.version ?? ''
  const newer = applied.filter(({ version }) => version > newest).map(({ version }) => version)
  if (newer.length > 0) throw new NewerDatabaseError(path, newer)
  for (const [i, { version, name, checksum }] of applied.entries()) {
    const migration = migrations[i]
    if (migration === undefined || migration.version > version) {
      throw new MigrationOrderError(
        `database ${path} has migration ${version}_${name}, which this program lacks although it has later ones; ` +
          'use the version of the program that made the database'
      )
    }
    if (migration.version < version) {
      throw new MigrationOrderError(
        `migration ${migration.version}_${migration.name} was not applied to database ${path}, which has ${version} ` +
          'already; a new migration comes after all that were applied: give it a later version'
      )
    }
    if (migration.name !== name) {
      throw new MigrationChangedError(path, version, `it was called "${name}", now "${migration.name}"`)
    }
    if (migration.checksum !== checksum) {
      throw new MigrationChangedError(path, version, `checksum ${checksum}, now ${migration.checksum}`)
    }
  }
}

/** Runs a change of the schema in a transaction that no other process can come between. */
function changeSchema<T>(connection: Connection, action: () => T): T {
  // A table that is made anew is dropped for a moment, which must not take along what refers to it.
  connection.pragma('foreign_keys = OFF')
  try {
    return connection.transaction(action).immediate()
  } finally {
    connection.pragma('foreign_keys = ON')
  }
}

function runSql(connection: Connection, migration: Migration, direction: 'up' | 'down'): void {
  const what = `migration ${migration.version}_${migration.name} (${direction})`
  try {
    connection.exec(migration[direction])
  } catch (cause) {
    // Only what the SQL says itself; a full disk or a lock is no fault of it.
    if (!(cause instanceof Database.SqliteError) || !/^SQLITE_(ERROR|CONSTRAINT|MISMATCH)/.test(cause.code))
      throw cause
    throw new InvalidMigrationError(`${what} fails on database ${connection.name}: ${cause.message}`, {
      cause
    })
  }
  if (!connection.inTransaction) {
    throw new InvalidMigrationError(`${what} ends its transaction; it must contain no COMMIT or ROLLBACK`)
  }
  const [dangling] = connection.pragma('foreign_key_check') as { table: string; parent: string }[]
  if (dangling !== undefined) {
    throw new InvalidMigrationError(
      `${what} leaves rows in "${dangling.table}" that refer to missing ones in "${dangling.parent}"`
    )
  }
}
