/** Disks, other processes and other programs that do what they should not. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { StoreError, StoreFullError } from '../../../../src/store/errors.ts'
import {
  DatabaseBusyError,
  DatabaseDamagedError,
  Metadata,
  MetadataError
} from '../../../../src/store/object/metadata/index.ts'
import { Schema } from '../../../../src/store/object/metadata/schema.ts'
import { explained } from '../../../../src/store/object/metadata/sqlite-errors.ts'
import { hashOf, raw, testFolder, testMetadata, testPath } from './support.ts'

/** An open store, or one that is not open any more. */
const OWNER = 'owner'

const HASH = hashOf(1)
const CHILD = new URL('failing-child.ts', import.meta.url).pathname

let path: string

beforeEach(() => {
  path = testPath()
})

/** Fills a database, and closes it. */
function fill(rows: number): void {
  using metadata = Metadata.open(path)
  metadata.transaction(() => {
    for (let i = 0; i < rows; i++) metadata.markComplete(hashOf(i), { size: i, hasOutboard: false })
  })
}

/** What `action` throws. */
function thrownBy(action: () => unknown): Error & { code: string; cause: unknown } {
  try {
    action()
  } catch (error) {
    return error as Error & { code: string; cause: unknown }
  }
  throw new Error('it did not throw')
}

describe('a row that cannot be', () => {
  const spoil = (sql: string): Metadata => {
    fill(3)
    raw(path, database => {
      database.pragma('ignore_check_constraints = ON')
      const key = HASH.toBase32()
      expect(database.prepare(sql).run({ key }).changes).toBe(1)
    })
    return testMetadata(path)
  }

  it.each([
    [
      'an unknown state',
      "UPDATE blobs SET state = 'leased' WHERE hash = @key",
      /the state "leased" is not known/
    ],
    [
      'a state of other letters',
      "UPDATE blobs SET state = 'Complete' WHERE hash = @key",
      /the state "Complete"/
    ],
    ['an empty state', "UPDATE blobs SET state = '' WHERE hash = @key", /the state ""/],
    ['a negative size', 'UPDATE blobs SET size = -1 WHERE hash = @key', /-1 is no size/],
    ['an enormous size', 'UPDATE blobs SET size = 9007199254740993 WHERE hash = @key', /is no size/],
    ['no known outboard', 'UPDATE blobs SET has_outboard = 2 WHERE hash = @key', /has_outboard is 2/],
    ['no time', 'UPDATE blobs SET updated_at = -5 WHERE hash = @key', /a time is none/]
  ])('because of %s is an error, and never a blob', (_, sql, message) => {
    const metadata = spoil(sql)
    for (const read of [() => metadata.find(HASH), () => metadata.listBlobs({ limit: 10 })]) {
      const error = thrownBy(read)
      expect(error).toBeInstanceOf(MetadataError)
      expect(error.message).toMatch(message)
      expect(error.message).toContain(path)
      expect(error.message).toContain(HASH.toBase32())
      expect(error.message).toMatch(/blobs recover/)
    }
    expect(metadata.find(hashOf(2))?.state).toBe('complete')
    // What has been proven since then is put in its place.
    metadata.markComplete(HASH, { size: 1, hasOutboard: false })
    expect(metadata.find(HASH)?.state).toBe('complete')
  })

  it.each(['x'.repeat(52), `${'a'.repeat(51)}1`, 'a', HASH.toBase32().toUpperCase()])(
    'because %j is no hash',
    hash => {
      fill(0)
      raw(path, database => {
        database.pragma('ignore_check_constraints = ON')
        database.prepare("INSERT INTO blobs VALUES (?, 1, 'complete', 0, 0, 0)").run(hash)
        database.prepare("INSERT INTO deletions VALUES (?, '', 0, 0, 0)").run(hash)
        database.prepare("INSERT INTO tags VALUES (x'61', ?, 'raw', 0, 0, 1)").run(hash)
      })
      const metadata = testMetadata(path)
      expect(() => metadata.listBlobs({ limit: 10 })).toThrow(MetadataError)
      expect(() => metadata.pendingDeletions(10)).toThrow(MetadataError)
      expect(() => metadata.listTags({ limit: 10 })).toThrow(MetadataError)
    }
  )

  it.each([
    ["x'80'", "'raw'", /a name is not in UTF-8/],
    ["x'61'", "'hashseq'", /row "a": the format "hashseq" is not known/]
  ])('because a tag is %s, %s', (name, format, message) => {
    fill(0)
    raw(path, database => {
      database.pragma('ignore_check_constraints = ON')
      database.prepare(`INSERT INTO tags VALUES (${name}, ?, ${format}, 0, 0, 1)`).run(HASH.toBase32())
    })
    expect(() => testMetadata(path).listTags({ limit: 10 })).toThrow(message)
  })

  it('cannot come about by what others write in good faith', () => {
    fill(1)
    raw(path, database => {
      expect(() => database.exec("UPDATE blobs SET state = 'leased'")).toThrow(/CHECK constraint/)
      expect(() => database.exec("UPDATE blobs SET size = 'many'")).toThrow(/cannot store TEXT/)
      expect(() => database.exec('UPDATE blobs SET size = -1')).toThrow(/CHECK constraint/)
      expect(() => database.exec("INSERT INTO fragments VALUES ('x', 'y')")).toThrow(/FOREIGN KEY/)
    })
  })
})

