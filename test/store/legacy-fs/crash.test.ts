/** Killed at any moment, the store never claims what it has not got. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { readClaimed, testFolder } from './support.ts'

const CHILD = new URL('crash-child.ts', import.meta.url).pathname
const ROUNDS = 14

/** Starts a process, and waits until it has told of a blob in each of these states. */
async function start(folder: string, seed: number, ...states: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHILD, folder, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const told = new Set<string>()
  for await (const line of createInterface(child.stdout)) {
    told.add(line)
    if (states.every(state => told.has(state))) break
  }
  child.stdout.resume()
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  expect(child.exitCode, 'the child ended by itself').toBe(null)
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

/** Everything that is claimed is read and verified. */
async function check(folder: string): Promise<{ complete: number; partial: number }> {
  await using store = await LegacyFsStore.open(folder)
  expect(await readdir(join(folder, 'temp')), 'left in temp').toEqual([])
  const found = { complete: 0, partial: 0 }
  for await (const info of store.list()) {
    await readClaimed(store, info)
    found[info.status.state]++
    const status = await store.status(info.hash)
    expect(status.state).toBe(info.status.state)
  }
  for await (const { name } of store.tags.list()) expect(name).toMatch(/^tag \d+$/)
  expect(store.notices).toEqual([])
  return found
}

describe('a LegacyFsStore whose process is killed', () => {
  it(`has only right blobs after each of ${ROUNDS} kills at random moments`, {
    timeout: 300_000
  }, async () => {
    const folder = await testFolder()
    const total = { complete: 0, partial: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const child = await start(folder, round, 'complete', 'partial')
      await setTimeout(((round * 7919) % 10) * 20)
      await kill(child)
      const { complete, partial } = await check(folder)
      total.complete += complete
      total.partial += partial
    }
    expect(total.complete).toBeGreaterThan(ROUNDS)
    expect(total.partial).toBeGreaterThan(ROUNDS)
  })

  it('has only right blobs when another process goes on using the folder', async () => {
    const folder = await testFolder()
    // The same seed: both receive the same blobs at the same time.
    for (let round = 0; round < 4; round++) {
      const children = await Promise.all([start(folder, round, 'complete'), start(folder, round, 'complete')])
      await setTimeout(round * 100)
      await kill(children[0])
      await setTimeout(200)
      await kill(children[1])
      const { complete } = await check(folder)
      expect(complete).toBeGreaterThan(0)
    }
  })
})
