/** Looking into collections, getting a part of one, going on with one, and writing what is held: as users and scripts do it. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { EMPTY_HASH, type Hash } from '../../src/hash.ts'
import { addCollection } from '../../src/node/collections.ts'
import { importPath } from '../../src/node/import-path.ts'
import { PartFolder } from '../../src/node/part-folder.ts'
import { decodeTicket } from '../../src/protocol/ticket.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { Throttle } from '../helpers/throttle.ts'
import { differences, type Scratch, scratch, type Tree, writeTree } from '../node/support.ts'
import { groups, receive, sampleBlob } from '../store/legacy-fs/support.ts'
import {
  ensureBuilt,
  Program,
  type ProgramEvent,
  type ProgramOptions,
  type Result,
  throttled
} from './program.ts'

const LISTEN = ['--listen', '/ip4/127.0.0.1/tcp/0']
const GROUP = 16 * 1024
/** 200 groups, so that two groups are one percent. */
const LARGE = sampleBlob(200 * GROUP, 7)
const SUB: Tree = { 'large.bin': LARGE.data, 'ünïcödé 日本.txt': 'b', 'same.txt': 'twice' }
const TREE: Tree = {
  'a.txt': 'a',
  '.hidden': 'c',
  'twice.txt': 'twice',
  empty: '',
  ...Object.fromEntries(Object.entries(SUB).map(([name, content]) => [`sub/${name}`, content]))
}
const FILES = Object.keys(TREE).length

beforeAll(ensureBuilt)

let folder: Scratch
let programs: Program[]

beforeEach(async () => {
  folder = await scratch()
  programs = []
  await writeTree(folder.in('tree'), TREE)
  await mkdir(folder.in('here'))
})

afterEach(async () => {
  for (const program of programs) program.child.kill('SIGKILL')
  await Promise.all(programs.map(({ ended }) => ended))
  await folder[Symbol.asyncDispose]()
})

function start(args: readonly string[], options: Partial<ProgramOptions> = {}): Program {
  const program = new Program(args, { cwd: folder.path, ...options })
  programs.push(program)
  return program
}

/** Runs a command in a home. */
async function run(home: string, ...args: readonly string[]): Promise<Result> {
  return await start([...args, '--home', folder.in(home)]).ended
}

/** Runs a command that has to succeed. @returns its events */
async function events(home: string, ...args: readonly string[]): Promise<ProgramEvent[]> {
  const program = start([...args, '--json', '--home', folder.in(home)])
  const { code, stdout, stderr } = await program.ended
  expect(code, `${args.join(' ')}\n${stdout}\n${stderr}`).toBe(EXIT.ok)
  return program.events
}

async function openStore(home: string): Promise<LegacyFsStore> {
  return await LegacyFsStore.open(folder.in(home, 'blobs'))
}

/** A home with the whole tree in it, tagged `tree`. @returns the hash of the collection */
async function homeWithTree(home = 'a'): Promise<string> {
  await run(home, 'init')
  const [added] = await events(home, 'add', 'tree')
  return String(added?.hash)
}

/** Puts into a store what an interrupted transfer of the tree leaves: the list, the names, one file, and half of the large one. */
async function putHalf(store: BlobStore): Promise<Hash> {
  const whole = new MemoryStore()
  const { hash } = await importPath(whole, folder.in('tree'))
  const names = Object.keys(TREE).sort()
  const entries = await Promise.all(
    names.map(async name => ({
      name: `tree/${name}`,
      hash: (await whole.addBytes(Buffer.from(TREE[name]!))).hash
    }))
  )
  const { root } = await addCollection(store, entries)
  expect(root.hash.equals(hash)).toBe(true)
  await store.addBytes(Buffer.from('a'))
  await receive(store, LARGE, groups(100, 200))
  return hash
}

/** A home in which a transfer of the tree was interrupted. */
async function homeWithHalf(home: string): Promise<string> {
  await run(home, 'init')
  await using store = await openStore(home)
  return (await putHalf(store)).toString()
}

async function serve(home: string): Promise<string> {
  const serving = start(['serve', ...LISTEN, '--json', '--home', folder.in(home)])
  return String((await serving.untilEvent('ticket')).ticket)
}

