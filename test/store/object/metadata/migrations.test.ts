/** The schema, forth and back, and the databases and migrations that are refused. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { StoreClosedError } from '../../../../src/store/errors.ts'
import {
  ForeignDatabaseError,
  InvalidMigrationError,
  Metadata,
  MigrationChangedError,
  MigrationOrderError,
  NewerDatabaseError
} from '../../../../src/store/object/metadata/index.ts'
import {
  defaultMigrationsFolder,
  readMigrations
} from '../../../../src/store/object/metadata/migrations-folder.ts'
import { Schema } from '../../../../src/store/object/metadata/schema.ts'
import { hashOf, raw, testFolder, testPath } from './support.ts'

/** An open store, or one that is not open any more. */
const OWNER = 'owner'

const FIRST = '20251223000000_create_blobs_store'
const OURS = [FIRST, '20261127000000_keep_and_forget']
const VERSIONS = OURS.map(file => ({ version: file.slice(0, 14) }))
const A = '20270101000000_add_a'
const B = '20270201000000_add_b'

let path: string
let folder: string

beforeEach(() => {
  path = testPath()
  folder = join(testFolder(), 'migrations')
  mkdirSync(folder)
  copyOurs()
})

/** Our own migrations, to put others beside. */
function copyOurs(): void {
  const ours = defaultMigrationsFolder()
  for (const file of readdirSync(ours)) put(file, readFileSync(join(ours, file), 'utf8'))
}

function put(file: string, sql: string): void {
  writeFileSync(join(folder, file), sql)
}

/** A migration that makes a table, and drops it again. */
function putTable(migration: string, table: string): void {
  put(`${migration}.up.sql`, `CREATE TABLE ${table} (n INTEGER) STRICT;`)
  put(`${migration}.down.sql`, `DROP TABLE ${table};`)
}

function open(): Metadata {
  return Metadata.open(path, { migrationsFolder: folder })
}

/** Opens the database and closes it again. @returns the versions that were applied by then */
function migrated(): string[] {
  using _ = open()
  return appliedVersions()
}

function appliedVersions(): string[] {
  return raw(path, database =>
    database
      .prepare<[], string>("SELECT version || '_' || name FROM migrations ORDER BY version")
      .pluck()
      .all()
  )
}

/** All tables with their columns and all rules. */
function schemaOf(): unknown[] {
  return raw(path, database =>
    database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all()
  )
}

describe('migrations', () => {
  it('that come with the program are found, and are well-formed', () => {
    const migrations = readMigrations(defaultMigrationsFolder())
    expect(migrations[0]).toMatchObject({ version: '20251223000000', name: 'create_blobs_store' })
    for (const { checksum } of migrations) expect(checksum).toMatch(/^[0-9a-f]{64}$/)
  })

  it('bring up, down and up again what was there', () => {
    expect(migrated()).toEqual(OURS)
    const before = schemaOf()
    using schema = Schema.open(path)
    expect(schema.status()).toMatchObject({ applied: VERSIONS, pending: [] })
    expect(schema.rollback(5)).toHaveLength(OURS.length)
    expect(schemaOf().map(entry => (entry as { name: string }).name)).toEqual(['migrations'])
    expect(schema.status()).toMatchObject({ applied: [], pending: VERSIONS })
    expect(schema.rollback(1)).toEqual([])
    expect(schema.migrate()).toHaveLength(OURS.length)
    expect(schema.migrate()).toEqual([])
    expect(schemaOf()).toEqual(before)
    schema.check()
  })

  it('leave the schema the same, with each applied alone or all at once', () => {
    putTable(A, 'a')
    putTable(B, 'b')
    using schema = Schema.open(path, { migrationsFolder: folder })
    schema.migrate()
    const before = schemaOf()
    expect(schema.rollback(2).map(({ name }) => name)).toEqual(['add_b', 'add_a'])
    expect(appliedVersions()).toEqual(OURS)
    schema.migrate()
    expect(schemaOf()).toEqual(before)
  })

  it('that are new are applied, and keep what is there', () => {
    {
      using metadata = open()
      metadata.keepFragment(hashOf(1), { size: 5, add: 'a', drop: [] })
    }
    putTable(A, 'a')
    putTable(B, 'b')
    expect(migrated()).toEqual([...OURS, A, B])
    using metadata = open()
    expect(metadata.fragments(hashOf(1))).toEqual(['a'])
  })

  it('may make a table anew without what refers to it going along', () => {
    {
      using metadata = open()
      metadata.keepFragment(hashOf(1), { size: 5, add: 'a', drop: [] })
    }
    put(
      `${A}.up.sql`,
      `CREATE TABLE new_blobs AS SELECT * FROM blobs;
       DROP TABLE blobs;
       CREATE TABLE blobs (hash TEXT PRIMARY KEY, size, state, has_outboard, created_at, updated_at) WITHOUT ROWID;
       INSERT INTO blobs SELECT * FROM new_blobs;
       DROP TABLE new_blobs;`
    )
    put(`${A}.down.sql`, '')
    using metadata = open()
    expect(metadata.fragments(hashOf(1))).toEqual(['a'])
    metadata.remove(hashOf(1), OWNER)
    expect(metadata.fragments(hashOf(1))).toEqual([])
  })

  it('do not change when their lines end otherwise', () => {
    migrated()
    const text = readFileSync(join(folder, `${FIRST}.up.sql`), 'utf8')
    expect(text).toContain('\n')
    put(`${FIRST}.up.sql`, text.replaceAll('\n', '\r\n'))
    expect(migrated()).toEqual(OURS)
  })

  it('are not looked at when the database is closed', () => {
    const schema = Schema.open(path)
    schema.close()
    schema.close()
    for (const call of [
      () => schema.status(),
      () => schema.migrate(),
      () => schema.rollback(1),
      () => schema.check()
    ]) {
      expect(call).toThrow(StoreClosedError)
    }
  })
})

