/** `blobs db`, as users and scripts run it. */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { EMPTY_HASH } from '../../src/hash.ts'
import { Metadata } from '../../src/store/object/metadata/index.ts'
import { type Scratch, scratch } from '../node/support.ts'
import { ensureBuilt, Program, type ProgramEvent, type Result } from './program.ts'

const FIRST = { version: '20251223000000', name: 'create_blobs_store' }
const SECOND = { version: '20261127000000', name: 'keep_and_forget' }

beforeAll(ensureBuilt)

let folder: Scratch
let path: string

beforeEach(async () => {
  folder = await scratch()
  path = folder.in('blobs.db')
})

afterEach(async () => {
  await folder[Symbol.asyncDispose]()
})

async function db(...args: string[]): Promise<Result> {
  return await new Program(['db', ...args], { cwd: folder.path }).ended
}

async function events(...args: string[]): Promise<ProgramEvent[]> {
  const program = new Program(['db', ...args, '--json', '--db-path', path], { cwd: folder.path })
  const { code, stderr } = await program.ended
  expect(stderr).toBe('')
  expect(code).toBe(EXIT.ok)
  return program.events
}

/** A home whose store has a database, at its usual place or another one. */
async function home(...lines: string[]): Promise<string> {
  const at = folder.in('home')
  await mkdir(at)
  await writeFile(join(at, 'config.toml'), ['[blob_store]', ...lines, ''].join('\n'))
  return at
}

function expectFailure({ code, stdout, stderr }: Result, exitCode: number, message: RegExp): void {
  expect(stderr).toMatch(message)
  expect(code).toBe(exitCode)
  expect(stderr.split('\n').filter(line => line.startsWith('error:'))).toHaveLength(1)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(stdout).toBe('')
}