function expectFailure({ code, stdout, stderr }: Result, exitCode: number, message: RegExp): void {
  expect(stderr).toMatch(message)
  expect(code).toBe(exitCode)
  expect(stderr.split('\n').filter(line => line.startsWith('error:'))).toHaveLength(1)
  expect(stdout).toBe('')
}

describe('ls', () => {
  it('of a collection, by tag, hash and ticket, lists names, sizes and what is held, offline', async () => {
    const hash = await homeWithTree()
    const { stdout: ticket } = await run('a', 'ticket', 'tree', '--addr', '/ip4/192.0.2.1/tcp/4001')
    const listed = await events('a', 'ls', 'tree')
    expect(listed).toHaveLength(FILES)
    expect(new Set(listed.map(({ name }) => name))).toEqual(
      new Set(Object.keys(TREE).map(name => `tree/${name}`))
    )
    for (const { event, name, size, held, state } of listed) {
      const bytes = Buffer.byteLength(TREE[String(name).slice(5)]!)
      expect({ event, size, held, state }).toEqual({
        event: 'entry',
        size: bytes,
        held: bytes,
        state: 'complete'
      })
    }
    expect(await events('a', 'ls', hash)).toEqual(listed)
    expect(await events('a', 'ls', ticket.trim())).toEqual(listed)
  })

  it('shows what is partial, with its share, and what is absent, with "-" for its size', async () => {
    const hash = await homeWithHalf('b')
    const { stdout } = await run('b', 'ls', hash)
    expect(stdout).toMatch(/^ +3\.1 MiB {2}partial 50 % {2}tree\/sub\/large\.bin$/m)
    expect(stdout).toMatch(/^ +1 B {2}complete +tree\/a\.txt$/m)
    expect(stdout).toMatch(/^ +- {2}absent +tree\/sub\/ünïcödé 日本\.txt$/m)
    const listed = await events('b', 'ls', hash)
    expect(listed.find(({ name }) => name === 'tree/.hidden')).toMatchObject({
      state: 'absent',
      size: null,
      held: 0
    })
    expect(await events('b', 'ls', hash, '--partial')).toEqual([
      expect.objectContaining({ name: 'tree/sub/large.bin', ranges: [[100 * GROUP, 200 * GROUP]] })
    ])
  })

  it('--partial lists blobs that are held in part, and which bytes', async () => {
    await homeWithHalf('b')
    const { stdout } = await run('b', 'ls', '--partial')
    expect(stdout).toBe(`${LARGE.hash}     3.1 MiB  partial 50 %  1.6 MiB-…\n`)
    expect(await events('b', 'ls', '--partial')).toEqual([
      {
        event: 'blob',
        hash: LARGE.hash.toString(),
        state: 'partial',
        size: LARGE.size,
        isSizeProven: true,
        held: LARGE.size / 2,
        ranges: [[LARGE.size / 2, LARGE.size]],
        tags: []
      }
    ])
  })

  it('says what it cannot list: what is not there, and names that have not come yet', async () => {
    await run('b', 'init')
    expectFailure(await run('b', 'ls', 'nothing'), EXIT.notFound, /no tag "nothing"/)
    expectFailure(await run('b', 'ls', LARGE.hash.toString()), EXIT.notFound, /is not in the store/)
    const whole = new MemoryStore()
    const { hash } = await importPath(whole, folder.in('tree'))
    const store = await openStore('b')
    await store.addBytes(await readAll(whole, hash))
    await store.tags.set('early', { hash, format: 'hash_seq' })
    await store.close()
    expectFailure(await run('b', 'ls', 'early'), EXIT.notFound, /is not in the store/)
  })

  it('keeps a name with line breaks on its line', async () => {
    await run('b', 'init')
    const store = await openStore('b')
    const { root } = await addCollection(store, [{ name: 'a\nforged\u001b[31m', hash: EMPTY_HASH }])
    await store.close()
    const { stdout } = await run('b', 'ls', root.hash.toString())
    expect(stdout).toBe('       0 B  complete      a?forged?[31m\n')
  })
})

describe('status', () => {
  it('tells which bytes are held, and of a collection how many files', async () => {
    const hash = await homeWithHalf('b')
    const [large] = await events('b', 'status', LARGE.hash.toString())
    expect(large).toMatchObject({ state: 'partial', ranges: [[LARGE.size / 2, LARGE.size]], children: null })
    expect((await run('b', 'status', LARGE.hash.toString())).stdout).toMatch(
      /^held +1\.6 MiB in 1\.6 MiB-…$/m
    )
    const [root] = await events('b', 'status', hash)
    // The empty blob is always there.
    expect(root?.children).toEqual({ complete: 2, partial: 1, absent: FILES - 3 })
    expect((await run('b', 'status', hash)).stdout).toMatch(/^files +2 complete, 1 partial, 4 absent$/m)
  })
})

