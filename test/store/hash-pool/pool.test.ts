/** The threads themselves: what becomes of them, and of those who wait for them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hashBytes } from '../../../src/bao/index.ts'
import { JOBS_PER_THREAD, WORTH_BYTES } from '../../../src/store/hash-pool/constants.ts'
import { Crew } from '../../../src/store/hash-pool/crew.ts'
import { hashFile } from '../../../src/store/hash-pool/hash-file.ts'
import { InputFile } from '../../../src/store/input-file.ts'
import { OutboardSpool } from '../../../src/store/outboard-spool.ts'
import { randomData } from '../../helpers/data.ts'
import { startedCrew, startPool } from './support.ts'

const data = randomData(3 * WORTH_BYTES + 5)
const { hash } = hashBytes(data)

let folder: string
let path: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pool-'))
  path = join(folder, 'blob')
  await writeFile(path, data)
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

/** Threads that are started from now on. */
function startedThreads(): Worker[] {
  const started: Worker[] = []
  process.on('worker', worker => started.push(worker))
  return started
}

async function hashIt(onHashed?: () => void): Promise<string> {
  await using file = await InputFile.open(path)
  const spool = OutboardSpool.inSystemFolder()
  try {
    return (await hashFile(file, spool, { onHashed })).hash.toString()
  } finally {
    await spool.close()
  }
}

describe('a crew', () => {
  it('fails all who wait when one of its threads ends, and takes no more jobs', async () => {
    const started = startedThreads()
    let ends = 0
    const crew = await startedCrew(() => ends++)
    await using file = await open(path)
    const job = { source: file.fd, offset: 0, length: data.length, isRoot: false }
    const jobs = Array.from({ length: 3 * crew.width }, () => crew.run(job))
    await Promise.all([
      started[0]!.terminate(),
      ...jobs.map(running => expect(running).rejects.toMatchObject({ code: 'ERR_STORE' }))
    ])
    await expect(crew.run(job)).rejects.toMatchObject({ code: 'ERR_STORE' })
    expect(crew.isReady).toBe(false)
    expect(ends).toBe(1)
  })

  it('never gets ready when a thread ends before', async () => {
    process.once('worker', worker => void worker.terminate())
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const crew = new Crew(resolve)
    expect(await promise).toBe(true)
    expect(crew.isReady).toBe(false)
  })
})

describe('the pool', () => {
  it('starts threads when they are needed, for all who come, and ends them when nobody is left', async () => {
    const started = startedThreads()
    const hashes = await Promise.all([hashIt(), hashIt(), hashIt()])
    const crew = await startPool()
    hashes.push(await hashIt())
    expect(new Set(hashes)).toEqual(new Set([hash.toString()]))
    expect(started.length).toBe(crew.width / JOBS_PER_THREAD)
    await Promise.all(started.map(worker => once(worker, 'exit')))
    expect(await hashIt()).toBe(hash.toString())
  })

  it('says so when threads end in the middle, and starts new ones for the next', async () => {
    const ended = await startPool()
    await ended.end()
    const started = startedThreads()
    expect(await startPool()).not.toBe(ended)
    const hashing = hashIt(() => started.forEach(thread => void thread.terminate()))
    await expect(hashing).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/thread/)
    })
    expect(await hashIt()).toBe(hash.toString())
  })
})

describe('a process', () => {
  const script = join(import.meta.dirname, 'adding-child.ts')

  async function run(flags: readonly string[], args: readonly string[]) {
    const child = spawn(process.execPath, [...flags, script, path, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 60_000
    })
    let output = ''
    child.stdout.on('data', piece => {
      output += piece
    })
    const [code] = await once(child, 'close')
    return { code, output: output.trim().split(' ') }
  }

  it('ends when it has added a file, without closing the store', async () => {
    const { code, output } = await run([], [join(folder, 'store'), 'started-threads'])
    expect(code).toBe(0)
    const [added, threads] = output
    expect(added).toBe(hash.toString())
    expect(Number(threads)).toBeGreaterThan(0)
  })

  it('adds the file by itself where threads are forbidden', async () => {
    const flags = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*']
    const { code, output } = await run(flags, [join(folder, 'store-without'), 'no-threads'])
    expect([code, ...output]).toEqual([0, hash.toString(), '0'])
  })

  it('adds the file by itself where threads cannot start', async () => {
    const { code, output } = await run([], [join(folder, 'store-failing'), 'threads-that-fail'])
    expect([code, output[0]]).toEqual([0, hash.toString()])
    expect(Number(output[1])).toBeGreaterThan(0)
  })
})
