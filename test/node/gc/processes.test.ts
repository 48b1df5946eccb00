/** Keeping, forgetting and collecting in several processes, which are killed at any moment. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { collectGarbage } from '../../../src/node/gc/collect.ts'
import { assertComplete } from '../../../src/store/compliance/checks.ts'
import type { BlobStore } from '../../../src/store/index.ts'
import { KINDS, type Kind, openKind, POOL } from './processes.ts'

const CHILD = new URL('process-child.ts', import.meta.url).pathname

/** Kills in the random test. */
const ROUNDS = 4

type Task = 'hold' | 'stand' | 'collect' | 'work'

const children: ChildProcess[] = []

async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gc-processes-'))
  onTestFinished(async () => {
    for (const child of children.splice(0)) if (child.exitCode === null) await kill(child)
    await rm(folder, { recursive: true })
  })
  return folder
}

async function testStore(kind: Kind, folder: string): Promise<BlobStore> {
  const store = await openKind(kind, folder)
  onTestFinished(() => store.close())
  return store
}

/** Starts a process, and waits for its first word. What it says is gathered in `said`. */
async function start(kind: Kind, folder: string, task: Task, number = 0) {
  const child = spawn(process.execPath, [CHILD, kind, folder, task, String(number)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  children.push(child)
  const said: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => said.push(...text.trim().split('\n')))
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  expect(said).toHaveLength(1)
  return { child, said }
}

async function kill(child: ChildProcess): Promise<void> {
  expect(child.exitCode, 'the child ended by itself').toBe(null)
  if (child.signalCode !== null) return
  const exit = once(child, 'close')
  child.kill('SIGKILL')
  await exit
}

async function hashesIn(store: BlobStore): Promise<string[]> {
  return (await Array.fromAsync(store.list())).map(({ hash }) => hash.toString()).sort()
}

/** Collects, and expects that afterwards just these blobs of the pool are there. */
async function collect(store: BlobStore, ...expected: readonly number[]): Promise<void> {
  await collectGarbage(store, { partialAgeMs: -1000 })
  expect(await hashesIn(store)).toEqual(expected.map(i => POOL[i]!.hash.toString()).sort())
  for (const i of expected) await assertComplete(store, POOL[i]!)
}

/** Files and objects other than tags and the index, below a folder that has been used. */
async function leftIn(kind: Kind, folder: string): Promise<string[]> {
  const wanted =
    kind === 'legacy-fs' ? /^(data|leases|sweeps|temp)\/./ : /^blobs\/(blobs|temp|partial)\/.*[^/]$/
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => !entry.isDirectory())
  return files
    .map(file => join(file.parentPath, file.name).slice(folder.length + 1))
    .filter(name => wanted.test(name))
}

describe.each(KINDS)('on %s', { timeout: 300_000 }, kind => {
  it('a lease of another process protects as long as that lives, and not any longer', async () => {
    const folder = await testFolder()
    const store = await testStore(kind, folder)
    for (const blob of POOL) await store.addBytes(blob.data)
    const holding = await start(kind, folder, 'hold', 3)
    await collect(store, 3)
    await store.addBytes(POOL[1]!.data)
    await collect(store, 3)
    await kill(holding.child)
    await collect(store)
    expect(await leftIn(kind, folder)).toEqual([])
  })

  it('a process that stands still keeps its leases', async () => {
    const folder = await testFolder()
    const store = await testStore(kind, folder)
    await store.addBytes(POOL[2]!.data)
    const holding = await start(kind, folder, 'hold', 2)
    holding.child.kill('SIGSTOP')
    // As after an hour.
    if (kind === 'legacy-fs') {
      const [file] = await readdir(join(folder, 'leases'))
      const before = Date.now() / 1000 - 3600
      await utimes(join(folder, 'leases', file!), before, before)
    }
    await collect(store, 2)
    holding.child.kill('SIGCONT')
    await kill(holding.child)
    await collect(store)
  })

  it('a collection that is killed while it deletes leaves what is protected, and nobody waiting', async () => {
    const folder = await testFolder()
    const store = await testStore(kind, folder)
    for (const blob of POOL) await store.addBytes(blob.data)
    const standing = await start(kind, folder, 'stand')
    await kill(standing.child)
    const released = async () =>
      kind === 'legacy-fs'
        ? (await readdir(join(folder, 'leases'))).filter(name => name.endsWith('.released'))
        : []
    const left = await released()
    const lease = await store.lease()
    await lease.protect({ hash: POOL[4]!.hash, format: 'raw' })
    await store.tags.set('kept', { hash: POOL[5]!.hash, format: 'raw' })
    for (const blob of POOL) await assertComplete(store, blob)
    await lease.release()
    // Nobody collects any more, so a released lease waits for nobody.
    expect(await released()).toEqual(left)
    await collect(store, 0, 5)
    expect(await leftIn(kind, folder)).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/^(sweeps\/|leases\/.*released$)/)])
    )
  })

  it.runIf(kind === 'legacy-fs')('who protects waits for a deletion that goes on', async () => {
    const folder = await testFolder()
    const store = await testStore(kind, folder)
    const standing = await start(kind, folder, 'stand')
    let isProtected = false
    const protecting = (async () => {
      const lease = await store.lease()
      await lease.protect({ hash: POOL[4]!.hash, format: 'raw' })
      isProtected = true
    })()
    await setTimeout(300)
    expect(isProtected).toBe(false)
    await kill(standing.child)
    await protecting
  })

  it('whatever is killed when, tagged blobs are there and right, and nothing else is in the end', async () => {
    const folder = await testFolder()
    const store = await testStore(kind, folder)
    const tasks: readonly Task[] = ['work', 'work', 'collect']
    let number = 0
    const running = await Promise.all(tasks.map(task => start(kind, folder, task, number++)))
    for (let round = 0; round < ROUNDS; round++) {
      await setTimeout(100 + ((round * 7919) % 11) * 80)
      const which = (round * 7 + 2) % tasks.length
      await kill(running[which]!.child)
      expect(running[which]!.said).toHaveLength(1)
      await checkTagged(store)
      running[which] = await start(kind, folder, tasks[which]!, number++)
    }
    // Of these at most four are deleted again: each of those who work has two at a time.
    await expect.poll(async () => (await Array.fromAsync(store.tags.list())).length).toBeGreaterThan(6)
    for (const { child, said } of running) {
      await kill(child)
      expect(said).toHaveLength(1)
    }
    const tagged = await checkTagged(store)
    expect(tagged.size).toBeGreaterThan(0)
    await collectGarbage(store, { partialAgeMs: -1000 })
    expect(await hashesIn(store)).toEqual([...tagged].sort())
    await checkTagged(store)
    for await (const { name } of store.tags.list()) await store.tags.delete(name)
    await collect(store)
    // Who was killed between writing an object and moving it to its place has left it where it is swept a week later.
    for (const name of await leftIn(kind, folder)) {
      if (name.startsWith('blobs/temp/')) await utimes(join(folder, name), 1, 1)
    }
    const again = await testStore(kind, folder)
    await expect.poll(() => leftIn(kind, folder)).toEqual([])
    await collect(again)
  })
})

/** All blobs with tags are complete, unless the tag goes while one looks. @returns their hashes */
async function checkTagged(store: BlobStore): Promise<Set<string>> {
  const hashes = new Set<string>()
  for await (const { name, hash } of store.tags.list()) {
    hashes.add(hash.toString())
    const blob = POOL.find(known => known.hash.equals(hash))!
    try {
      await assertComplete(store, blob)
    } catch (error) {
      if ((await store.tags.get(name)) !== undefined) throw error
    }
  }
  return hashes
}