describe('a path behind a ticket', () => {
  it('gets one file, under its own name, and fetches and tags no other', async () => {
    const hash = await homeWithTree()
    const ticket = await serve('a')
    await run('b', 'init')
    const done = (await events('b', 'get', `${ticket}/tree/sub/large.bin`, '-o', 'here/')).at(-1)
    expect(done).toMatchObject({
      event: 'done',
      hash: LARGE.hash.toString(),
      path: folder.in('here', 'large.bin'),
      size: LARGE.size,
      received: LARGE.size,
      had: 0
    })
    expect((await readFile(folder.in('here', 'large.bin'))).equals(LARGE.data)).toBe(true)
    expect(await events('b', 'ls', '--tags')).toEqual([
      { event: 'tag', name: 'large.bin', hash: LARGE.hash.toString(), format: 'raw' }
    ])
    const held = (await events('b', 'ls')).map(blob => blob.hash)
    expect(held).toHaveLength(3)
    expect(held).toEqual(expect.arrayContaining([hash, LARGE.hash.toString()]))
    // Now nobody has to be asked, nor named.
    const again = await events('b', 'get', `${hash}/tree/sub/large.bin`, '-o', 'here/again')
    expect(again.at(-1)).toMatchObject({ received: 0, had: LARGE.size })
  })

  it('gets one folder, as a collection of its own', async () => {
    const hash = await homeWithTree()
    const ticket = await serve('a')
    await run('b', 'init')
    const { addrs } = decodeTicket(ticket)
    const peer = `${addrs[0]}/p2p/${decodeTicket(ticket).peerId}`
    const done = (await events('b', 'get', `${hash}/tree/sub/`, '--peer', peer, '-o', 'here/other')).at(-1)
    expect(await differences(folder.in('here', 'other'), SUB)).toEqual([])
    const [tag] = await events('b', 'ls', '--tags')
    expect(tag).toMatchObject({ name: 'sub', hash: done?.hash, format: 'hash_seq' })
    expect((await events('b', 'ls', 'sub')).map(({ name }) => name)).toEqual(
      Object.keys(SUB)
        .sort()
        .map(name => `sub/${name}`)
    )
    expect((await events('b', 'ls', hash)).find(({ name }) => name === 'tree/a.txt')?.state).toBe('absent')
  })

  it('is received without a home, and goes on by itself', async () => {
    await homeWithTree()
    const ticket = await serve('a')
    for (const [path, name] of [
      ['tree/sub/ünïcödé 日本.txt', 'ünïcödé 日本.txt'],
      ['tree/empty', 'empty'],
      ['tree/sub', 'sub']
    ] as const) {
      const { code, stdout } = await run('nowhere', 'receive', `${ticket}/${path}`, '-o', 'here/')
      expect({ code, stdout }).toEqual({ code: EXIT.ok, stdout: `${folder.in('here', name)}\n` })
    }
    expect((await readdir(folder.in('here'))).sort()).toEqual(['empty', 'sub', 'ünïcödé 日本.txt'])
    expect(await differences(folder.in('here', 'sub'), SUB)).toEqual([])
    expect(existsSync(folder.in('nowhere'))).toBe(false)
  })

  it('leaves alone what another transfer of the same collection has begun', async () => {
    await homeWithTree()
    const ticket = await serve('a')
    const part = await PartFolder.open(folder.in('here'), decodeTicket(ticket).hash)
    await putHalf(part.store)
    await part.leave()
    expect((await run('x', 'receive', `${ticket}/tree/a.txt`, '-o', 'here/')).code).toBe(EXIT.ok)
    const whole = await events('x', 'receive', ticket, '-o', 'here/')
    expect(Number(whole.at(-1)?.had)).toBeGreaterThan(LARGE.size / 2)
    expect((await readdir(folder.in('here'))).sort()).toEqual(['a.txt', 'tree'])
  })

  it('that is not there is told, with what may have been meant', async () => {
    await homeWithTree()
    const ticket = await serve('a')
    await run('b', 'init')
    for (const [path, hint] of [
      ['tree/sub/lagre.bin', /did you mean "tree\/sub\/large\.bin"\?/],
      ['sub/same.txt', /did you mean "tree\/sub\/same\.txt"\?/],
      ['tree/sbu/same.txt', /did you mean "tree\/sub\/same\.txt"\?/],
      ['something/else/entirely', /"blobs ls" lists what is in it/]
    ] as const) {
      expectFailure(await run('b', 'get', `${ticket}/${path}`), EXIT.notFound, hint)
    }
    expectFailure(await run('x', 'receive', `${ticket}/tree/x`, '-o', 'here/'), EXIT.notFound, /no "tree\/x"/)
    expect(await readdir(folder.in('here'))).toEqual([])
  })

  it('in a single blob makes no sense', async () => {
    await run('a', 'init')
    await events('a', 'add', 'tree/a.txt')
    const ticket = await serve('a')
    expectFailure(await run('x', 'receive', `${ticket}/a.txt`), EXIT.usage, /is a single blob/)
  })
})

