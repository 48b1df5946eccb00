/** Keeping and forgetting, as users and scripts do it. */
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { EMPTY_HASH, Hash } from '../../src/hash.ts'
import { loadConfig } from '../../src/node/load-config.ts'
import { openStore } from '../../src/node/open-store.ts'
import { receive } from '../../src/store/compliance/checks.ts'
import { groups, sample } from '../../src/store/compliance/samples.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { formatS3Url } from '../../src/store/object/storage/s3/url.ts'
import { randomData } from '../helpers/data.ts'
import { type S3UnderTest, s3UnderTest } from '../helpers/s3.ts'
import { Throttle } from '../helpers/throttle.ts'
import { type Scratch, scratch, writeTree } from '../node/support.ts'
import { ensureBuilt, Program, type ProgramEvent, type Result, throttled } from './program.ts'

let folder: Scratch
let home: readonly string[]

beforeAll(ensureBuilt)

beforeEach(async () => {
  folder = await scratch()
  home = ['--home', folder.in('home')]
  await writeTree(folder.path, { 'one.bin': randomData(200_000, 1), 'two.bin': randomData(50_000, 2) })
  await writeTree(folder.in('tree'), { a: randomData(30_000, 3), b: randomData(40_000, 4) })
})

afterEach(() => folder[Symbol.asyncDispose]())

async function run(...args: readonly string[]): Promise<Result> {
  return await new Program([...args, ...home], { cwd: folder.path }).ended
}

/** Runs a command that has to succeed. @returns its events */
async function blobs(...args: readonly string[]): Promise<ProgramEvent[]> {
  const program = new Program([...args, ...home, '--json'], { cwd: folder.path })
  const { code, stdout, stderr } = await program.ended
  expect(code, `${args.join(' ')}\n${stdout}\n${stderr}`).toBe(EXIT.ok)
  return program.events
}

/** Runs a command that has to fail: in one line, without a stack. */
async function failure(exitCode: number, message: RegExp, ...args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await run(...args)
  expect(stderr).toMatch(message)
  expect(code).toBe(exitCode)
  expect(stderr.split('\n').filter(line => line.startsWith('error:'))).toHaveLength(1)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(stdout).toBe('')
}

async function add(...args: readonly string[]): Promise<string> {
  const [added] = await blobs('add', ...args)
  return String(added!.hash)
}

async function held(): Promise<string[]> {
  return (await blobs('ls')).map(({ hash }) => String(hash)).sort()
}

async function tags(...args: readonly string[]): Promise<unknown[]> {
  return (await blobs('tags', ...args)).map(({ name }) => name)
}

/** The home's store, as another process has it. */
async function openHomeStore(): Promise<BlobStore> {
  const path = folder.in('home')
  return await openStore(await loadConfig(path, {}, 'test'), path)
}

/** Changes the home's config file. */
async function configure(text: string): Promise<void> {
  await writeFile(folder.in('home', 'config.toml'), text)
}

