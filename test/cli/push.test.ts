/** `blobs push` and `blobs status --peer` between two homes. */
import { appendFile } from 'node:fs/promises'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { randomData } from '../helpers/data.ts'
import { differences, type Scratch, scratch, type Tree, writeTree } from '../node/support.ts'
import { ensureBuilt, Program, type ProgramEvent, type Result } from './program.ts'

const TREE: Tree = { 'a.txt': 'a', 'sub/large.bin': randomData(3_000_000), empty: '' }

beforeAll(ensureBuilt)

let folder: Scratch
let programs: Program[]

beforeEach(async () => {
  folder = await scratch()
  programs = []
  await writeTree(folder.in('photos'), TREE)
})

afterEach(async () => {
  for (const program of programs) program.child.kill('SIGKILL')
  await Promise.all(programs.map(({ ended }) => ended))
  await folder[Symbol.asyncDispose]()
})

function start(home: string, ...args: string[]): Program {
  const program = new Program(['--home', folder.in(home), ...args], { cwd: folder.path })
  programs.push(program)
  return program
}

function run(home: string, ...args: string[]): Promise<Result> {
  return start(home, ...args).ended
}

async function events(home: string, ...args: string[]): Promise<ProgramEvent[]> {
  const program = start(home, '--json', ...args)
  const { code, stderr } = await program.ended
  expect(stderr).not.toContain('error')
  expect(code).toBe(EXIT.ok)
  return program.events
}

/** A home with nothing in it, and its peer id. */
async function makeHome(home: string): Promise<string> {
  const [made] = await events(home, 'init')
  return String(made!.peerId)
}

async function serve(home: string, ...args: string[]): Promise<{ program: Program; addr: string }> {
  const program = start(home, '--json', '--listen', '/ip4/127.0.0.1/tcp/0', ...args, 'serve')
  const { addrs } = await program.untilEvent('listening')
  return { program, addr: (addrs as string[])[0]! }
}

describe('blobs push', () => {
  it('brings a collection to a home that lets this one in, which says so and keeps it', async () => {
    const ours = await makeHome('ours')
    await makeHome('theirs')
    await appendFile(folder.in('theirs', 'config.toml'), `\n[push]\nauthorize = ["${ours}"]\n`)
    const [{ hash, size }] = (await events('ours', 'add', 'photos')).filter(
      ({ event }) => event === 'added'
    ) as [ProgramEvent]
    const { program, addr } = await serve('theirs')

    const before = await run('ours', 'status', String(hash), '--peer', addr)
    expect(before.code).toBe(EXIT.notFound)

    const told = await events('ours', 'push', addr, 'photos')
    expect(told.at(-1)).toEqual({
      event: 'done',
      hash,
      format: 'hash_seq',
      size: expect.any(Number),
      sent: expect.any(Number),
      had: 0,
      blobs: 5,
      isConfirmed: true,
      seconds: expect.any(Number)
    })
    expect(Number(told.at(-1)!.sent)).toBeGreaterThanOrEqual(Number(size))
    expect(told.slice(0, -1).map(({ event }) => event)).toContain('progress')
    expect(await program.untilEvent('pushed')).toMatchObject({
      peer: ours,
      hash,
      format: 'hash_seq',
      blobs: 5
    })
    const notice = `${ours} has pushed ${hash} and 5 blobs of it (2.9 MiB)`
    await program.until(({ stderr }) => stderr.includes(notice) || undefined)

    const [status] = await events('ours', 'status', String(hash), '--peer', addr)
    const ranges = [[0, expect.any(Number)]]
    expect(status).toMatchObject({ event: 'status', hash, state: 'complete', ranges, peer: addr })
    const text = await run('ours', 'status', String(hash), '--peer', addr)
    expect(text.stdout).toContain(`state   complete`)
    expect(text.stdout).toContain(`peer    ${addr}`)

    // Again by its hash: small files are sent without asking.
    const again = await run('ours', 'push', addr, String(hash))
    expect(again.stderr).toMatch(/done: \d+ B in .*, 2\.9 MiB had been there/)
    expect(again.stdout).toBe(`${hash}\n`)

    expect((await program.stop()).code).toBe(EXIT.ok)
    const tags = await run('theirs', 'ls', '--tags')
    expect(tags.stdout).toContain(`pushed/${hash}`)
    expect((await run('theirs', 'get', `${hash}`, '-o', 'out')).code).toBe(EXIT.ok)
    expect(await differences(folder.in('out'), TREE)).toEqual([])
  })

  it('is refused by a home that does not, with the reason and what can be done', async () => {
    const ours = await makeHome('ours')
    await makeHome('theirs')
    const [{ hash }] = (await events('ours', 'add', 'photos')).filter(({ event }) => event === 'added') as [
      ProgramEvent
    ]
    const { addr } = await serve('theirs')
    const { code, stderr, stdout } = await run('ours', 'push', addr, 'photos')
    expect(code).toBe(EXIT.refused)
    expect(stderr).toContain(
      `this node is ${ours}: the other one has to list it in its config, [push] authorize`
    )
    expect(stderr).toContain(
      `error: ${addr} refused: permission denied: this node takes no pushes from this peer`
    )
    expect(stdout).toBe('')
    expect((await run('theirs', 'status', String(hash))).code).toBe(EXIT.notFound)
  })

  it('says what is wrong with what it is told', async () => {
    const ours = await makeHome('ours')
    await writeTree(folder.path, { file: 'a' })
    await run('ours', 'add', 'file')
    const nobody = '/ip4/127.0.0.1/tcp/1'
    const cases: [args: string[], code: number, message: string][] = [
      [['example.org', 'file'], EXIT.usage, '"example.org" is no multiaddr'],
      [[nobody, 'file'], EXIT.usage, `"${nobody}" does not say which node is meant: it has to end in /p2p/`],
      [[`${nobody}/p2p/${ours}`, 'file'], EXIT.usage, 'is this very node'],
      [
        [`${nobody}/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8`, 'flie'],
        EXIT.notFound,
        'there is no tag "flie"'
      ],
      [
        [
          `${nobody}/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8`,
          '5abb6c4e5673f798d6092ce5343501e6051fe6b9770d165d791747d31ae1cd0c'
        ],
        EXIT.notFound,
        'is not in the store, so it cannot be pushed: add or get it first'
      ],
      [
        [`${nobody}/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8`, 'file'],
        EXIT.unreachable,
        'the node cannot be reached: nothing listens there'
      ]
    ]
    for (const [args, exitCode, message] of cases) {
      const { code, stderr } = await run('ours', 'push', ...args)
      expect(stderr).toContain(message)
      expect(code).toBe(exitCode)
    }
  })
})