describe('the same command again', () => {
  it('goes on with a collection, in get and in receive, and says so', async () => {
    await homeWithTree()
    const ticket = await serve('a')
    await homeWithHalf('b')
    const getting = start(['get', ticket, '--home', folder.in('b')])
    expect((await getting.ended).stderr).toMatch(
      /^had 50 % of [0-9a-f]{10} \(1\.6 MiB of 3\.1 MiB\), fetching the rest$/m
    )
    const part = await PartFolder.open(folder.in('here'), decodeTicket(ticket).hash)
    await putHalf(part.store)
    await part.leave()
    const received = await events('x', 'receive', ticket, '-o', 'here/')
    const resumed = received.filter(({ event }) => event === 'resumed')
    expect(resumed).toEqual([expect.objectContaining({ percent: 50, had: received.at(-1)?.had })])
    expect(received.findLast(({ event }) => event === 'progress')?.percent).toBe(100)
    expect(received.at(-1)?.received).toBeLessThan(LARGE.size / 2 + 2000)
    expect(await differences(folder.in('here', 'tree'), TREE)).toEqual([])
  })

  it('goes on with a single blob, in get and in receive, and says so', async () => {
    await run('a', 'init')
    await writeFile(folder.in('large.bin'), LARGE.data)
    await events('a', 'add', 'large.bin')
    const ticket = await serve('a')
    await homeWithHalf('b')
    const got = await events('b', 'get', ticket)
    expect(got[0]).toMatchObject({ event: 'resumed', percent: 50, had: LARGE.size / 2, total: LARGE.size })
    expect(got.at(-1)).toMatchObject({ received: LARGE.size / 2, had: LARGE.size / 2 })
    const part = await PartFolder.open(folder.in('here'), LARGE.hash)
    await putHalf(part.store)
    await part.leave()
    const { stderr } = await run('x', 'receive', ticket, '-o', 'here/')
    expect(stderr).toMatch(/^had 50 % of /m)
  })
})

describe('garbage collection', () => {
  it.each([[''], ['/tree']])('takes nothing of what is on its way (ticket%s)', async path => {
    await writeFile(folder.in('tree', 'z.bin'), randomData(60_000_000, 3))
    await homeWithTree()
    const serving = start(['serve', ...LISTEN, '--json', '--home', folder.in('a')])
    const ticket = String((await serving.untilEvent('ticket')).ticket)
    await run('b', 'init')
    await using throttle = new Throttle(2 * LARGE.size)
    const slowly = await throttled(ticket, throttle)
    const getting = start(['get', `${slowly}${path}`, '--json', '--home', folder.in('b')])
    await getting.until(({ events }) => events.find(({ received }) => Number(received) > LARGE.size))
    await events('b', 'gc')
    expect(getting.events.find(({ event }) => event === 'done')).toBeUndefined()
    throttle.open()
    expect((await getting.ended).code).toBe(EXIT.ok)
    const listed = await events('b', 'ls', 'tree')
    expect(listed).toHaveLength(FILES + 1)
    expect(listed.filter(({ state }) => state !== 'complete')).toEqual([])
  })
})

