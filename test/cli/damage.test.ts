/** A damaged blob is found by `verify` and repaired by `get`, which fetches what is wrong and no more. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hashBytes } from '../../src/bao/outboard.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { Hash } from '../../src/hash.ts'
import { randomData } from '../helpers/data.ts'
import { flipByte } from '../helpers/files.ts'
import { type Scratch, scratch } from '../node/support.ts'
import { ensureBuilt, Program, type ProgramEvent, type Result } from './program.ts'

const MIB = 1024 * 1024
const SIZE = 20 * MIB
const GROUP = 16_384
const PLACES = [0, 9 * MIB + 17, SIZE - 1]

let folder: Scratch
let programs: Program[]

beforeAll(ensureBuilt)

beforeEach(async () => {
  folder = await scratch()
  programs = []
})

afterEach(async () => {
  for (const program of programs) program.child.kill('SIGKILL')
  await Promise.all(programs.map(({ ended }) => ended))
  await folder[Symbol.asyncDispose]()
})

function start(...args: readonly string[]): Program {
  const program = new Program([...args, '--json'], { cwd: folder.path })
  programs.push(program)
  return program
}

async function run(...args: readonly string[]): Promise<Result & { events: ProgramEvent[] }> {
  const program = start(...args)
  return { ...(await program.ended), events: program.events }
}

describe.each(['legacy', 'filesystem'] as const)(
  'a home with a store of type "%s"',
  { timeout: 300_000 },
  kind => {
    /** Where the blob's bytes are in the getter's home. */
    function pathOf(hash: string): string {
      return kind === 'legacy'
        ? folder.in('getter', 'blobs', 'data', `${hash}.data`)
        : folder.in('getter', 'blobs', 'blobs', Hash.parse(hash).toBase32(), 'data')
    }

    it('is repaired by a few groups of a peer', async () => {
      const provider = ['--home', folder.in('provider')]
      const getter = ['--home', folder.in('getter')]
      await writeFile(folder.in('file.bin'), randomData(SIZE))
      await run('init', ...provider)
      await run('init', ...getter, '--store', kind)
      await run('add', ...provider, 'file.bin')
      const { ticket } = await start('serve', ...provider, '--listen', '/ip4/127.0.0.1/tcp/0').untilEvent(
        'ticket'
      )
      const fetched = await run('get', ...getter, String(ticket))
      expect(fetched.code, fetched.stderr).toBe(EXIT.ok)
      const hash = String(fetched.events.at(-1)?.hash)

      for (const place of PLACES) await flipByte(pathOf(hash), place)
      const verified = await run('verify', ...getter, '--all')
      expect(verified.code).toBe(EXIT.badData)
      expect(verified.events).toEqual([
        expect.objectContaining({
          event: 'verified',
          hash,
          state: 'damaged',
          wrongGroups: PLACES.length,
          wrong: '0..16,9216..9232,20464..20480'
        }),
        expect.objectContaining({ event: 'summary', blobs: 1, damaged: 1, missing: 0 })
      ])
      const { events } = await run('status', ...getter, hash)
      expect(events[0]).toMatchObject({ state: 'partial', held: SIZE - PLACES.length * GROUP })

      const repaired = await run('get', ...getter, String(ticket), '-o', folder.in('copy.bin'))
      expect(repaired.code, repaired.stderr).toBe(EXIT.ok)
      expect(repaired.stderr).toContain('20.0 MiB had been there')
      expect(repaired.events.at(-1)).toMatchObject({
        event: 'done',
        received: PLACES.length * GROUP,
        had: SIZE - PLACES.length * GROUP
      })
      expect((await readFile(folder.in('copy.bin'))).equals(await readFile(folder.in('file.bin')))).toBe(true)
      expect((await readFile(pathOf(hash))).equals(await readFile(folder.in('file.bin')))).toBe(true)
      expect((await run('verify', ...getter)).code).toBe(EXIT.ok)
    })
  }
)

it('blobs that are deleted while all are verified are no failure', { timeout: 300_000 }, async () => {
  const home = ['--home', folder.in('home')]
  await run('init', ...home, '--store', 'legacy')
  const data = folder.in('home', 'blobs', 'data')
  mkdirSync(data, { recursive: true })
  // So many that a thread looks at them ahead of who verifies them.
  for (let i = 0; i < 17_000; i++) {
    const bytes = Buffer.from(`${i}`)
    writeFileSync(join(data, `${hashBytes(bytes).hash}.data`), bytes)
  }
  const verifying = start('verify', ...home)
  await verifying.untilEvent('verified')
  for (const name of readdirSync(data)) rmSync(join(data, name))
  const { code, stderr } = await verifying.ended
  expect(code, stderr).toBe(EXIT.ok)
  expect(verifying.events.at(-1)).toMatchObject({ event: 'summary', damaged: 0, missing: 0 })
})
