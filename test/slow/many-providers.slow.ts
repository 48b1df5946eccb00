/** A folder of a gigabyte from three nodes, of which one is killed and one lies, into a node that is killed five times. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { digestOf, type Event, killAll, MIB, MOST_RSS_MIB, randomFile, run } from '../helpers/commands.ts'
import { Throttle } from '../helpers/throttle.ts'

const LIAR = join(import.meta.dirname, 'corrupting-provider.ts')

/** The getter is killed when so much of the whole is there; the first provider is killed half way. */
const KILLED_AT = [0.12, 0.25, 0.4, 0.65, 0.8]

/** The folder that is shared: large files, thousands of small ones, an empty one, names in several scripts. */
const LARGE = 20
const LARGE_BYTES = 40 * MIB
const SMALL = 5_000
const SMALL_BYTES = 4096
const NAMES = ['Ünïcödé', 'Привет', '日本語', 'مرحبا', 'with space', 'emoji 🙂', '.hidden']

let dir: string
let liar: ReturnType<typeof spawn> | undefined

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'blobs-many-'))
})

afterAll(async () => {
  liar?.kill('SIGKILL')
  killAll()
  await rm(dir, { recursive: true, force: true })
})

/** @returns the digest of each file by its path in the folder */
async function makeFolder(folder: string): Promise<Map<string, string>> {
  const digests = new Map<string, string>()
  const put = async (name: string, bytes: number): Promise<void> => {
    await mkdir(join(folder, name, '..'), { recursive: true })
    digests.set(name, (await randomFile(join(folder, name), bytes)).digest)
  }
  for (let i = 0; i < LARGE; i++) await put(`large/${NAMES[i % NAMES.length]} ${i}.bin`, LARGE_BYTES)
  for (let i = 0; i < SMALL; i++) await put(`small/${i % 100}/${NAMES[i % NAMES.length]} ${i}`, SMALL_BYTES)
  await writeFile(join(folder, 'empty'), '')
  digests.set('empty', await digestOf(join(folder, 'empty')))
  return digests
}

async function expectSameFolder(folder: string, digests: ReadonlyMap<string, string>): Promise<void> {
  const entries = await readdir(folder, { recursive: true })
  const files: string[] = []
  for (const name of entries) if ((await stat(join(folder, name))).isFile()) files.push(name)
  expect(files.sort()).toEqual([...digests.keys()].sort())
  for (const [name, digest] of digests) expect(await digestOf(join(folder, name)), name).toBe(digest)
}

const command = (home: string, ...args: string[]) => run(join(dir, home), dir, args)

async function serve(home: string) {
  const serving = command(home, 'serve')
  const { peerId, addrs } = await serving.event(({ event }) => event === 'listening')
  return { serving, peerId: String(peerId), addr: String((addrs as string[])[0]) }
}

async function startLiar(home: string): Promise<string> {
  liar = spawn(process.execPath, [LIAR, join(dir, home)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(createInterface({ input: liar.stdout! }), 'line')
  return String(line)
}

it('arrives whole, and hardly anything is fetched twice', { timeout: 600_000 }, async () => {
  const folder = join(dir, 'folder')
  const digests = await makeFolder(folder)
  expect(await command('one', 'init').exit).toBe(0)
  const adding = command('one', 'add', folder)
  const { hash, size } = await adding.event(({ event }) => event === 'added')
  expect(await adding.exit).toBe(0)
  for (const home of ['two', 'liar']) {
    expect(await command(home, 'init').exit).toBe(0)
    await cp(join(dir, 'one/blobs'), join(dir, home, 'blobs'), { recursive: true })
  }
  const [one, two, liarAddr] = [await serve('one'), await serve('two'), await startLiar('liar')]
  const liarId = liarAddr.split('/p2p/')[1]!

  expect(await command('getter', 'init').exit).toBe(0)
  const get = async (throttle: Throttle) => {
    const addrs = await Promise.all([one.addr, two.addr, liarAddr].map(addr => throttle.before(addr)))
    const peers = addrs.flatMap(addr => ['--peer', addr])
    return command('getter', 'get', String(hash), '--format', 'hash_seq', ...peers, '-o', join(dir, 'copy'))
  }
  const total = Number(size)
  let fetched = 0
  let told = ''
  let there = 0
  /** Gets until a part of the whole is there, or to the end. */
  const getUpTo = async (part: number, whenHalfIsThere?: () => void): Promise<Event | undefined> => {
    // So that it is in its middle when it is killed, however late that is. Some of what was there is lost by a kill, or comes twice.
    const most = part < 1 ? (part - there) * total * 1.2 + 80 * MIB : Number.POSITIVE_INFINITY
    await using throttle = new Throttle(most)
    const getting = await get(throttle)
    const last = await getting.event((event: Event) => {
      if (event.event !== 'progress') return event.event === 'done'
      const share = (Number(event.had) + Number(event.received)) / total
      there = share
      if (share > 0.5) whenHalfIsThere?.()
      return share > part
    })
    const isDone = last.event === 'done'
    if (!isDone) getting.child.kill('SIGKILL')
    const code = await getting.exit
    fetched += Number(last.received)
    told += getting.stderr
    expect(getting.peakRssMib).toBeLessThan(MOST_RSS_MIB)
    if (isDone) expect(code, getting.stderr).toBe(0)
    return isDone ? last : undefined
  }
  for (const part of KILLED_AT) {
    expect(await getUpTo(part, () => one.serving.child.kill('SIGKILL'))).toBeUndefined()
  }
  expect(one.serving.child.killed).toBe(true)
  const done = await getUpTo(1)

  expect(Number(done?.size)).toBe(total)
  await expectSameFolder(join(dir, 'copy'), digests)
  expect((fetched - total) / total).toBeLessThan(0.1)
  // Who lies is told by name.
  expect(told).toContain(liarId)
  expect(told).not.toContain(two.peerId)
})
