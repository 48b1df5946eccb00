/** Looking after a database's schema by hand. `Metadata.open` needs none of this: it brings the schema up to date itself. */
import { resolve } from 'node:path'
import { StoreClosedError } from '../../errors.ts'
import { type Connection, connect, IN_MEMORY } from './connection.ts'
import { DatabaseDamagedError } from './errors.ts'
import { type MigrationStatus, migrate, migrationStatus, rollback } from './migrate.ts'
import { defaultMigrationsFolder, type Migration, readMigrations } from './migrations-folder.ts'
import { explained, howToRebuild } from './sqlite-errors.ts'

export interface SchemaOptions {
  /** Where the migrations are; by default those of this package. */
  readonly migrationsFolder?: string | undefined
}

/** All methods but `check` throw what `migrate.ts` says; all throw StoreError, or one of its kinds, when SQLite fails. */
export class Schema implements Disposable {
  /** The database's file, or {@link IN_MEMORY}. */
  readonly path: string
  readonly #connection: Connection
  readonly #migrations: readonly Migration[]

  private constructor(path: string, migrations: readonly Migration[]) {
    this.path = path
    this.#migrations = migrations
    this.#connection = connect(path)
  }

  /**
   * Opens a database, and makes an empty one if there is none. Its schema is left as it is.
   *
   * @throws ForeignDatabaseError, InvalidMigrationError
   */
  static open(path: string, { migrationsFolder = defaultMigrationsFolder() }: SchemaOptions = {}): Schema {
    return new Schema(path === IN_MEMORY ? path : resolve(path), readMigrations(migrationsFolder))
  }

  /** What was applied, and what is to be applied still. */
  status(): MigrationStatus {
    return this.#guarded(() => migrationStatus(this.#connection, this.#migrations))
  }

  /** Applies what is to be applied still. @returns what this call has applied */
  migrate(): Migration[] {
    return this.#guarded(() => migrate(this.#connection, this.#migrations))
  }

  /** Takes back the last migrations. Taking back the first drops all that is in the database. @returns what was taken back */
  rollback(steps: number): Migration[] {
    return this.#guarded(() => rollback(this.#connection, this.#migrations, steps))
  }

  /** Reads the whole database through. @throws DatabaseDamagedError saying what is wrong first */
  check(): void {
    const found = this.#guarded(() => this.#connection.pragma('quick_check(1)', { simple: true }))
    if (found === 'ok') return
    throw new DatabaseDamagedError(`database ${this.path} is damaged: ${found}; ${howToRebuild(this.path)}`)
  }

  /** May be called again. */
  close(): void {
    this.#connection.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #guarded<T>(action: () => T): T {
    if (!this.#connection.open) throw new StoreClosedError()
    return explained(this.path, action)
  }
}