describe('blobs gc', { timeout: 300_000 }, () => {
  it('tells what it would delete, and deletes it', async () => {
    await blobs('init')
    const one = await add('one.bin')
    const tree = await add('tree')
    await blobs('tags', 'rm', 'one.bin')
    const kept = (await held()).filter(hash => hash !== one)
    expect(await run('gc', '--dry-run')).toMatchObject({
      code: EXIT.ok,
      stdout: expect.stringMatching(
        new RegExp(`^${one}  195\\.3 KiB\nwould delete 1 blob, 195\\.3 KiB; 4 blobs, [\\d.]+ KiB, stay\n$`)
      )
    })
    expect(await held()).toContain(one)
    const [garbage, collected, ...rest] = await blobs('gc')
    expect(garbage).toEqual({ event: 'garbage', hash: one, bytes: 200_000, isPartial: false })
    expect(collected).toMatchObject({
      event: 'collected',
      dryRun: false,
      blobs: 1,
      bytes: 200_000,
      keptBlobs: 4
    })
    expect(rest).toEqual([])
    expect(await held()).toEqual(kept)
    expect(kept).toContain(tree)
    expect((await run('gc')).stdout).toMatch(/^deleted 0 blobs, 0 B; 4 blobs, /)
  })

  it('leaves partial blobs for as long as it is told to', async () => {
    await blobs('init')
    const blob = sample(200_000)
    {
      await using store = await openHomeStore()
      await receive(store, blob, groups(0, 2))
    }
    await blobs('gc')
    await blobs('gc', '--partial-days', '0.5')
    expect(await held()).toEqual([String(blob.hash)])
    expect(await run('gc', '--dry-run', '--partial-days', '0')).toMatchObject({
      stdout: expect.stringMatching(/32\.0 KiB {2}partial\n/)
    })
    await configure('[gc]\npartial_days = 0\n')
    expect(await blobs('gc')).toContainEqual(expect.objectContaining({ event: 'garbage', isPartial: true }))
    expect(await held()).toEqual([])
    await failure(EXIT.usage, /A number of days is meant/, 'gc', '--partial-days', 'all')
    await failure(EXIT.usage, /A number of days is meant/, 'gc', '--partial-days', '-1')
  })

  it('leaves what has come of a collection until it is gone on with, for as long as it is told to', async () => {
    const size = 60_000_000
    await writeTree(folder.in('tree'), { z: randomData(size, 5) })
    const source = ['--home', folder.in('source')]
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0']
    await new Program(['init', ...source], { cwd: folder.path }).ended
    await new Program(['add', 'tree', ...source], { cwd: folder.path }).ended
    const serving = new Program(['serve', ...listen, ...source, '--json'], { cwd: folder.path })
    try {
      const ticket = String((await serving.untilEvent('ticket')).ticket)
      await blobs('init')
      await using throttle = new Throttle(10_000_000)
      const slowly = await throttled(ticket, throttle)
      const getting = new Program(['get', slowly, ...home, '--json'], { cwd: folder.path })
      await getting.until(({ events }) => events.find(({ received }) => Number(received) > 8_000_000))
      await getting.stop('SIGKILL')
      await writeTree(folder.path, { 'other.bin': randomData(1000, 6) })
      await add('other.bin')
      await blobs('tags', 'rm', 'other.bin')
      // The list itself is whole, and nothing else says that it is to be kept.
      expect((await held()).length).toBeGreaterThanOrEqual(3)
      expect((await blobs('gc')).at(-1)).toMatchObject({ blobs: 1 })
      expect(await tags()).toEqual([expect.stringMatching(/^unfinished\/[0-9a-f]{64}\/\d+$/)])
      const got = await blobs('get', ticket)
      const resumed = got.find(({ event }) => event === 'resumed')
      expect(Number(resumed?.percent)).toBeGreaterThan(5)
      expect(await tags()).toEqual(['tree'])

      await blobs('tags', 'rm', 'tree')
      await blobs(
        'tags',
        'set',
        `unfinished/${resumed!.hash}/1000`,
        String(resumed!.hash),
        '--format',
        'hash_seq'
      )
      await blobs('gc')
      expect(await held()).toEqual([])
      expect(await tags()).toEqual([])
    } finally {
      await serving.stop()
    }
  })

  it('does not guess what a list that is not here stands for', async () => {
    await blobs('init')
    const one = await add('one.bin')
    await blobs('tags', 'rm', 'one.bin')
    await blobs('tags', 'set', 'list', String(sample(64).hash), '--format', 'hash_seq')
    await failure(EXIT.failed, /"list" stands for is not all here.*get it again, or delete the tag/, 'gc')
    expect(await held()).toEqual([one])
    await blobs('tags', 'rm', 'list')
    await blobs('gc')
    expect(await held()).toEqual([])
  })
})