describe('a damaged database', () => {
  it('is told, with what to do, and is never taken for an empty one', () => {
    fill(2000)
    const bytes = readFileSync(path)
    bytes.fill(0x55, 4096 * 2)
    writeFileSync(path, bytes)
    const error = thrownBy(() => {
      using metadata = Metadata.open(path)
      metadata.listBlobs({ limit: 5000 })
    })
    expect(error).toBeInstanceOf(DatabaseDamagedError)
    expect(error.code).toBe('ERR_DATABASE_DAMAGED')
    expect(error.message).toContain(`remove it, with ${path}-wal and ${path}-shm, and run "blobs recover"`)
    expect(error.cause).toBeInstanceOf(Database.SqliteError)
    expect(thrownBy(() => Schema.open(path).check())).toBeInstanceOf(DatabaseDamagedError)
  })

  it('is found by a check, where it is not in the way', () => {
    fill(2000)
    raw(path, database => {
      database.pragma('ignore_check_constraints = ON')
      database.exec("UPDATE blobs SET state = 'leased' WHERE size = 1234")
    })
    using schema = Schema.open(path)
    expect(() => schema.check()).toThrow(DatabaseDamagedError)
    expect(() => schema.check()).toThrow(/CHECK constraint failed in blobs/)
  })

  it('ends in an error of ours or goes well, wherever it is damaged', () => {
    fill(300)
    const whole = readFileSync(path)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 30 }),
        fc.option(fc.nat(whole.length), { nil: whole.length }),
        (changes, length) => {
          const bytes = Buffer.from(whole)
          for (const [at, value] of changes) bytes[at] = value
          const damaged = testPath()
          writeFileSync(damaged, bytes.subarray(0, length))
          try {
            using metadata = Metadata.open(damaged)
            for (const row of metadata.listBlobs({ limit: 1000 })) expect(row.state).toBe('complete')
            metadata.markComplete(HASH, { size: 5, hasOutboard: false })
            metadata.remove(HASH, OWNER)
          } catch (error) {
            expect(error).toBeInstanceOf(StoreError)
          }
        }
      ),
      { numRuns: 60 }
    )
  })
})

describe('a database that another process does not let go', () => {
  it('is told after a while, and works again afterwards', () => {
    const metadata = testMetadata(path, { busyTimeoutMs: 20 })
    const other = new Database(path)
    other.exec('BEGIN IMMEDIATE')
    const error = thrownBy(() => metadata.setFact('a', '1'))
    expect(error).toBeInstanceOf(DatabaseBusyError)
    expect(error.message).toContain(`${path} is locked by another process`)
    expect(metadata.fact('a')).toBe(undefined)
    other.exec('COMMIT')
    metadata.setFact('a', '1')
    other.close()
    expect(metadata.fact('a')).toBe('1')
  })

  it('is told when it is opened', () => {
    const other = new Database(path)
    other.exec('BEGIN EXCLUSIVE')
    expect(thrownBy(() => Metadata.open(path, { busyTimeoutMs: 20 }))).toBeInstanceOf(DatabaseBusyError)
    other.close()
    testMetadata(path)
  })
})

