/** The commands on each kind of store, as users run them. */
import { chmodSync } from 'node:fs'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { Hash } from '../../src/hash.ts'
import { formatS3Url, type S3UrlParts } from '../../src/store/object/storage/s3/url.ts'
import { randomData } from '../helpers/data.ts'
import { minioClient, S3_URL_VARIABLE, type S3UnderTest, s3UnderTest } from '../helpers/s3.ts'
import { differences, type Scratch, scratch, type Tree, writeTree } from '../node/support.ts'
import { ensureBuilt, Program, type ProgramEvent, type ProgramOptions, type Result } from './program.ts'

const LISTEN = ['--listen', '/ip4/127.0.0.1/tcp/0']
/** Where there is a real server, only what it is needed for: the rest is tested without it. */
const isOnServer = process.env[S3_URL_VARIABLE] !== undefined
const KINDS = [isOnServer ? 's3' : 'filesystem'] as const
const TREE: Tree = {
  'a.txt': 'a',
  'sub/large.bin': randomData(9_000_000),
  'sub/ünïcödé 日本.txt': 'b',
  empty: ''
}

let s3: S3UnderTest
let folder: Scratch
let programs: Program[]

beforeAll(async () => {
  await ensureBuilt()
  s3 = await s3UnderTest()
})

afterAll(() => s3.stop())

beforeEach(async () => {
  folder = await scratch()
  programs = []
  await writeTree(folder.in('tree'), TREE)
  await writeFile(folder.in('file.bin'), randomData(3_000_000, 5))
})

afterEach(async () => {
  for (const program of programs) program.child.kill('SIGKILL')
  await Promise.all(programs.map(({ ended }) => ended))
  // Whatever was done, and however it went: nobody was told the secret.
  for (const { stdout, stderr } of programs) expect(stdout + stderr).not.toContain(s3.secretKey)
  await folder[Symbol.asyncDispose]()
})

function start(args: readonly string[], options: Partial<ProgramOptions> = {}): Program {
  const program = new Program(args, { cwd: folder.path, ...options })
  programs.push(program)
  return program
}

/** Runs a command that has to succeed. @returns its events */
async function blobs(...args: readonly string[]): Promise<ProgramEvent[]> {
  const program = start([...args, '--json'])
  const { code, stdout, stderr } = await program.ended
  expect(code, `${args.join(' ')}\n${stdout}\n${stderr}`).toBe(EXIT.ok)
  return program.events
}

/** What an expected failure looks like: one line, no stack, the right number. */
async function failure(args: readonly string[], options: Partial<ProgramOptions> = {}): Promise<Result> {
  const result = await start(args, options).ended
  expect(result.stderr.split('\n').filter(line => line.startsWith('error:'))).toHaveLength(1)
  expect(result.stderr).not.toMatch(/^\s+at /m)
  return result
}

function urlOf(prefix: string, changes: Partial<S3UrlParts> = {}): string {
  const { endpoint, accessKey, secretKey, bucket, region } = s3
  return formatS3Url({ endpoint, accessKey, secretKey, bucket, region, prefix, ...changes })
}

/** Makes a home. @returns the options that name it */
async function makeHome(
  kind: 'legacy' | (typeof KINDS)[number],
  name: string,
  prefix = s3.newPrefix()
): Promise<readonly string[]> {
  const home = ['--home', folder.in(name)]
  await blobs('init', ...home, '--store', kind, ...(kind === 's3' ? ['--s3-url', urlOf(prefix)] : []))
  return home
}

async function serve(home: readonly string[]): Promise<{ program: Program; ticket: string }> {
  const program = start(['serve', ...home, ...LISTEN, '--json'])
  const { ticket } = await program.untilEvent('ticket')
  return { program, ticket: String(ticket) }
}

function summary(events: readonly ProgramEvent[], name: string): ProgramEvent {
  const found = events.filter(({ event }) => event === name)
  expect(found).toHaveLength(1)
  return found[0]!
}