describe('blobs gc on a bucket', { timeout: 300_000 }, () => {
  let s3: S3UnderTest

  beforeAll(async () => {
    s3 = await s3UnderTest()
  })

  afterAll(() => s3.stop())

  it('works on a prefix of its own, and is refused on one that is shared', async () => {
    const { endpoint, accessKey, secretKey, bucket, region } = s3
    const url = formatS3Url({ endpoint, accessKey, secretKey, bucket, region, prefix: s3.newPrefix() })
    await blobs('init', '--store', 's3', '--s3-url', url)
    const one = await add('one.bin')
    await blobs('tags', 'rm', 'one.bin')
    const config = folder.in('home', 'config.toml')
    const before = await readFile(config, 'utf8')
    const after = before.replace(/^# read_through = false$/m, 'read_through = true')
    expect(after).not.toBe(before)
    await configure(after)
    await failure(EXIT.failed, /is shared with other nodes \(read_through\)/, 'gc')
    expect(await held()).toEqual([one])
    await configure(before)
    await blobs('gc')
    expect(await held()).toEqual([])
  })
})

describe('blobs tags', { timeout: 300_000 }, () => {
  it('lists, sets, renames and deletes', async () => {
    await blobs('init')
    const one = await add('one.bin')
    const tree = await add('tree')
    expect((await run('tags')).stdout).toBe(`${one}  raw       one.bin\n${tree}  hash_seq  tree\n`)
    const [set] = await blobs('tags', 'set', 'second', 'tree')
    expect(set).toEqual({ event: 'tag', name: 'second', hash: tree, format: 'hash_seq' })
    expect(await blobs('tags', 'set', 'third', one)).toMatchObject([{ hash: one, format: 'raw' }])
    expect(await tags('list', '--prefix', 't')).toEqual(['third', 'tree'])
    expect(await tags('--from', 'p', '--to', 'third')).toEqual(['second'])
    expect((await run('tags', 'rename', 'third', 'two words')).stdout).toBe("third is now 'two words'\n")
    expect(await tags()).toEqual(['one.bin', 'second', 'tree', 'two words'])
    // A tag that has the name is replaced; the blob has one still.
    await blobs('tags', 'rename', 'two words', 'second')
    expect(await blobs('tags', '--prefix', 'second')).toMatchObject([{ hash: one }])
    expect(await blobs('tags', 'rm', 'second', 'tree')).toMatchObject([
      { event: 'untagged', name: 'second' },
      { event: 'untagged', name: 'tree' }
    ])
    expect(await tags()).toEqual(['one.bin'])
    await blobs('gc')
    expect(await held()).toEqual([one])
  })

  it('tells what is wrong', async () => {
    await blobs('init')
    await failure(EXIT.notFound, /there is no tag "a"/, 'tags', 'rm', 'a')
    await failure(EXIT.notFound, /there is no tag "a"/, 'tags', 'rename', 'a', 'b')
    await failure(EXIT.notFound, /there is no tag "a" in this home/, 'tags', 'set', 'b', 'a')
    await failure(
      EXIT.usage,
      /a tag cannot be named so: the name is empty/,
      'tags',
      'set',
      '',
      EMPTY_HASH.toString()
    )
    await failure(EXIT.usage, /raw, hash_seq/, 'tags', 'set', 'a', EMPTY_HASH.toString(), '--format', 'list')
    await failure(EXIT.usage, /too many arguments for 'list'/, 'tags', 'delete', 'a')
  })

  it.each([['gc'], ['tags'], ['tags', 'list'], ['tags', 'set'], ['tags', 'rename'], ['tags', 'rm']])(
    '%s %s --help tells the options of all commands',
    async (...command) => {
      const { code, stdout } = await run(...command, '--help')
      expect(code).toBe(EXIT.ok)
      for (const option of ['--home', '--json', '--debug']) expect(stdout).toContain(option)
      if (command.join() !== 'tags') expect(stdout).toMatch(/Examples:\n {2}\$ blobs /)
    }
  )
})

describe('blobs rm', { timeout: 300_000 }, () => {
  it('does not take what a tag holds, unless it is forced to', async () => {
    await blobs('init')
    const one = await add('one.bin')
    await blobs('add', 'tree')
    const inTree = (await held()).find(hash => hash !== one)!
    await failure(EXIT.failed, /held by the tag "one\.bin"/, 'rm', one)
    await failure(EXIT.failed, /held by the tag "tree"/, 'rm', inTree)
    expect((await run('rm', '--force', one)).stdout).toBe('removed 1 blob and the tag one.bin\n')
    await blobs('rm', '--force', inTree)
    expect(await held()).not.toContain(inTree)
    expect(await tags('--prefix', 'one')).toEqual([])
  })

  it('takes what a lease protects: that keeps it from being collected, not from being removed', async () => {
    await blobs('init')
    const one = await add('one.bin')
    await using store = await openHomeStore()
    await using lease = await store.lease()
    await lease.protect({ hash: Hash.parse(one), format: 'raw' })
    await blobs('tags', 'rm', 'one.bin')
    await blobs('gc')
    expect(await held()).toEqual([one])
    await blobs('rm', one)
    expect(await held()).toEqual([])
  })
})

describe('max_size', { timeout: 300_000 }, () => {
  it('has "blobs add" refuse what is too large, and take it when there is room', async () => {
    await blobs('init')
    await configure('[blob_store]\nmax_size = 220_000\n')
    const one = await add('one.bin')
    await failure(
      EXIT.full,
      /no room for 50000 more bytes: of 220000 \(max_size\) 200000 are in use; delete tags and collect garbage, or raise max_size/,
      'add',
      'two.bin'
    )
    expect(await held()).toEqual([one])
    // What is there already takes no room.
    await blobs('add', '--tag', 'again', 'one.bin')
    await blobs('tags', 'rm', 'one.bin', 'again')
    await blobs('gc')
    const two = await add('two.bin')
    expect(await held()).toEqual([two])
  })
})