describe('blobs db', () => {
  it('tells scripts what it does', async () => {
    expect(await events('status')).toEqual([
      { event: 'database', path, state: 'missing', applied: 0, pending: 0 }
    ])
    expect(existsSync(path)).toBe(false)

    const current = { event: 'database', path, state: 'current', applied: 2, pending: 0 }
    expect(await events('migrate')).toEqual([
      { event: 'migrated', ...FIRST },
      { event: 'migrated', ...SECOND },
      current
    ])
    expect(await events('migrate')).toEqual([current])
    expect(await events('status')).toEqual([
      { event: 'migration', ...FIRST, state: 'applied', appliedAt: expect.any(Number) },
      { event: 'migration', ...SECOND, state: 'applied', appliedAt: expect.any(Number) },
      current
    ])

    const behind = { event: 'database', path, state: 'behind', applied: 1, pending: 1 }
    expect(await events('rollback')).toEqual([{ event: 'rolled_back', ...SECOND }, behind])
    expect(await events('status')).toEqual([
      { event: 'migration', ...FIRST, state: 'applied', appliedAt: expect.any(Number) },
      { event: 'migration', ...SECOND, state: 'pending', appliedAt: null },
      behind
    ])
    expect(await events('migrate')).toEqual([{ event: 'migrated', ...SECOND }, current])

    const empty = { ...behind, applied: 0, pending: 2 }
    const both = [SECOND, FIRST].map(fields => ({ event: 'rolled_back', ...fields }))
    expect(await events('rollback', '--steps', '2', '--yes')).toEqual([...both, empty])
    expect(await events('rollback')).toEqual([empty])
  })

  it('tells people the same', async () => {
    const migrated = await db('migrate', '--db-path', 'blobs.db')
    expect(migrated.stdout).toBe(
      `applied 20251223000000  create_blobs_store\napplied 20261127000000  keep_and_forget\ndatabase ${path} is up to date\n`
    )
    const { stdout } = await db('status', '--db-path', 'blobs.db')
    expect(stdout).toMatch(
      /^20251223000000 {2}create_blobs_store {2}\d{4}-\d\d-\d\dT.*Z\n20261127000000 {2}keep_and_forget {2}.*Z\ndatabase .* is up to date\n$/
    )
  })

  it("finds the home's database, at its usual place", async () => {
    const at = await home('type = "filesystem"')
    const { stdout } = await db('migrate', '--home', at)
    expect(stdout).toContain(`database ${join(at, 'blobs.db')} is up to date`)
    expect(existsSync(join(at, 'blobs.db'))).toBe(true)
  })

  it("finds the home's database, where its configuration says", async () => {
    const at = await home('type = "filesystem"', 'db_path = "index/of.db"')
    const { stdout } = await db('status', '--home', at)
    expect(stdout).toContain(`database ${join(at, 'index/of.db')} is not there yet`)
  })

  it('says that a home of type legacy has none', async () => {
    const at = await home('type = "legacy"')
    const result = await db('status', '--home', at)
    expectFailure(result, EXIT.usage, /is of type "legacy", which has no database; name one with --db-path/)
  })

  it('says that there is no home', async () => {
    expectFailure(await db('status', '--home', folder.in('nowhere')), EXIT.usage, /is no home of blobs yet/)
  })

  it('does not drop everything unless told that it is meant', async () => {
    {
      using metadata = Metadata.open(path)
      metadata.markComplete(EMPTY_HASH, { size: 0, hasOutboard: false })
    }
    for (const steps of ['2', '7']) {
      const result = await db('rollback', '--steps', steps, '--db-path', path)
      expectFailure(result, EXIT.usage, /drops all that is in .*blobs\.db; say --yes/)
    }
    using metadata = Metadata.open(path)
    expect(metadata.find(EMPTY_HASH)?.state).toBe('complete')
  })

  it('does not take back what is not there', async () => {
    expectFailure(
      await db('rollback', '--yes', '--db-path', path),
      EXIT.usage,
      /there is no database .*blobs\.db/
    )
    expect(existsSync(path)).toBe(false)
  })

  it.each(['0', '-1', '1.5', 'all', ''])('does not take back %j migrations', async steps => {
    const result = await db('rollback', `--steps=${steps}`, '--db-path', path)
    expectFailure(result, EXIT.usage, /A number of migrations is meant/)
  })

  it('without saying what to do shows how it is used', async () => {
    const { code, stderr, stdout } = await db()
    expect(code).toBe(EXIT.usage)
    expect(stderr + stdout).toMatch(/status.*migrate.*rollback/s)
    expect((await db('--help')).code).toBe(EXIT.ok)
  })
})

describe('blobs db refuses, and does not touch', () => {
  it('what is no database', async () => {
    await writeFile(path, 'a letter to grandmother\n'.repeat(100))
    for (const command of ['status', 'migrate']) {
      expectFailure(await db(command, '--db-path', path), EXIT.usage, /is no SQLite database/)
    }
    expect(readFileSync(path, 'utf8')).toBe('a letter to grandmother\n'.repeat(100))
  })

  it('what belongs to another program', async () => {
    new Database(path).exec('CREATE TABLE bookmarks (url TEXT)').close()
    expectFailure(await db('migrate', '--db-path', path), EXIT.usage, /database of another program/)
  })

  it('what a newer version has made', async () => {
    Metadata.open(path).close()
    new Database(path).exec("INSERT INTO migrations VALUES ('29990101000000', 'later', '', 0)").close()
    for (const command of ['status', 'migrate', 'rollback']) {
      expectFailure(await db(command, '--db-path', path), EXIT.failed, /newer version.*29990101000000/)
    }
  })

  it('what is damaged', async () => {
    {
      using metadata = Metadata.open(path)
      metadata.markComplete(EMPTY_HASH, { size: 0, hasOutboard: false })
    }
    const database = new Database(path)
    database.pragma('ignore_check_constraints = ON')
    database.exec("UPDATE blobs SET state = 'leased'").close()
    expectFailure(await db('status', '--db-path', path), EXIT.badData, /is damaged: .*run "blobs recover"/)
  })
})