describe.each(KINDS)('a home with a store of type "%s"', { timeout: 300_000 }, kind => {
  it('adds, lists, verifies, gives out again and removes', async () => {
    const home = await makeHome(kind, 'home')
    expect(summary(await blobs('db', 'status', ...home), 'database')).toMatchObject({ state: 'current' })
    const { hash } = summary(await blobs('add', ...home, 'tree'), 'added')
    expect(summary(await blobs('ls', ...home, '--tags'), 'tag')).toMatchObject({ name: 'tree', hash })
    const states = (await blobs('ls', ...home)).map(({ state }) => state)
    // The list, the names, and the files but for the empty one.
    expect(states).toEqual(Array(5).fill('complete'))
    expect(summary(await blobs('status', ...home, String(hash)), 'status')).toMatchObject({
      state: 'complete',
      tags: ['tree']
    })
    expect(summary(await blobs('verify', ...home), 'summary')).toMatchObject({ damaged: 0, missing: 0 })
    await blobs('get', ...home, String(hash), '-o', folder.in('out'))
    expect(await differences(folder.in('out'), TREE)).toEqual([])
    expect(summary(await blobs('rm', ...home, 'tree'), 'removed')).toMatchObject({ blobs: 5 })
    expect(await blobs('ls', ...home)).toEqual([])
  })

  it('serves a home of plain files, and is served by it', async () => {
    const home = await makeHome(kind, 'home')
    const plain = await makeHome('legacy', 'plain')
    await blobs('add', ...home, 'tree')
    const first = await serve(home)
    await blobs('get', ...plain, first.ticket, '-o', folder.in('out'))
    expect(await differences(folder.in('out'), TREE)).toEqual([])
    expect((await first.program.stop()).code).toBe(EXIT.ok)

    await blobs('add', ...plain, 'file.bin')
    const second = start(['serve', ...plain, ...LISTEN, '--json'])
    const { ticket } = await second.until(({ events }) =>
      events.find(({ event, name }) => event === 'ticket' && name === 'file.bin')
    )
    await blobs('get', ...home, String(ticket), '-o', folder.in('copy.bin'))
    expect((await readFile(folder.in('copy.bin'))).equals(await readFile(folder.in('file.bin')))).toBe(true)
  })

  it('shares with "send"', async () => {
    const home = await makeHome(kind, 'home')
    const sending = start(['send', ...home, ...LISTEN, '--json', 'tree'])
    const { ticket } = await sending.untilEvent('ticket')
    await blobs('receive', String(ticket), '-o', folder.in('out'))
    expect(await differences(folder.in('out'), TREE)).toEqual([])
  })

  it('is back after its database was lost', async () => {
    const home = await makeHome(kind, 'home')
    await blobs('add', ...home, 'tree', 'file.bin')
    const before = { blobs: await blobs('ls', ...home), tags: await blobs('ls', ...home, '--tags') }
    for (const name of await readdir(folder.in('home'))) {
      if (name.startsWith('blobs.db')) await rm(folder.in('home', name))
    }
    for (const flags of [['--fast'], []]) {
      expect(summary(await blobs('recover', ...home, ...flags), 'recovered')).toMatchObject({
        complete: before.blobs.length,
        partial: 0,
        corrupt: 0,
        tags: 2
      })
    }
    expect(await blobs('ls', ...home)).toEqual(before.blobs)
    expect(await blobs('ls', ...home, '--tags')).toEqual(before.tags)
  })

  it('tells what was damaged by others, in the exit code too, and keeps what is right', async () => {
    const prefix = s3.newPrefix()
    const home = await makeHome(kind, 'home', prefix)
    const { hash } = summary(await blobs('add', ...home, 'file.bin'), 'added')
    const key = `blobs/${Hash.parse(String(hash)).toBase32()}/data`
    const wrong = Buffer.from(await readFile(folder.in('file.bin')))
    wrong[1_234_567]! ^= 1
    if (kind === 's3') await minioClient(s3).putObject(s3.bucket, `${prefix}${key}`, wrong)
    else await writeFile(folder.in('home', 'blobs', key), wrong)

    const recovering = start(['recover', ...home, '--json'])
    expect((await recovering.ended).code).toBe(EXIT.badData)
    expect(summary(recovering.events, 'recovered')).toMatchObject({ corrupt: 1, complete: 0 })
    expect(summary(recovering.events, 'quarantined')).toMatchObject({
      key,
      to: expect.stringMatching(/^quarantine\//)
    })
    expect(summary(await blobs('status', ...home, String(hash)), 'status')).toMatchObject({
      state: 'partial',
      held: 3_000_000 - 16_384
    })
  })

  it('is copied from plain files and back, and a second time nothing is left to do', async () => {
    const plain = await makeHome('legacy', 'plain')
    await makeHome(kind, 'home')
    await makeHome('legacy', 'again')
    await blobs('add', ...plain, 'tree', 'file.bin')
    const bytes = randomData(9_000_000).length + 3_000_000 + 2
    const there = ['--from', folder.in('plain'), '--to', folder.in('home')]
    const copied = summary(await blobs('copy', ...there), 'copied')
    expect(copied).toMatchObject({ copied: 6, present: 0, tags: 2, damaged: 0 })
    expect(Number(copied.bytes)).toBeGreaterThan(bytes)
    expect(summary(await blobs('copy', ...there), 'copied')).toMatchObject({
      copied: 0,
      present: 6,
      bytes: 0
    })

    await blobs('copy', '--from', folder.in('home'), '--to', `legacy:${folder.in('again', 'blobs')}`)
    const again = ['--home', folder.in('again')]
    const byHash = (events: ProgramEvent[]) =>
      events.toSorted((a, b) => `${a.hash}`.localeCompare(`${b.hash}`))
    expect(byHash(await blobs('ls', ...again))).toEqual(byHash(await blobs('ls', ...plain)))
    expect(await blobs('ls', ...again, '--tags')).toEqual(await blobs('ls', ...plain, '--tags'))
    expect(summary(await blobs('verify', ...again), 'summary')).toMatchObject({ damaged: 0, missing: 0 })
  })

  it('is copied without a home, which learns of it by recovering', async () => {
    const prefix = s3.newPrefix()
    const plain = await makeHome('legacy', 'plain')
    const home = await makeHome(kind, 'home', prefix)
    await blobs('add', ...plain, 'tree')
    const objects = kind === 's3' ? urlOf(prefix) : `filesystem:${folder.in('home', 'blobs')}`
    await blobs('copy', '--from', folder.in('plain'), '--to', objects)
    expect(summary(await blobs('recover', ...home), 'recovered')).toMatchObject({ complete: 5, tags: 1 })
    await blobs('copy', '--from', objects, '--to', `legacy:${folder.in('third')}`)
    const copied = await readdir(folder.in('third', 'data'))
    expect(copied.filter(name => name.endsWith('.data'))).toHaveLength(5)
  })
})

describe('init', () => {
  it('takes the bucket from the environment, and writes what only the owner can read', async () => {
    const home = folder.in('home')
    const options = { env: { BLOBS_S3_URL: urlOf(s3.newPrefix()) } }
    for (const isNew of [true, false]) {
      const program = start(['init', '--home', home, '--store', 's3', '--json'], options)
      expect((await program.ended).code).toBe(EXIT.ok)
      expect(program.events).toMatchObject([{ event: 'home', isNew, store: 's3' }])
    }
    expect((await stat(`${home}/config.toml`)).mode & 0o777).toBe(0o600)
    expect(await readFile(`${home}/config.toml`, 'utf8')).toContain(`secret_key = "${s3.secretKey}"`)
  })

  it('leaves keys in the environment that are not in the URL', async () => {
    const home = ['--home', folder.in('home')]
    const url = urlOf(s3.newPrefix(), { accessKey: undefined, secretKey: undefined } as never)
    const env = { AWS_ACCESS_KEY_ID: s3.accessKey, AWS_SECRET_ACCESS_KEY: s3.secretKey }
    expect((await start(['init', ...home, '--store', 's3', '--s3-url', url], { env }).ended).code).toBe(
      EXIT.ok
    )
    expect(await readFile(folder.in('home', 'config.toml'), 'utf8')).not.toContain(s3.secretKey)
    expect((await start(['add', ...home, 'file.bin'], { env }).ended).code).toBe(EXIT.ok)
    const { code, stderr } = await failure(['ls', ...home])
    expect(code).toBe(EXIT.usage)
    expect(stderr).toContain('AWS_ACCESS_KEY_ID')
  })

  it('warns later of a secret that others can read', async () => {
    const home = await makeHome('s3', 'home')
    chmodSync(folder.in('home', 'config.toml'), 0o644)
    const { code, stderr } = await start(['ls', ...home]).ended
    expect(code).toBe(EXIT.ok)
    expect(stderr).toMatch(/warning: .*config\.toml.*others/)
  })

  it.each([
    ['the secret is wrong', { secretKey: 'wrong' }, EXIT.refused],
    ['the key is unknown', { accessKey: 'NOBODYSKEY0000000000' }, EXIT.refused],
    ['there is no such bucket', { bucket: 'there-is-no-such-bucket-here' }, EXIT.refused],
    ['nothing listens', { endpoint: 'http://127.0.0.1:9' }, EXIT.unreachable]
  ])('makes nothing when %s, and says so in one line', async (_, changes, exitCode) => {
    const home = folder.in('home')
    const { code, stderr } = await failure([
      ...['init', '--home', home, '--store', 's3', '--s3-url', urlOf(s3.newPrefix(), changes)]
    ])
    expect(code, stderr).toBe(exitCode)
    await expect(stat(home)).rejects.toThrow('ENOENT')
  })

  it.each([
    [['--store', 's3'], /needs --s3-url, or BLOBS_S3_URL/],
    [['--store', 'filesystem', '--s3-url', 's3://h/bucket'], /goes with --store s3/],
    [['--store', 's4'], /legacy, filesystem, s3/],
    [['--store', 's3', '--s3-url', 's3://key:hunter2@'], /^(?!.*hunter2).*no URL of a bucket/m]
  ])('refuses %j', async (flags, message) => {
    const { code, stderr } = await failure(['init', '--home', folder.in('home'), ...flags])
    expect(code).toBe(EXIT.usage)
    expect(stderr).toMatch(message)
    await expect(stat(folder.in('home'))).rejects.toThrow('ENOENT')
  })
})

describe.skipIf(isOnServer)('copy', () => {
  it('goes on with the others when one is damaged, and says so in the exit code', async () => {
    const plain = await makeHome('legacy', 'plain')
    await makeHome('filesystem', 'home')
    const { hash } = summary(await blobs('add', ...plain, 'file.bin'), 'added')
    await blobs('add', ...plain, 'tree')
    await writeFile(folder.in('plain', 'blobs', 'data', `${hash}.data`), randomData(3_000_000, 6))
    const program = start(['copy', '--json', '--from', folder.in('plain'), '--to', folder.in('home')])
    expect((await program.ended).code).toBe(EXIT.badData)
    expect(summary(program.events, 'problem')).toMatchObject({ kind: 'blob', what: hash })
    expect(summary(program.events, 'copied')).toMatchObject({ copied: 5, damaged: 1, tags: 2 })
  })

  it('goes on with the others when one is larger than the target takes, and says so in the exit code', async () => {
    const plain = await makeHome('legacy', 'plain')
    await makeHome('filesystem', 'home')
    const { hash } = summary(await blobs('add', ...plain, 'file.bin'), 'added')
    await blobs('add', ...plain, 'tree/a.txt')
    await writeFile(
      folder.in('home', 'config.toml'),
      '[blob_store]\ntype = "filesystem"\nmax_blob_size = 2_999_999'
    )
    const { code, stderr, stdout } = await start(['copy', '--from', 'plain', '--to', 'home']).ended
    expect(code).toBe(EXIT.failed)
    expect(stderr).toMatch(new RegExp(`blob ${hash} was not copied: .*max_blob_size is 2999999`))
    expect(stdout).toMatch(/^copied 1 blob .*, 1 larger than the target takes$/m)
  })

  it('says what is wrong with a store that is named', async () => {
    const plain = await makeHome('legacy', 'plain')
    await blobs('add', ...plain, 'file.bin')
    const wrong: [flags: string[], message: RegExp, exitCode: number][] = [
      [['--from', 'nowhere', '--to', 'plain'], /nowhere is no home of blobs/, EXIT.usage],
      [['--from', 'legacy:nowhere', '--to', 'plain'], /there is no folder .*nowhere/, EXIT.failed],
      [['--from', 'plain', '--to', 'filesystem:plain/blobs'], /type "legacy", not "filesystem"/, EXIT.usage],
      [['--from', 'plain', '--to', 'http://key:hunter2@localhost/b'], /^(?!.*hunter2).*s3:\/\//m, EXIT.usage],
      [['--from', 'plain', '--to', 'plain', '--home', 'http://hunter2'], /^(?!.*hunter2).*no/m, EXIT.usage],
      [['--from', 'plain'], /--to <store>/, EXIT.usage]
    ]
    for (const [flags, message, exitCode] of wrong) {
      const { code, stderr } = await failure(['copy', ...flags])
      expect(stderr).toMatch(message)
      expect(code).toBe(exitCode)
    }
  })
})

describe.skipIf(isOnServer)('a home of plain files', () => {
  it('has nothing to recover, and gets no other store', async () => {
    const home = await makeHome('legacy', 'home')
    const recovering = await failure(['recover', ...home])
    expect(recovering.code).toBe(EXIT.usage)
    expect(recovering.stderr).toContain('plain files')
    const other = await failure(['init', ...home, '--store', 'filesystem'])
    expect(other.code).toBe(EXIT.usage)
    expect(other.stderr).toContain('stays as it is')
  })

  it('is not taken for one of objects, nor the other way round', async () => {
    const home = await makeHome('legacy', 'home')
    await blobs('add', ...home, 'file.bin')
    await writeFile(folder.in('home', 'config.toml'), '[blob_store]\ntype = "filesystem"')
    const { code, stderr } = await failure(['ls', ...home])
    expect(code).toBe(EXIT.usage)
    expect(stderr).toMatch(/type "legacy", not "filesystem".*blobs copy/)

    const objects = await makeHome('filesystem', 'objects')
    await blobs('add', ...objects, 'file.bin')
    await writeFile(folder.in('objects', 'config.toml'), '')
    expect((await failure(['ls', ...objects])).stderr).toMatch(/type "filesystem", not "legacy"/)
  })
})
