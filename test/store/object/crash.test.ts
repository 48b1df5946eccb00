/** Killed at any moment, the store never claims what it has not got, and goes on near where it was. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { encode } from '../../../src/bao/encoder.ts'
import { hashBytes } from '../../../src/bao/outboard.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { MOST_UNSAVED_BYTES } from '../../../src/store/object/arrival.ts'
import { partialPrefix } from '../../../src/store/object/layout.ts'
import { FilesystemStorage } from '../../../src/store/object/storage/filesystem/index.ts'
import { CRASH_BLOB_BYTES, crashBlob, openFolder } from './crashing.ts'

const CHILD = new URL('crash-child.ts', import.meta.url).pathname
const ROUNDS = 10
const MIB = 1024 * 1024

const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'object-crash-'))
  cleanups.push(async () => await rm(folder, { recursive: true }))
  return folder
}

/** Starts a process, and waits until it has said enough. What it says is gathered in `said`, also later. */
async function start(
  folder: string,
  seed: number,
  kind: 'one' | 'many',
  isEnough: (said: readonly string[]) => boolean
) {
  const child = spawn(process.execPath, [CHILD, folder, String(seed), kind], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const said: string[] = []
  const lines = createInterface(child.stdout)
  await new Promise<void>(resolve => {
    lines.on('line', line => {
      said.push(line)
      if (isEnough(said)) resolve()
    })
    lines.on('close', resolve)
  })
  return { child, said }
}

async function kill(child: ChildProcess): Promise<void> {
  expect(child.exitCode, 'the child ended by itself').toBe(null)
  const exit = once(child, 'close')
  child.kill('SIGKILL')
  await exit
}

/** Everything that is claimed is read and verified. Every third time, after the database was lost. */
async function check(folder: string, round: number): Promise<{ complete: number; partial: number }> {
  const isLost = round % 3 === 2
  await using store = await openFolder(folder, isLost ? `lost-${round}.db` : undefined)
  if (isLost) await store.recoverFromStorage({ fast: true })
  const found = { complete: 0, partial: 0 }
  for await (const { hash, status } of store.list()) {
    await using reader = await store.open(hash)
    const ranges = status.state === 'partial' ? status.ranges : ChunkRanges.all
    for await (const _piece of encode(hash, reader!, ranges));
    found[status.state]++
  }
  return found
}

describe('an ObjectStore whose process is killed', () => {
  it(`has only right blobs after each of ${ROUNDS} kills at random moments`, {
    timeout: 300_000
  }, async () => {
    const folder = await testFolder()
    const total = { complete: 0, partial: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const hasBoth = (said: readonly string[]) => said.includes('complete') && said.includes('partial')
      const { child } = await start(folder, round, 'many', hasBoth)
      await setTimeout(((round * 7919) % 10) * 30)
      await kill(child)
      const { complete, partial } = await check(folder, round)
      total.complete += complete
      total.partial += partial
    }
    expect(total.complete).toBeGreaterThan(ROUNDS)
    expect(total.partial).toBeGreaterThan(ROUNDS)
  })

  it('goes on with a blob at most two parts before where it was', { timeout: 300_000 }, async () => {
    const folder = await testFolder()
    const { hash } = hashBytes(crashBlob())
    let lives = 0
    for (let isComplete = false; !isComplete; lives++) {
      // Only against going on for ever: some lives bring little more than they lose.
      expect(lives).toBeLessThan(100)
      const most = (10 + 6 * (lives % 3)) * MIB
      const hasBrought = (said: readonly string[]) => Number(said.at(-1)) >= Number(said[0]) + most
      const { child, said } = await start(
        folder,
        0,
        'one',
        said => said.includes('complete') || hasBrought(said)
      )
      await kill(child)
      isComplete = said.includes('complete')
      const written = isComplete ? CRASH_BLOB_BYTES : Number(said.findLast(line => /^\d+$/.test(line)) ?? 0)
      await using store = await openFolder(folder)
      const status = await store.status(hash)
      if (status.state === 'complete') {
        expect(written).toBe(CRASH_BLOB_BYTES)
        break
      }
      const held = status.state === 'partial' ? Number(status.ranges.boundaries[1]) * 1024 : 0
      expect(held).toBeGreaterThanOrEqual(written - MOST_UNSAVED_BYTES)
    }
    expect(lives).toBeGreaterThan(2)
    expect(await check(folder, 0)).toEqual({ complete: 1, partial: 0 })
    await using storage = await FilesystemStorage.open(join(folder, 'blobs'))
    expect(await Array.fromAsync(storage.list({ prefix: partialPrefix(hash) }))).toEqual([])
  })
})