describe('export', () => {
  const SHARED = 'twice'

  it('writes a blob and a collection, offline, and overwrites nothing', async () => {
    const hash = await homeWithTree()
    const [exported] = await events('a', 'export', 'tree', '-o', 'here/')
    expect(exported).toMatchObject({
      event: 'exported',
      path: folder.in('here', 'tree'),
      files: FILES,
      missing: 0
    })
    expect(await differences(folder.in('here', 'tree'), TREE)).toEqual([])
    expectFailure(await run('a', 'export', hash, '-o', 'here/'), EXIT.targetExists, /tree exists already/)
    const { stdout } = await run('a', 'export', LARGE.hash.toString(), '-o', 'here/one')
    expect(stdout).toBe(`${folder.in('here', 'one')}\n`)
    expect((await readFile(folder.in('here', 'one'))).equals(LARGE.data)).toBe(true)
    expectFailure(await run('a', 'export', 'nothing'), EXIT.notFound, /no tag "nothing"/)
  })

  it('--partial writes what is complete, and lists what is missing', async () => {
    const hash = await homeWithHalf('b')
    expectFailure(
      await run('b', 'export', hash, '-o', 'here/'),
      EXIT.notFound,
      /5 of its 7 files are missing.*--partial/
    )
    expect(await readdir(folder.in('here'))).toEqual([])
    const { code, stderr } = await run('b', 'export', hash, '-o', 'here/', '--partial')
    expect(code).toBe(EXIT.ok)
    expect(stderr).toMatch(/^missing: tree\/sub\/large\.bin \(partial 50 % of 3\.1 MiB\)$/m)
    expect(stderr).toMatch(/^missing: tree\/\.hidden \(absent\)$/m)
    expect(stderr).toMatch(/^5 of 7 files are missing$/m)
    expect(await differences(folder.in('here', 'tree'), { 'a.txt': 'a', empty: '' })).toEqual([])
    const told = await events('b', 'export', hash, '-o', 'here/again', '--partial')
    expect(told.filter(({ event }) => event === 'missing')).toHaveLength(5)
    expect(told.at(-1)).toMatchObject({ event: 'exported', files: 2, missing: 5 })
  })

  it('--partial fails when there is nothing to write', async () => {
    await homeWithHalf('b')
    expectFailure(
      await run('b', 'export', LARGE.hash.toString(), '-o', 'here/out', '--partial'),
      EXIT.notFound,
      /is not complete: it is partial 50 %/
    )
    const store = await openStore('b')
    const { root } = await addCollection(store, [{ name: 'x/large.bin', hash: LARGE.hash }])
    await store.close()
    expectFailure(
      await run('b', 'export', root.hash.toString(), '-o', 'here/', '--partial'),
      EXIT.notFound,
      /1 of its 1 file is missing.*there is none to write/
    )
    expect(await readdir(folder.in('here'))).toEqual([])
  })

  it('--mode link shares the files with the store, read-only', async () => {
    await homeWithTree()
    await events('a', 'export', 'tree', '-o', 'here/', '--mode', 'link')
    expect(await differences(folder.in('here', 'tree'), TREE)).toEqual([])
    const linked = await stat(folder.in('here', 'tree', 'sub', 'large.bin'))
    expect(linked.mode & 0o777).toBe(0o444)
    expect(linked.ino).toBe((await stat(folder.in('a', 'blobs', 'data', `${LARGE.hash}.data`))).ino)
    expect((await run('a', 'verify')).code).toBe(EXIT.ok)
    await run('a', 'rm', 'tree')
    expect(await differences(folder.in('here', 'tree'), TREE)).toEqual([])
  })

  it('--mode link says where it is not possible', async () => {
    await run('o', 'init', '--store', 'filesystem')
    await events('o', 'add', 'tree')
    expectFailure(
      await run('o', 'export', 'tree', '-o', 'here/', '--mode', 'link'),
      EXIT.failed,
      /not plain files; use mode "copy"/
    )
    expect(await readdir(folder.in('here'))).toEqual([])
    expectFailure(await run('o', 'export', 'tree', '--mode', 'hard'), EXIT.usage, /copy, link, reflink, move/)
  })

  it('--mode reflink clones, or says that the file system cannot', async () => {
    await homeWithTree()
    const result = await run('a', 'export', 'tree', '-o', 'here/', '--mode', 'reflink')
    if (result.code === EXIT.ok) expect(await differences(folder.in('here', 'tree'), TREE)).toEqual([])
    else {
      expectFailure(result, EXIT.failed, /cannot clone files .*use mode "copy"/)
      expect(await readdir(folder.in('here'))).toEqual([])
    }
  })

  it.each(['legacy', 'filesystem'])(
    '--mode move takes it out of the store, with the tag (%s)',
    async kind => {
      await run('a', 'init', '--store', kind)
      await events('a', 'add', 'tree')
      await events('a', 'export', 'tree', '-o', 'here/', '--mode', 'move')
      expect(await differences(folder.in('here', 'tree'), TREE)).toEqual([])
      expect(await events('a', 'ls')).toEqual([])
      expect(await events('a', 'ls', '--tags')).toEqual([])
      // Nothing is shared any more, also by what was one blob.
      await writeFile(folder.in('here', 'tree', 'twice.txt'), 'changed')
      expect(await readFile(folder.in('here', 'tree', 'sub', 'same.txt'), 'utf8')).toBe(SHARED)
    }
  )

  it('--mode move leaves what another tag holds, unless it is forced to', async () => {
    await homeWithTree()
    await writeFile(folder.in('other.txt'), SHARED)
    await events('a', 'add', 'other.txt')
    const moving = ['export', 'tree', '-o', 'here/', '--mode', 'move']
    expectFailure(await run('a', ...moving), EXIT.failed, /held by the tag "other\.txt"/)
    expect(await readdir(folder.in('here'))).toEqual([])
    expect((await run('a', 'verify')).code).toBe(EXIT.ok)
    const hash = String((await events('a', 'ls', '--tags')).find(({ name }) => name === 'tree')?.hash)
    expectFailure(
      await run('a', 'export', hash, '-o', 'here/', '--mode', 'move'),
      EXIT.failed,
      /held by the tag "tree"/
    )
    expectFailure(await run('a', ...moving, '--partial'), EXIT.usage, /another mode/)
    await events('a', ...moving, '--force')
    expect(await differences(folder.in('here', 'tree'), TREE)).toEqual([])
    expect(await events('a', 'ls')).toEqual([])
  })

  it('of a damaged blob fails in every mode, and leaves the store and the folder as they were', async () => {
    await homeWithTree()
    const data = folder.in('a', 'blobs', 'data', `${LARGE.hash}.data`)
    const wrong = Uint8Array.from(LARGE.data)
    wrong[1_000_000]! ^= 1
    for (const mode of ['copy', 'link', 'reflink', 'move']) {
      await writeFile(data, wrong)
      // Where nothing can be cloned, another file of the tree would be the first to say so.
      const what = mode === 'reflink' ? LARGE.hash.toString() : 'tree'
      expectFailure(await run('a', 'export', what, '-o', 'here/out', '--mode', mode), EXIT.badData, /damaged/)
      expect(await readdir(folder.in('here'))).toEqual([])
      await events('a', 'add', 'tree')
    }
    expect((await run('a', 'verify')).code).toBe(EXIT.ok)
  })
})