describe('a migration that fails', () => {
  it.each([
    [
      'its SQL is wrong',
      'CREATE TABLE a (n INTEGER); INSERT INTO nowhere VALUES (1);',
      /add_a \(up\) fails.*nowhere/
    ],
    ['it ends the transaction', 'CREATE TABLE a (n INTEGER); COMMIT;', /add_a \(up\) ends its transaction/],
    [
      'it breaks a reference',
      "INSERT INTO fragments VALUES ('x', 'y');",
      /leaves rows in "fragments".*"blobs"/
    ]
  ])('because %s is named', (_, sql, message) => {
    putTable(A, 'a')
    put(`${A}.up.sql`, sql)
    expect(open).toThrow(
      expect.objectContaining({ name: 'InvalidMigrationError', message: expect.stringMatching(message) })
    )
  })

  it('changes nothing; those before it stay, those after it are not tried', () => {
    migrated()
    putTable(A, 'a')
    putTable(B, 'b')
    put(`${B}.up.sql`, 'CREATE TABLE b (n INTEGER); DROP TABLE tags; INSERT INTO nowhere VALUES (1);')
    putTable('20270301000000_add_c', 'c')
    expect(open).toThrow(InvalidMigrationError)
    expect(appliedVersions()).toEqual([...OURS, A])
    const names = schemaOf().map(entry => (entry as { name: string }).name)
    expect(names).toContain('tags')
    expect(names).not.toContain('b')
    putTable(B, 'b')
    expect(migrated()).toHaveLength(OURS.length + 3)
  })

  it('on the way back changes nothing', () => {
    putTable(A, 'a')
    put(`${A}.down.sql`, 'DROP TABLE a; DROP TABLE nowhere;')
    migrated()
    using schema = Schema.open(path, { migrationsFolder: folder })
    expect(() => schema.rollback(1)).toThrow(/add_a \(down\) fails/)
    expect(appliedVersions()).toEqual([...OURS, A])
    expect(schemaOf().map(entry => (entry as { name: string }).name)).toContain('a')
  })
})

