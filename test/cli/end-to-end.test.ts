/** The commands as users and scripts run them: several processes, over TCP on this machine. */
import { chmodSync, existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hashToCid } from '../../src/cid.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { PartFolder } from '../../src/node/part-folder.ts'
import { parseWanted } from '../../src/node/provider-list.ts'
import { decodeTicket, encodeTicket } from '../../src/protocol/ticket.ts'
import { randomData } from '../helpers/data.ts'
import { flipByte } from '../helpers/files.ts'
import { Throttle } from '../helpers/throttle.ts'
import { differences, type Scratch, scratch, type Tree, writeTree } from '../node/support.ts'
import {
  ensureBuilt,
  Program,
  type ProgramEvent,
  type ProgramOptions,
  type Result,
  throttled
} from './program.ts'

const LISTEN = ['--listen', '/ip4/127.0.0.1/tcp/0']
const TREE: Tree = {
  'a.txt': 'a',
  'sub/large.bin': randomData(3_000_000),
  'sub/ünïcödé 日本.txt': 'b',
  '.hidden': 'c',
  empty: ''
}

beforeAll(ensureBuilt)

let folder: Scratch
let programs: Program[]

beforeEach(async () => {
  folder = await scratch()
  programs = []
  await writeTree(folder.path, { 'file.bin': randomData(2_000_000, 5) })
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

function run(args: readonly string[], options: Partial<ProgramOptions> = {}): Promise<Result> {
  return start(args, options).ended
}

/** Starts `send` and waits for its tickets. */
async function send(
  ...paths: string[]
): Promise<{ program: Program; tickets: ProgramEvent[]; ticket: string }> {
  const program = start(['send', ...LISTEN, '--json', ...paths])
  const tickets = await program.until(({ events }) => {
    const found = events.filter(({ event }) => event === 'ticket')
    return found.length >= Math.max(1, paths.length) ? found : undefined
  })
  return { program, tickets, ticket: String(tickets[0]?.ticket) }
}

/** What an expected failure looks like: one line, no stack, the right number. */
function expectFailure({ code, stdout, stderr }: Result, exitCode: number, message: RegExp): void {
  expect(stderr).toMatch(message)
  expect(code).toBe(exitCode)
  expect(stderr.split('\n').filter(line => line.startsWith('error:'))).toHaveLength(1)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(stdout).toBe('')
}

describe('send and receive', () => {
  it('carry a file and a folder, byte for byte, without any set-up', async () => {
    const { program, tickets } = await send('file.bin', 'tree')
    for (const { ticket } of tickets) {
      const { code, stderr } = await run(['receive', String(ticket)], { cwd: folder.in('here') })
      expect(stderr).toContain('done')
      expect(code).toBe(EXIT.ok)
    }
    expect((await readdir(folder.in('here'))).sort()).toEqual(['file.bin', 'tree'])
    expect(
      (await readFile(folder.in('here', 'file.bin'))).equals(await readFile(folder.in('file.bin')))
    ).toBe(true)
    expect(await differences(folder.in('here', 'tree'), TREE)).toEqual([])
    expect((await program.stop()).code).toBe(EXIT.ok)
  })

  it('tell scripts all they need, one JSON object per line', async () => {
    const { program, tickets, ticket } = await send('tree')
    const [listening] = program.events
    expect(listening).toMatchObject({ event: 'listening' })
    expect(listening?.peerId).toMatch(/^12D3Koo/)
    expect(listening?.addrs).toEqual([
      expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/[1-9]\d*\/p2p\/12D3Koo/)
    ])
    const { hash, format } = decodeTicket(ticket)
    expect(tickets).toEqual([
      { event: 'ticket', ticket, hash: hash.toString(), format, size: expect.any(Number), name: 'tree' }
    ])

    const receiving = start(['receive', ticket, '--json', '-o', 'out'], { cwd: folder.in('here') })
    const { code, stderr } = await receiving.ended
    expect(code).toBe(EXIT.ok)
    expect(stderr).not.toMatch(/[{}]/)
    const { events } = receiving
    const size = tickets[0]?.size
    expect(events.at(-1)).toEqual({
      event: 'done',
      hash: hash.toString(),
      size,
      path: folder.in('here', 'out'),
      received: size,
      had: 0,
      seconds: expect.any(Number)
    })
    const progress = events.slice(0, -1)
    expect(progress.length).toBeGreaterThan(0)
    expect(progress.every(({ event }) => event === 'progress')).toBe(true)
    expect(progress.at(-1)).toMatchObject({ received: size, had: 0, total: size })
  })

  it('without PATH share a sample', async () => {
    const { ticket } = await send()
    const { code } = await run(['receive', ticket, '-o', 'sample'], { cwd: folder.in('here') })
    expect(code).toBe(EXIT.ok)
    expect((await readdir(folder.in('here', 'sample'))).sort()).toEqual(['hello.txt', 'numbers.txt'])
  })

  it('show people the command to fetch it, and one line per 10 %', async () => {
    const sending = start(['send', ...LISTEN, 'file.bin'])
    const ticket = await sending.until(
      ({ stdout }) => /npx blobs receive (blobs[a-z2-7]+)\n/.exec(stdout)?.[1]
    )
    expect(sending.stdout).toMatch(/peer id +12D3Koo/)
    expect(sending.stdout).toMatch(/listening +\/ip4\/127\.0\.0\.1\/tcp\/\d+/)
    const { stderr, stdout } = await run(['receive', ticket], { cwd: folder.in('here') })
    expect(stdout).toBe(`${folder.in('here', 'file.bin')}\n`)
    const percents = Array.from(stderr.matchAll(/^receiving +(\d+) % /gm), ([, percent]) => Number(percent))
    expect(percents.at(-1)).toBe(100)
    const tens = percents.map(percent => Math.floor(percent / 10))
    expect(new Set(tens).size).toBe(tens.length)
  })

  it('go on after the provider was killed in the middle', async () => {
    await writeFile(folder.in('large.bin'), randomData(60_000_000, 9))
    const { program, ticket } = await send('large.bin')
    await using throttle = new Throttle(5_000_000)
    const first = start(['receive', await throttled(ticket, throttle), '--json'], { cwd: folder.in('here') })
    await first.until(({ events }) => events.find(({ received }) => Number(received) > 1_000_000))
    program.child.kill('SIGKILL')
    const { code } = await first.ended
    expect(code).toBe(EXIT.unreachable)
    expect(first.events.at(-1)).toMatchObject({
      event: 'error',
      code: expect.stringMatching(/^ERR_STREAM_RESET|ERR_TRUNCATED|ERR_PROVIDER_UNREACHABLE/)
    })
    expect(String(first.events.at(-1)?.message)).toContain('run the same again to go on')
    expect(existsSync(folder.in('here', 'large.bin'))).toBe(false)
    const again = await send('large.bin')
    const second = start(['receive', again.ticket, '--json'], { cwd: folder.in('here') })
    expect((await second.ended).code).toBe(EXIT.ok)
    const { had, received, size } = second.events.at(-1)!
    expect(Number(had)).toBeGreaterThan(1_000_000)
    expect(Number(had) + Number(received)).toBe(size)
    expect(second.stderr).toMatch(/had \d+ %/)
    expect(await readdir(folder.in('here'))).toEqual(['large.bin'])
    expect(
      (await readFile(folder.in('here', 'large.bin'))).equals(await readFile(folder.in('large.bin')))
    ).toBe(true)
  })

  it('can be stopped, and say how to go on', async () => {
    await writeFile(folder.in('large.bin'), randomData(60_000_000, 9))
    const { ticket } = await send('large.bin')
    await using throttle = new Throttle(5_000_000)
    const slowly = await throttled(ticket, throttle)
    const receiving = start(['receive', slowly, '--json'], { cwd: folder.in('here') })
    await receiving.until(({ events }) => events.find(({ received }) => Number(received) > 0))
    const { code } = await receiving.stop('SIGINT')
    expect(code).toBe(EXIT.interrupted)
    expect(receiving.events.at(-1)).toMatchObject({ event: 'error', code: 'ERR_INTERRUPTED' })
    expect(await readdir(folder.in('here'))).toEqual([expect.stringMatching(/^\.blobs-.*\.part$/)])
  })
})

describe('what goes wrong in receive', () => {
  const here = (): Partial<ProgramOptions> => ({ cwd: folder.in('here') })
  const nothingLeft = async (...names: string[]) =>
    expect((await readdir(folder.in('here'))).sort()).toEqual(names)

  it('an existing target', async () => {
    const { ticket } = await send('file.bin')
    await writeFile(folder.in('here', 'file.bin'), 'mine')
    expectFailure(await run(['receive', ticket], here()), EXIT.targetExists, /file\.bin exists already/)
    expect(await readFile(folder.in('here', 'file.bin'), 'utf8')).toBe('mine')
    await nothingLeft('file.bin')
  })

  it('a node that is gone', async () => {
    const { program, ticket } = await send('file.bin')
    await program.stop()
    expectFailure(await run(['receive', ticket], here()), EXIT.unreachable, /nothing listens there/)
    await nothingLeft()
  })

  it('a ticket with a wrong, a missing, or no letter at all', async () => {
    const { ticket } = await send('file.bin')
    const middle = ticket[60] === 'a' ? 'b' : 'a'
    for (const wrong of [
      `${ticket.slice(0, 60)}${middle}${ticket.slice(61)}`,
      ticket.slice(0, -1),
      'blobs',
      'hello',
      ''
    ]) {
      expectFailure(await run(['receive', wrong], here()), EXIT.usage, /ticket/)
    }
    await nothingLeft()
  })

  it('a ticket for another node, for what the node lacks, and without an address', async () => {
    const { ticket } = await send('file.bin')
    const parsed = decodeTicket(ticket)
    const peerId = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'
    expectFailure(
      await run(['receive', encodeTicket({ ...parsed, peerId })], here()),
      EXIT.unreachable,
      /another node listens there now/
    )
    const { hash } = parseWanted('5abb6c4e5673f798d6092ce5343501e6051fe6b9770d165d791747d31ae1cd0c')
    const lacking = encodeTicket({ ...parsed, hash })
    expectFailure(await run(['receive', lacking], here()), EXIT.notFound, /does not have blob 5abb6c4e/)
    const nowhere = encodeTicket({ ...parsed, addrs: [] })
    expectFailure(await run(['receive', nowhere], here()), EXIT.usage, /the ticket has no address/)
    await nothingLeft()
  })

  it('a folder that is not there', async () => {
    const { ticket } = await send('file.bin')
    expectFailure(
      await run(['receive', ticket, '-o', 'no/x'], here()),
      EXIT.failed,
      /here\/no: there is no such file/
    )
    await nothingLeft()
  })

  it.skipIf(process.getuid?.() === 0)('a folder that may not be written to', async () => {
    const { ticket } = await send('file.bin')
    chmodSync(folder.in('here'), 0o500)
    const result = await run(['receive', ticket], here())
    chmodSync(folder.in('here'), 0o700)
    expectFailure(result, EXIT.failed, /permission denied/)
  })

  it('another process that receives the same', async () => {
    const { ticket } = await send('file.bin')
    const part = await PartFolder.open(folder.in('here'), decodeTicket(ticket).hash)
    expectFailure(
      await run(['receive', ticket], here()),
      EXIT.failed,
      new RegExp(`process ${process.pid} is receiving`)
    )
    await part.remove()
  })

  it('are told to scripts as an event', async () => {
    const { program, ticket } = await send('file.bin')
    await program.stop()
    const receiving = start(['receive', ticket, '--json'], here())
    const { code, stderr } = await receiving.ended
    expect(code).toBe(EXIT.unreachable)
    expect(stderr).toBe('')
    expect(receiving.events).toEqual([
      {
        event: 'error',
        code: 'ERR_PROVIDER_UNREACHABLE',
        message: expect.stringContaining('nothing listens there')
      }
    ])
  })
})

describe('a home', () => {
  const home = (name: string): Partial<ProgramOptions> => ({ env: { BLOBS_HOME: folder.in(name) } })

  it('is needed by the commands that work on one, and made by init for its owner only', async () => {
    expectFailure(await run(['ls'], home('a')), EXIT.usage, /blobs init/)
    expect((await run(['init'], home('a'))).code).toBe(EXIT.ok)
    expect((await stat(folder.in('a'))).mode & 0o777).toBe(0o700)
    expect((await stat(folder.in('a', 'identity.key'))).mode & 0o777).toBe(0o600)
    const { stdout } = await run(['init', '--json', '--home', folder.in('a')])
    expect(JSON.parse(stdout)).toMatchObject({ event: 'home', isNew: false, home: folder.in('a') })
    expect(await run(['ls'], home('a'))).toMatchObject({ code: EXIT.ok, stdout: '' })
  })

  it('with a wrong configuration says what is wrong', async () => {
    await run(['init'], home('a'))
    await writeFile(folder.in('a', 'config.toml'), 'listne = []')
    expectFailure(
      await run(['serve'], home('a')),
      EXIT.usage,
      /config\.toml: unknown key "listne"; did you mean "listen"\?/
    )
    await writeFile(folder.in('a', 'config.toml'), '[blob_store]\ntype = "s3"')
    expectFailure(await run(['add', 'file.bin'], home('a')), EXIT.usage, /"blob_store\.bucket": is missing/)
  })

  it('serves what another process adds meanwhile; another home gets it by ticket, hash and CID', async () => {
    await run(['init'], home('a'))
    await run(['init'], home('b'))
    await run(['add', 'tree'], home('a'))
    const serving = start(['serve', ...LISTEN, '--json', '--verbose'], home('a'))
    await serving.untilEvent('ticket')
    const [listening, ...tickets] = serving.events
    expect(tickets).toEqual([expect.objectContaining({ event: 'ticket', name: 'tree', format: 'hash_seq' })])

    const adding = start(['add', '--json', 'file.bin'], home('a'))
    expect((await adding.ended).code).toBe(EXIT.ok)
    const [added, ticket] = adding.events
    expect(added).toMatchObject({ event: 'added', format: 'raw', size: 2_000_000, tag: 'file.bin' })
    expect(ticket).toMatchObject({ event: 'ticket', hash: added?.hash, format: 'raw', size: 2_000_000 })

    const getting = start(['get', '--json', String(ticket?.ticket)], home('b'))
    expect((await getting.ended).code).toBe(EXIT.ok)
    expect(getting.events.at(-1)).toMatchObject({ event: 'done', path: null, received: 2_000_000, had: 0 })

    const { hash } = parseWanted(String(added?.hash))
    for (const [i, text] of [hash.toString(), hash.toBase32(), hashToCid(hash).toString()].entries()) {
      const out = folder.in('here', `out${i}`)
      const { code, stdout } = await run(['get', text, '-o', out], home('b'))
      expect({ code, stdout }).toEqual({ code: EXIT.ok, stdout: `${out}\n` })
      expect((await readFile(out)).equals(await readFile(folder.in('file.bin')))).toBe(true)
    }

    const peer = String((listening!.addrs as string[])[0])
    const root = String(tickets[0]?.hash)
    const { code } = await run(
      ['get', root, '--format', 'hash_seq', '--peer', peer, '-o', 'here/tree'],
      home('b')
    )
    expect(code).toBe(EXIT.ok)
    expect(await differences(folder.in('here', 'tree'), TREE)).toEqual([])

    await serving.until(({ stderr }) => /12D3Koo\w+: get /.exec(stderr)?.[0])
    expect((await serving.stop('SIGTERM')).code).toBe(EXIT.ok)
    expect(existsSync(folder.in('a', 'serving.json'))).toBe(false)
  })

  it('tells that nobody is named who has a hash, and that a ticket is its own', async () => {
    await run(['init'], home('a'))
    const hash = '5abb6c4e5673f798d6092ce5343501e6051fe6b9770d165d791747d31ae1cd0c'
    expectFailure(await run(['get', hash], home('a')), EXIT.usage, /--peer MULTIADDR/)
    const serving = start(['serve', ...LISTEN, '--json'], home('a'))
    const { peerId, addrs } = await serving.untilEvent('listening')
    const own = encodeTicket({
      hash: parseWanted(hash).hash,
      format: 'raw',
      peerId: String(peerId),
      addrs: []
    })
    const peer = String((addrs as string[])[0])
    expectFailure(await run(['get', own, '--peer', peer], home('a')), EXIT.usage, /made by this very node/)
    expectFailure(await run(['get', hash, '--peer', peer], home('a')), EXIT.usage, /is this very node/)
  })

  it('gets by its own ticket what it has lost, from another node that is named', async () => {
    await run(['init'], home('a'))
    await run(['init'], home('b'))
    const adding = start(['add', '--json', 'file.bin'], home('b'))
    expect((await adding.ended).code).toBe(EXIT.ok)
    const serving = start(['serve', ...LISTEN, '--json'], home('b'))
    const { addrs } = await serving.untilEvent('listening')
    const asking = start(['serve', ...LISTEN, '--json'], home('a'))
    const own = await asking.untilEvent('listening')
    const ticket = encodeTicket({
      hash: parseWanted(String(adding.events[0]!.hash)).hash,
      format: 'raw',
      peerId: String(own.peerId),
      addrs: own.addrs as string[]
    })
    const { code } = await run(['get', ticket, '--peer', String((addrs as string[])[0])], home('a'))
    expect(code).toBe(EXIT.ok)
  })

  it('lists, describes and removes', async () => {
    await run(['init'], home('a'))
    await run(['add', 'file.bin', 'tree'], home('a'))
    const listing = start(['ls', '--json'], home('a'))
    await listing.ended
    const file = listing.events.find(({ tags }) => String(tags) === 'file.bin')
    expect(file).toMatchObject({ event: 'blob', state: 'complete', size: 2_000_000, held: 2_000_000 })
    expect(listing.events).toHaveLength(1 + 2 + Object.keys(TREE).length - 1)
    const hash = String(file?.hash)
    const { stdout } = await run(['status', hash, '--json'], home('a'))
    expect(JSON.parse(stdout)).toMatchObject({
      event: 'status',
      hash,
      ranges: [[0, 2_000_000]],
      tags: ['file.bin']
    })
    expectFailure(await run(['rm', hash], home('a')), EXIT.failed, /held by the tag "file\.bin"/)
    expect((await run(['rm', 'file.bin'], home('a'))).stdout).toBe('removed 1 blob and the tag file.bin\n')
    expectFailure(await run(['status', hash], home('a')), EXIT.notFound, /is not in the store/)
    expectFailure(await run(['rm', 'file.bin'], home('a')), EXIT.notFound, /there is no tag "file\.bin"/)
    expect((await run(['rm', 'tree'], home('a'))).code).toBe(EXIT.ok)
    expect(await run(['ls'], home('a'))).toMatchObject({ stdout: '' })
  })

  it('finds damage, counts what is wrong as held no longer, or removes the blob, and tells what is missing', async () => {
    await run(['init'], home('a'))
    await run(['add', 'file.bin', 'tree'], home('a'))
    expect(await run(['verify'], home('a'))).toMatchObject({ code: EXIT.ok })
    const data = folder.in('a', 'blobs', 'data')
    const names = (await readdir(data)).filter(name => name.endsWith('.data'))
    const sizes = await Promise.all(names.map(async name => (await stat(`${data}/${name}`)).size))
    const name = names[sizes.indexOf(2_000_000)]!
    const hash = name.slice(0, 64)
    await flipByte(`${data}/${name}`, 1_000_000)
    await flipByte(`${data}/${name}`, 1_999_999)
    const verifying = start(['verify', '--json'], home('a'))
    expect((await verifying.ended).code).toBe(EXIT.badData)
    const damaged = verifying.events.filter(({ state }) => state === 'damaged')
    expect(damaged).toEqual([
      expect.objectContaining({ event: 'verified', reason: expect.stringMatching(/damaged/), wrongGroups: 2 })
    ])
    expect(verifying.events.at(-1)).toMatchObject({
      event: 'summary',
      damaged: 1,
      missing: 0,
      blobs: names.length
    })
    const { stdout } = await run(['status', hash, '--json'], home('a'))
    const ranges = [
      [0, 999_424],
      [1_015_808, 1_998_848]
    ]
    expect(JSON.parse(stdout)).toMatchObject({ state: 'partial', ranges })
    // What is held is right by now, but not all of what the tag names.
    expect(await run(['verify', '--all'], home('a'))).toMatchObject({
      code: EXIT.failed,
      stdout: expect.stringContaining(`${hash}  incomplete: tag "file.bin" names it`)
    })
    expectFailure(await run(['get', hash, '-o', 'here/out'], home('a')), EXIT.usage, /nobody is named/)
    await run(['add', 'file.bin'], home('a'))
    expect((await run(['verify', hash], home('a'))).stdout).toMatch(/ {2}ok {2}/)

    await flipByte(`${data}/${name}`, 20_000)
    const removing = await run(['verify', hash, '--remove'], home('a'))
    expect(removing.code).toBe(EXIT.badData)
    expect(removing.stdout).toMatch(/1 of 123 groups wrong \(bytes 16384\.\.32768\)/)
    expect((await readdir(data)).filter(file => file.startsWith(hash))).toEqual([])
    // What a tag names is not damaged now, but missing.
    expect((await run(['verify'], home('a'))).code).toBe(EXIT.failed)
    expectFailure(await run(['verify', hash, '--all'], home('a')), EXIT.usage, /not both/)
  })

  it('makes tickets when it is served or given an address, and tells what is in one', async () => {
    await run(['init'], home('a'))
    await run(['add', 'tree'], home('a'))
    expectFailure(await run(['ticket', 'tree'], home('a')), EXIT.failed, /nobody is serving/)
    const { stdout } = await run(['ticket', 'tree', '--addr', '/ip4/192.0.2.1/tcp/4001'], home('a'))
    const { format, addrs } = decodeTicket(stdout.trim())
    expect({ format, addrs }).toEqual({ format: 'hash_seq', addrs: ['/ip4/192.0.2.1/tcp/4001'] })
    const described = await run(['ticket', stdout.trim()], home('nowhere'))
    expect(described.stdout).toMatch(
      /^hash +[0-9a-f]{64}\nformat +hash_seq\npeer id +12D3Koo\w+\naddress +\/ip4\/192\.0\.2\.1\/tcp\/4001\n$/
    )
  })
})

describe('the program', () => {
  it.each([
    'init',
    'serve',
    'daemon',
    'add',
    'get',
    'export',
    'send',
    'receive',
    'ls',
    'status',
    'rm',
    'verify',
    'ticket'
  ])('%s --help has examples and the options of all commands', async command => {
    const { code, stdout } = await run([command, '--help'])
    expect(code).toBe(EXIT.ok)
    expect(stdout).toMatch(/Examples:\n {2}\$ blobs /)
    for (const option of ['--home', '--listen', '--json']) expect(stdout).toContain(option)
  })

  it('tells of its exit codes, and its version', async () => {
    const { code, stdout } = await run(['--help'])
    expect(code).toBe(EXIT.ok)
    for (const exitCode of Object.values(EXIT)) {
      if (exitCode !== EXIT.outputClosed) expect(stdout).toMatch(new RegExp(`\\b${exitCode}\\b`))
    }
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('tells what is wrong with its arguments, to scripts too', async () => {
    expectFailure(await run(['recieve', 'x']), EXIT.usage, /unknown command 'recieve'.*receive/)
    expectFailure(await run(['receive']), EXIT.usage, /missing required argument 'ticket'/)
    expectFailure(await run(['get', 'x', '--pear', 'y']), EXIT.usage, /unknown option '--pear'.*--peer/)
    expect((await run([])).code).toBe(EXIT.usage)
    const { code, stdout } = await run(['receive', '--json'])
    expect(code).toBe(EXIT.usage)
    expect(JSON.parse(stdout)).toMatchObject({ event: 'error', code: 'ERR_USAGE' })
  })

  it('tells where it cannot listen', async () => {
    const { program } = await send('file.bin')
    const [, port] = /tcp\/(\d+)/.exec(program.stdout) ?? []
    const taken = `/ip4/127.0.0.1/tcp/${port}`
    const other = ['--home', folder.in('other')]
    await run(['init', ...other])
    expectFailure(
      await run(['serve', ...other, '--listen', taken]),
      EXIT.failed,
      /the port is in use already/
    )
    expectFailure(
      await run(['serve', ...other, '--listen', 'localhost']),
      EXIT.usage,
      /"localhost" is no multiaddr/
    )
  })

  it('shows the stack only when asked to', async () => {
    const { stderr } = await run(['receive', 'nonsense', '--debug'])
    expect(stderr).toMatch(/^error: /m)
    expect(stderr).toMatch(/^\s+at /m)
  })

  it('ends quietly when nobody reads its output', async () => {
    const program = start(['send', ...LISTEN, 'file.bin'])
    program.child.stdout?.destroy()
    const { code, stderr } = await program.ended
    expect(code).toBe(EXIT.outputClosed)
    expect(stderr).not.toMatch(/EPIPE|^\s+at /m)
  })

  it.skipIf(process.platform !== 'linux').each([
    ['16', {}],
    ['5', { UV_THREADPOOL_SIZE: '5' }]
  ])('has %s threads for files (environment: %o)', async (threads, env) => {
    const program = start(['send', ...LISTEN, '--json', 'tree'], { env })
    await program.until(({ events }) => events.find(({ event }) => event === 'ticket'))
    const tasks = `/proc/${program.child.pid}/task`
    // A thread gives itself its name, when it comes to run; and some of the others end.
    const nameOf = (task: string) => readFile(`${tasks}/${task}/comm`, 'utf8').catch(() => '')
    const workers = async () =>
      (await Promise.all((await readdir(tasks)).map(nameOf))).filter(name => name.startsWith('libuv-worker'))
    await expect.poll(workers).toHaveLength(Number(threads))
  })

  it('serves until Ctrl-C, and ends cleanly with peers connected', async () => {
    const { program, ticket } = await send('file.bin')
    await run(['receive', ticket], { cwd: folder.in('here') })
    const { code, stderr } = await program.stop('SIGINT')
    expect(code).toBe(EXIT.ok)
    expect(stderr).not.toMatch(/error|^\s+at /m)
  })
})
