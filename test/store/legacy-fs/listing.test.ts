/** Long lists, of which a thread looks at half of the files. */
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Hash } from '../../../src/hash.ts'
import { SizeMismatchError } from '../../../src/store/errors.ts'
import { dataPath } from '../../../src/store/legacy-fs/layout.ts'
import { Page, type SharedPage } from '../../../src/store/legacy-fs/listing/page.ts'
import { groups, sampleBlob, startReceiving, testFolder, testStore } from './support.ts'

/** More than the number from which on a thread takes part. */
const MANY = 17_000

const THREAD = new URL('../../../src/store/legacy-fs/listing/thread.ts', import.meta.url)

function hexOf(i: number): string {
  return i.toString(16).padStart(64, '0')
}

function sizeOf(i: number): number {
  return 1 + (i % 7)
}

function writeFiles(folder: string, count: number): string[] {
  const hexes = Array.from({ length: count }, (_, i) => hexOf(i))
  for (const [i, hex] of hexes.entries()) writeFileSync(dataPath(folder, hex), 'abcdefg'.slice(0, sizeOf(i)))
  return hexes
}

/** Has a thread look at the whole page, as it does when who lists has not begun. */
async function lookedAt(folder: string, shared: SharedPage): Promise<void> {
  const thread = new Worker(THREAD, { workerData: folder })
  onTestFinished(async () => {
    await thread.terminate()
  })
  thread.postMessage(shared)
  await expect.poll(() => new Int32Array(shared.memory)[1]).toBe(0)
}

describe('a list of many blobs', () => {
  let root: string
  let data: string

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'listing-'))
    data = join(root, 'data')
    mkdirSync(data)
    writeFiles(data, MANY)
  })

  afterAll(() => rmSync(root, { recursive: true }))

  it('may be left, and the store be closed meanwhile', async () => {
    const store = await testStore(root, { sync: 'none' })
    for await (const _info of store.list()) break
    const rest = store.list()
    await rest.next()
    await store.close()
    await expect(rest.next()).rejects.toThrow('closed')
  })

  it('has each of them once, and nothing else', async () => {
    const store = await testStore(root, { sync: 'none' })
    const partial = sampleBlob(100_000)
    await (await startReceiving(store, partial, groups(0, 3))).close()
    writeFileSync(dataPath(data, hexOf(MANY)), '')
    mkdirSync(dataPath(data, hexOf(MANY + 1)))
    writeFileSync(join(data, 'mine.data'), 'not a blob')
    const infos = await Array.fromAsync(store.list())
    const complete = infos.filter(({ status }) => status.state === 'complete')
    expect(infos).toHaveLength(MANY + 1)
    expect(new Set(infos.map(({ hash }) => hash.toString())).size).toBe(MANY + 1)
    const found = new Map(complete.map(({ hash, status }) => [hash.toString(), status]))
    const wrong = Array.from({ length: MANY }, (_, i) => i).filter(
      i => JSON.stringify(found.get(hexOf(i))) !== JSON.stringify({ state: 'complete', size: sizeOf(i) })
    )
    expect(wrong).toEqual([])
    expect(infos.find(({ status }) => status.state === 'partial')?.hash).toEqual(partial.hash)
    const some = infos.find(({ hash }) => hash.equals(Hash.parse(hexOf(3))))!
    expect(some.changedAt).toBe(statSync(dataPath(data, hexOf(3))).mtimeMs)
  })
})

it('tells the status of some dozens of blobs among many files', async () => {
  const root = await testFolder()
  const store = await testStore(root, { sync: 'none' })
  writeFiles(join(root, 'data'), 400)
  const added = await Promise.all([1, 2, 3].map(i => store.addBytes(new Uint8Array(i))))
  const hashes = [
    ...added.map(({ hash }) => hash),
    ...Array.from({ length: 70 }, (_, i) => Hash.parse(hexOf(1000 + i)))
  ]
  for (let i = 0; i < 2; i++) {
    const statuses = await store.statusOfMany(hashes)
    expect(statuses.slice(0, 4).map(({ state }) => state)).toEqual([
      'complete',
      'complete',
      'complete',
      'absent'
    ])
    expect(statuses.filter(({ state }) => state === 'absent')).toHaveLength(70)
  }
})

describe('a page', () => {
  it('tells what its thread has seen, and looks itself at what that could not see', async () => {
    const folder = await testFolder()
    const hexes = writeFiles(folder, 100)
    const late = hexOf(100)
    const page = new Page(folder, [...hexes, late], Number.POSITIVE_INFINITY)
    await lookedAt(folder, page.shared)
    for (const hex of hexes) rmSync(dataPath(folder, hex))
    writeFileSync(dataPath(folder, late), 'late')
    expect(hexes.map((_, place) => page.at(place)?.size)).toEqual(hexes.map((_, i) => sizeOf(i)))
    expect(page.at(100)?.size).toBe(4)
  })

  it('looks again where it takes long until it is listed: what its thread has seen may be gone', async () => {
    const folder = await testFolder()
    const hexes = writeFiles(folder, 100)
    const page = new Page(folder, hexes, 20)
    await lookedAt(folder, page.shared)
    await setTimeout(20)
    for (const hex of hexes) rmSync(dataPath(folder, hex))
    expect(hexes.filter((_, place) => page.at(place) !== undefined)).toEqual([])
  })

  it('looks at all of them where there is no thread', async () => {
    const folder = await testFolder()
    const hexes = writeFiles(folder, 100)
    const page = new Page(folder, hexes)
    rmSync(dataPath(folder, hexes[7]!))
    expect(hexes.map((_, place) => page.at(place)?.size)).toEqual(
      hexes.map((_, i) => (i === 7 ? undefined : sizeOf(i)))
    )
  })

  it('leaves to who lists what he has come to', async () => {
    const folder = await testFolder()
    const hexes = writeFiles(folder, 100)
    const page = new Page(folder, hexes)
    const { memory } = page.shared
    expect(page.at(0)?.size).toBe(1)
    const thread = new Worker(THREAD, { workerData: folder })
    onTestFinished(async () => {
      await thread.terminate()
    })
    thread.postMessage(page.shared)
    // The first entry belongs to who lists: the thread stops before the step that has it.
    await expect.poll(() => new Int32Array(memory)[1]).toBeLessThan(32 + 5)
    expect(new Int32Array(memory)[1]).toBeGreaterThan(0)
    expect(hexes.slice(1).map((_, i) => page.at(i + 1)?.size)).toEqual(
      hexes.slice(1).map((_, i) => sizeOf(i + 1))
    )
  })
})

it('a blob that was absent when many were looked up, and has come since, is held to its size', async () => {
  const store = await testStore(await testFolder(), { sync: 'none' })
  const blobs = Array.from({ length: 100 }, (_, i) => sampleBlob(1000 + i, i))
  await store.statusOfMany(blobs.map(({ hash }) => hash))
  const [{ hash, data }] = blobs as [(typeof blobs)[number]]
  await store.addBytes(data)
  await expect(store.writer(hash, 2000)).rejects.toThrow(SizeMismatchError)
  await using writer = await store.writer(hash, data.length)
  expect(await writer.close()).toEqual({ state: 'complete', size: data.length })
})
