/** Files that are large enough to be added by several threads. */
import { truncateSync } from 'node:fs'
import { readdir, readFile, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { beforeEach, describe, expect, it } from 'vitest'
import { JOB_BYTES, WORTH_BYTES } from '../../../src/store/hash-pool/constants.ts'
import type { AddOptions } from '../../../src/store/index.ts'
import type { LegacyFsStoreOptions } from '../../../src/store/legacy-fs/index.ts'
import { startPool } from '../hash-pool/support.ts'
import { readClaimed, sampleBlob, testFolder, testStore } from './support.ts'

const blob = sampleBlob(WORTH_BYTES + 6 * JOB_BYTES + 12_345)

async function setUp(options?: LegacyFsStoreOptions) {
  const folder = await testFolder()
  const path = join(await testFolder(), 'file')
  await writeFile(path, blob.data)
  // Clocks of files are coarse: a change right after the file was made might not show.
  await utimes(path, 1, 1)
  const store = await testStore(folder, options)
  const add = (options?: AddOptions) => store.addPath(path, options)
  const expectNothing = async () => {
    expect(await Array.fromAsync(store.list())).toEqual([])
    expect(await readdir(join(folder, 'temp'))).toEqual([])
    expect(await readdir(join(folder, 'data'))).toEqual([])
  }
  return { folder, path, store, add, expectNothing }
}

describe('a large file', () => {
  // Else the main thread does what can be done until threads have started.
  beforeEach(async () => void (await startPool()))

  it.each(['full', 'none'] as const)('is stored with its outboard (sync %s)', async sync => {
    const { folder, store, add } = await setUp({ sync })
    const reports: number[] = []
    const added = await add({ onProgress: bytes => reports.push(bytes) })
    expect(added).toEqual({ hash: blob.hash, size: blob.size })
    const data = await readFile(join(folder, 'data', `${blob.hash}.data`))
    expect(Buffer.compare(data, blob.data)).toBe(0)
    await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
    expect(await readdir(join(folder, 'temp'))).toEqual([])
    expect(reports.at(-1)).toBe(blob.size)
    expect(reports.length).toBeGreaterThan(1)
  })

  it('is added many times at once', async () => {
    const { folder, store, add } = await setUp()
    const added = await Promise.all(Array.from({ length: 6 }, () => add()))
    expect(added.every(({ hash }) => hash.equals(blob.hash))).toBe(true)
    await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
    expect(await readdir(join(folder, 'temp'))).toEqual([])
  })

  it('leaves nothing when it is aborted half way', async () => {
    const { add, expectNothing } = await setUp()
    const stop = new AbortController()
    const reason = new Error('no longer wanted')
    let most = 0
    const onProgress = (bytes: number) => {
      most = bytes
      stop.abort(reason)
    }
    await expect(add({ signal: stop.signal, onProgress })).rejects.toBe(reason)
    expect(most).toBeLessThan(blob.size / 2)
    await expectNothing()
  })

  it('leaves nothing when the store is closed half way', async () => {
    const { folder, store, add } = await setUp()
    let closing: Promise<void> | undefined
    const onProgress = () => {
      closing ??= store.close()
    }
    await expect(add({ onProgress })).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' })
    await closing
    expect(await readdir(join(folder, 'temp'))).toEqual([])
    expect(await readdir(join(folder, 'data'))).toEqual([])
  })

  it('leaves nothing when it is cut off meanwhile', async () => {
    const { path, add, expectNothing } = await setUp()
    const onProgress = () => truncateSync(path, JOB_BYTES)
    await expect(add({ onProgress })).rejects.toMatchObject({ code: 'ERR_FILE_CHANGED' })
    await expectNothing()
  })

  it('leaves nothing when its threads end meanwhile, and can be added again', async () => {
    const { add, store, expectNothing } = await setUp()
    // Those that are left from before are not known here.
    await (await startPool()).end()
    const threads: Worker[] = []
    process.on('worker', worker => threads.push(worker))
    await startPool()
    const adding = add({ onProgress: () => threads.forEach(thread => void thread.terminate()) })
    await expect(adding).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/thread/)
    })
    await expectNothing()
    expect((await add()).hash.equals(blob.hash)).toBe(true)
    await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
  })

  it('gets its outboard anew from several threads', async () => {
    const { folder, store, add } = await setUp()
    await add()
    const path = join(folder, 'data', `${blob.hash}.obao4`)
    const outboard = await readFile(path)
    await truncate(path, 64)
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'complete', size: blob.size })
    expect(Buffer.compare(await readFile(path), outboard)).toBe(0)
  })
})