describe('a database where somebody may not write', () => {
  /** As somebody who is not root, for whom alone rights count. */
  const openAsOther = (): string => {
    const isRoot = process.getuid?.() === 0
    const { stdout, stderr } = spawnSync(process.execPath, [CHILD, path], {
      encoding: 'utf8',
      ...(isRoot ? { uid: 65534, gid: 65534 } : {})
    })
    return stdout || stderr
  }

  it('cannot be made, in a folder that is read-only', () => {
    chmodSync(dirname(path), 0o555)
    expect(openAsOther()).toContain(
      `StoreError: database ${path} cannot be opened; see that its folder is there`
    )
  })

  it('cannot be made, in a folder that cannot be made', () => {
    chmodSync(dirname(path), 0o555)
    path = join(dirname(path), 'sub', 'blobs.db')
    expect(openAsOther()).toMatch(/StoreError: cannot make the folder of database .*: permission denied/)
  })

  it('cannot be written to', () => {
    fill(1)
    chmodSync(path, 0o444)
    chmodSync(dirname(path), 0o555)
    expect(openAsOther()).toMatch(/StoreError: database .* cannot be (written to|opened)/)
    expect(openAsOther()).toContain(path)
  })

  it('cannot be read', () => {
    fill(1)
    chmodSync(path, 0o000)
    chmodSync(dirname(path), 0o755)
    expect(openAsOther()).toContain(`StoreError: database ${path} cannot be opened`)
  })

  it('cannot be a folder', () => {
    mkdirSync(path)
    expect(thrownBy(() => Metadata.open(path))).toBeInstanceOf(StoreError)
    expect(() => Metadata.open(path)).toThrow(`database ${path} cannot be opened`)
  })

  it('cannot lie below a file', () => {
    writeFileSync(path, '')
    const error = thrownBy(() => Metadata.open(join(path, 'blobs.db')))
    expect(error).toBeInstanceOf(StoreError)
    expect(error.message).toContain('cannot make the folder of database')
  })
})

describe('a full disk', () => {
  it('is told by its name, whatever SQLite calls it', () => {
    const database = new Database(':memory:')
    database.exec('CREATE TABLE t (b BLOB)')
    database.pragma('max_page_count = 4')
    const error = thrownBy(() =>
      explained('/data/blobs.db', () => database.exec('INSERT INTO t VALUES (zeroblob(100000))'))
    )
    expect(error).toBeInstanceOf(StoreFullError)
    expect(error.message).toContain('/data/blobs.db: the disk is full')
    expect((error.cause as { code: string }).code).toBe('SQLITE_FULL')
  })

  const mounted: string[] = []
  const smallDisk = (size: string): string | undefined => {
    const folder = mkdtempSync(join(tmpdir(), 'small-disk-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'pipe' })
    } catch {
      rmSync(folder, { recursive: true })
      return undefined
    }
    mounted.push(folder)
    return folder
  }
  afterAll(() => {
    for (const folder of mounted) {
      execFileSync('umount', [folder])
      rmSync(folder, { recursive: true })
    }
  })

  const canMount = smallDisk('1m') !== undefined

  describe.skipIf(!canMount)('(skipped where tmpfs cannot be mounted)', () => {
    it('keeps what was there, and takes more when there is room again', () => {
      const folder = smallDisk('1m')!
      const metadata = testMetadata(join(folder, 'blobs.db'))
      let kept = 0
      const error = thrownBy(() => {
        for (; ; kept++) metadata.markComplete(hashOf(kept), { size: kept, hasOutboard: false })
      })
      expect(error).toBeInstanceOf(StoreFullError)
      expect(metadata.countBlobs()).toEqual({ complete: kept, partial: 0 })
      execFileSync('mount', ['-o', 'remount,size=8m', folder])
      metadata.markComplete(hashOf(kept), { size: kept, hasOutboard: false })
      metadata.close()
      using again = Metadata.open(join(folder, 'blobs.db'))
      expect(again.listBlobs({ limit: kept + 10 })).toHaveLength(kept + 1)
    })

    it.each(['8k', '20k', '40k', '60k'])('of %s is told when the database is to be made', size => {
      const file = join(smallDisk(size)!, 'blobs.db')
      expect(thrownBy(() => Metadata.open(file))).toBeInstanceOf(StoreFullError)
    })
  })
})

it('a folder that is made for the database is for its owner only', () => {
  const folder = join(testFolder(), 'made')
  testMetadata(join(folder, 'blobs.db'))
  expect(statSync(folder).mode & 0o077).toBe(0)
})