describe('thousands of files', () => {
  it('are listed and written, one after the other', async () => {
    await run('a', 'init')
    const count = 5_000
    const store = await LegacyFsStore.open(folder.in('a', 'blobs'), { sync: 'none' })
    const contents = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => (await store.addBytes(Buffer.from(`content ${i}`))).hash)
    )
    const name = (i: number): string => `many/${i % 100}/${i}.txt`
    const { root } = await addCollection(
      store,
      Array.from({ length: count }, (_, i) => ({ name: name(i), hash: contents[i % 10]! }))
    )
    await store.close()
    const { stdout } = await run('a', 'ls', root.hash.toString())
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(count)
    expect(lines.at(-1)).toBe(`       9 B  complete      ${name(count - 1)}`)
    const [exported] = await events('a', 'export', root.hash.toString(), '-o', 'here/', '--mode', 'link')
    expect(exported).toMatchObject({ files: count })
    expect(await readdir(folder.in('here', 'many'))).toHaveLength(100)
    for (const i of [0, 2_501, count - 1]) {
      expect(await readFile(join(folder.in('here'), name(i)), 'utf8')).toBe(`content ${i % 10}`)
    }
  }, 300_000)
})

async function readAll(store: BlobStore, hash: Hash): Promise<Uint8Array> {
  const file = folder.in('copied')
  await store.exportPath(hash, file)
  return await readFile(file)
}