describe('a database is refused', () => {
  const expectRefused = (error: new (...args: never[]) => Error, message: RegExp): void => {
    const before = readFileSync(path)
    expect(open).toThrow(error)
    expect(open).toThrow(message)
    expect(open).toThrow(path)
    expect(readFileSync(path)).toEqual(before)
  }

  it('when a newer program made it, naming what is not known', () => {
    putTable(A, 'a')
    putTable(B, 'b')
    migrated()
    folder = defaultMigrationsFolder()
    expectRefused(NewerDatabaseError, /newer version.*20270101000000, 20270201000000/)
    using schema = Schema.open(path)
    expect(() => schema.migrate()).toThrow(NewerDatabaseError)
    expect(() => schema.rollback(1)).toThrow(NewerDatabaseError)
    expect(() => schema.status()).toThrow(NewerDatabaseError)
  })

  it('when what was applied has another text now', () => {
    migrated()
    put(`${FIRST}.up.sql`, `${readFileSync(join(folder, `${FIRST}.up.sql`), 'utf8')}-- more`)
    expectRefused(MigrationChangedError, /20251223000000 has changed.*checksum/)
  })

  it('when what was applied has another name now', () => {
    putTable(A, 'a')
    migrated()
    putTable(B, 'b')
    raw(path, database => database.exec("UPDATE migrations SET name = 'add_z' WHERE name = 'add_a'"))
    expectRefused(MigrationChangedError, /was called "add_z", now "add_a"/)
  })

  it('when a migration is to come before one that was applied', () => {
    putTable(B, 'b')
    migrated()
    putTable(A, 'a')
    expectRefused(MigrationOrderError, /20270101000000_add_a was not applied.*20270201000000 already/)
  })

  it('when it has a migration between ours that we lack', () => {
    putTable(A, 'a')
    putTable(B, 'b')
    migrated()
    raw(path, database =>
      database.exec("UPDATE migrations SET version = '20270115000000' WHERE name = 'add_a'")
    )
    expectRefused(MigrationOrderError, /20270101000000_add_a was not applied/)
    raw(path, database =>
      database.exec("UPDATE migrations SET version = '20251231000000' WHERE name = 'add_a'")
    )
    expectRefused(MigrationOrderError, /has migration 20251231000000_add_a, which this program lacks/)
  })

  it('when it belongs to another program', () => {
    raw(path, database => database.exec('CREATE TABLE bookmarks (url TEXT)'))
    expectRefused(ForeignDatabaseError, /database of another program; choose another path/)
  })

  it('when it says that it belongs to another program', () => {
    raw(path, database => database.exec('PRAGMA application_id = 252006673; VACUUM'))
    expectRefused(ForeignDatabaseError, /database of another program/)
  })

  it('when it is no database', () => {
    writeFileSync(path, 'The quick brown fox jumps over the lazy dog.\n'.repeat(100))
    expectRefused(ForeignDatabaseError, /no SQLite database/)
    expect(existsSync(`${path}-wal`)).toBe(false)
  })
})

it('an empty file becomes a database', () => {
  writeFileSync(path, '')
  expect(migrated()).toEqual(OURS)
})

describe('a folder of migrations is refused', () => {
  it.each([
    ['when a down is missing', `${A}.up.sql`, /20270101000000_add_a\.down\.sql is missing/],
    ['when an up is missing', `${A}.down.sql`, /20270101000000_add_a\.up\.sql is missing/],
    ['when one is misnamed', '2027_add_a.up.sql', /2027_add_a\.up\.sql is not named like a migration/],
    ['when a version is there twice', '20251223000000_other.up.sql', /two migrations 20251223000000/]
  ])('%s', (_, file, message) => {
    put(file, '')
    expect(open).toThrow(InvalidMigrationError)
    expect(open).toThrow(message)
    expect(existsSync(path)).toBe(false)
  })

  it('when it is not there', () => {
    folder = join(folder, 'nowhere')
    expect(open).toThrow(InvalidMigrationError)
  })
})

it('what is in a folder of migrations is taken as it is, or refused by its name, whatever it is called', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 12, maxLength: 15 })
  const name = fc.string({ unit: fc.constantFrom(...'abz09_-. '), maxLength: 6 })
  const ending = fc.constantFrom('.up.sql', '.down.sql', '.sql', '.up', '')
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(digits, name, ending), { maxLength: 3 }), files => {
      const at = testFolder()
      for (const [version, name, ending] of files)
        writeFileSync(join(at, `${version}_${name}${ending}`), 'SELECT 1;')
      try {
        const migrations = readMigrations(at)
        expect(2 * migrations.length).toBe(readdirSync(at).filter(file => file.endsWith('.sql')).length)
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidMigrationError)
        expect((error as Error).message).toContain(at)
      }
    })
  )
})
