/** What can go wrong with the object store's index. */
import { StoreError } from '../../errors.ts'

/** A row holds what no version of the program writes. It is not believed. */
export class MetadataError extends StoreError {
  override readonly name: string = 'MetadataError'
  override readonly code: string = 'ERR_METADATA'
}

/** Another process has kept the database locked for longer than any of ours does. */
export class DatabaseBusyError extends StoreError {
  override readonly name = 'DatabaseBusyError'
  override readonly code = 'ERR_DATABASE_BUSY'
}

/** The database's file is damaged. Nothing is lost: all of it can be made anew from the storage. */
export class DatabaseDamagedError extends StoreError {
  override readonly name = 'DatabaseDamagedError'
  override readonly code = 'ERR_DATABASE_DAMAGED'
}

/** The file is a database of another program, or no database at all. It is not touched. */
export class ForeignDatabaseError extends StoreError {
  override readonly name = 'ForeignDatabaseError'
  override readonly code = 'ERR_FOREIGN_DATABASE'
}

/** The database was migrated by a newer version of the program. */
export class NewerDatabaseError extends StoreError {
  override readonly name = 'NewerDatabaseError'
  override readonly code = 'ERR_NEWER_DATABASE'
  /** Versions that this program does not know, ascending. */
  readonly versions: readonly string[]

  constructor(path: string, versions: readonly string[]) {
    super(
      `database ${path} was made by a newer version of this program: it has ${versions.join(', ')}, which this one does ` +
        `not know; install the newer version, or roll the database back with it ("blobs db rollback")`
    )
    this.versions = versions
  }
}

/** A migration's text is not the one that was applied to the database. */
export class MigrationChangedError extends StoreError {
  override readonly name = 'MigrationChangedError'
  override readonly code = 'ERR_MIGRATION_CHANGED'
  readonly version: string

  constructor(path: string, version: string, what: string) {
    super(
      `migration ${version} has changed since it was applied to database ${path}: ${what}; what was applied is never edited: ` +
        'put the old text back, and the change into a migration of its own'
    )
    this.version = version
  }
}

/** The migrations do not follow on what was applied to the database. */
export class MigrationOrderError extends StoreError {
  override readonly name = 'MigrationOrderError'
  override readonly code = 'ERR_MIGRATION_ORDER'
}

/** The migrations themselves are not as they should be: misnamed, missing, or their SQL fails. */
export class InvalidMigrationError extends StoreError {
  override readonly name = 'InvalidMigrationError'
  override readonly code = 'ERR_INVALID_MIGRATION'
}
