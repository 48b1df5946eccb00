/** Large files between two processes of the command line. Needs dist, which `npm run build` makes. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { throttled } from '../cli/program.ts'
import {
  digestOf,
  type Event,
  killAll,
  MIB,
  MOST_RSS_MIB,
  randomFile as randomFileAt,
  rssMibOf,
  run as runArgs
} from '../helpers/commands.ts'
import { Throttle } from '../helpers/throttle.ts'

let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'blobs-slow-'))
})

afterAll(async () => {
  killAll()
  await rm(dir, { recursive: true, force: true })
})

const run = (home: string, cwd: string, ...args: string[]) => runArgs(home, cwd, args)
const randomFile = (name: string, bytes: number) => randomFileAt(join(dir, name), bytes)
const isTicket = ({ event }: Event): boolean => event === 'ticket'
const isDone = ({ event }: Event): boolean => event === 'done'

async function send(home: string, path: string) {
  const sending = run(home, dir, 'send', path)
  return { sending, ticket: String((await sending.event(isTicket)).ticket) }
}

async function freshFolder(name: string): Promise<string> {
  const path = join(dir, name)
  await mkdir(path, { recursive: true })
  return path
}

describe('two processes', () => {
  it('move 256 MiB and 1 GiB, byte for byte, in the same bounded memory', async () => {
    for (const mib of [256, 1024]) {
      const file = await randomFile(`file-${mib}`, mib * MIB + 17)
      const { sending, ticket } = await send(join(dir, 'home'), file.path)
      const into = await freshFolder(`into-${mib}`)
      const receiving = run(join(dir, 'none'), into, 'receive', ticket)
      await receiving.event(isDone)
      expect(await receiving.exit).toBe(0)
      expect(await digestOf(join(into, `file-${mib}`))).toBe(file.digest)
      expect(receiving.peakRssMib).toBeLessThan(MOST_RSS_MIB)
      expect(rssMibOf(sending.child.pid!)).toBeLessThan(MOST_RSS_MIB)
      sending.child.kill('SIGINT')
      expect(await sending.exit).toBe(0)
      await rm(file.path)
      await rm(into, { recursive: true })
    }
  })

  it('a receiver that is killed again and again gets there in the end, and little is sent twice', async () => {
    const size = 400 * MIB
    const file = await randomFile('killed-often', size)
    const { sending, ticket } = await send(join(dir, 'home-2'), file.path)
    const into = await freshFolder('into-killed')
    let kills = 0
    let done: Event | undefined
    let sentInAll = 0
    while (done === undefined) {
      const stopAt = 10 * MIB + kills * 7 * MIB
      // So that it is in its middle when it is killed, however late that is.
      await using throttle = new Throttle(kills < 5 ? stopAt + 8 * MIB : Number.POSITIVE_INFINITY)
      const receiving = run(join(dir, 'none'), into, 'receive', await throttled(ticket, throttle))
      let received = 0
      const progressed = receiving.event(({ event, received: bytes }) => {
        if (event === 'progress') received = Number(bytes)
        return event === 'done' || (kills < 5 && received > stopAt)
      })
      const event = await progressed
      if (event.event === 'done') {
        done = event
        expect(await receiving.exit).toBe(0)
        sentInAll += Number(event.received)
      } else {
        receiving.child.kill('SIGKILL')
        await receiving.exit
        kills++
        sentInAll += received
        expect((await readdir(into)).filter(name => !name.startsWith('.'))).toEqual([])
      }
    }
    expect(kills).toBe(5)
    expect(Number(done.had)).toBeGreaterThan(0)
    // 16 MiB, and what had arrived since the last event that was seen.
    expect(sentInAll).toBeLessThan(size + kills * 32 * MIB)
    expect(await digestOf(join(into, 'killed-often'))).toBe(file.digest)
    expect(await readdir(into)).toEqual(['killed-often'])
    sending.child.kill('SIGINT')
    await sending.exit
  })

  it('a provider that is killed in the middle is a clear error, and the fetch goes on when it is back', async () => {
    const file = await randomFile('orphan', 300 * MIB)
    const first = await send(join(dir, 'home-3'), file.path)
    const into = await freshFolder('into-orphan')
    await using throttle = new Throttle(60 * MIB)
    const cutOff = run(join(dir, 'none'), into, 'receive', await throttled(first.ticket, throttle))
    await cutOff.event(({ event, received }) => event === 'progress' && Number(received) > 30 * MIB)
    first.sending.child.kill('SIGKILL')
    const error = await cutOff.event(({ event }) => event === 'error')
    expect(await cutOff.exit).not.toBe(0)
    expect(String(error.message)).not.toBe('')
    expect((await readdir(into)).filter(name => !name.startsWith('.'))).toEqual([])
    const second = await send(join(dir, 'home-3'), file.path)
    const receiving = run(join(dir, 'none'), into, 'receive', second.ticket)
    const done = await receiving.event(isDone)
    expect(await receiving.exit).toBe(0)
    expect(Number(done.had)).toBeGreaterThan(0)
    expect(await digestOf(join(into, 'orphan'))).toBe(file.digest)
    second.sending.child.kill('SIGINT')
    await second.sending.exit
  })
})
