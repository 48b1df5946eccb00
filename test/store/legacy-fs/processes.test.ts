/** Several processes with one folder. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, open, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { BlobDeletedError } from '../../../src/store/errors.ts'
import type { BlobStatus } from '../../../src/store/index.ts'
import { decodeClaim } from '../../../src/store/legacy-fs/claim.ts'
import { groups, readClaimed, receive, sampleBlob, startReceiving, testFolder, testStore } from './support.ts'

const CHILD = new URL('writing-child.ts', import.meta.url).pathname

const GROUPS = 200
const SEED = 5
const blob = sampleBlob(GROUPS * 16_384, SEED)

interface Child {
  readonly process: ChildProcessWithoutNullStreams
  /** Lets it close its writer. @returns the blob's state, or the code of an error */
  finish(): Promise<string>
}

/** A process that has written groups and keeps its writer open. */
async function writingProcess(folder: string, first: number, end: number): Promise<Child> {
  const args = [CHILD, folder, blob.size, SEED, first, end].map(String)
  const child = spawn(process.execPath, args)
  child.stderr.pipe(process.stderr)
  onTestFinished(() => void child.kill('SIGKILL'))
  const line = async () => String((await once(child.stdout, 'data'))[0]).trim()
  expect(await line()).toBe('written')
  return {
    process: child,
    async finish() {
      const answer = line()
      child.stdin.write('\n')
      return await answer
    }
  }
}

/** Has the first file below a folder that is to be on disk wait until it is released. */
async function holdFirstSync(folder: string): Promise<{ reached: Promise<void>; release: () => void }> {
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  await using probe = await open(folder)
  const prototype: FileHandle = Object.getPrototypeOf(probe)
  const { datasync } = prototype
  const spy = vi.spyOn(prototype, 'datasync').mockImplementation(async function (this: FileHandle) {
    if ((await readlink(`/proc/self/fd/${this.fd}`)).startsWith(folder)) {
      spy.mockRestore()
      reached.resolve()
      await released.promise
    }
    await datasync.call(this)
  })
  onTestFinished(() => spy.mockRestore())
  return { reached: reached.promise, release: released.resolve }
}

const claimOf = (folder: string) => join(folder, 'data', `${blob.hash}.ranges`)

const complete: BlobStatus = { state: 'complete', size: blob.size }

describe('two processes with one folder', () => {
  it('complete a blob together, each with a part', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const child = await writingProcess(folder, 0, 120)
    // Within a second it is on disk, and so known to everybody.
    await expect.poll(() => store.status(blob.hash)).toMatchObject({ ranges: groups(0, 120) })
    await readClaimed(store, { hash: blob.hash, status: (await store.status(blob.hash)) as never })
    await receive(store, blob, groups(110, GROUPS))
    expect(await store.status(blob.hash)).toEqual(complete)
    expect(await child.finish()).toBe('complete')
    await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
    const names = await readdir(join(folder, 'data'))
    expect(names.sort()).toEqual([`${blob.hash}.data`, `${blob.hash}.obao4`])
  })

  it('keep what one of them had written when it is killed', async () => {
    const folder = await testFolder()
    const child = await writingProcess(folder, 30, 90)
    const store = await testStore(folder)
    await expect.poll(() => store.status(blob.hash)).toMatchObject({ ranges: groups(30, 90) })
    const exit = once(child.process, 'exit')
    child.process.kill('SIGKILL')
    await exit
    const status = await store.status(blob.hash)
    await readClaimed(store, { hash: blob.hash, status: status as never })
    await receive(store, blob, groups(0, 30))
    await receive(store, blob, groups(90, GROUPS))
    expect(await store.status(blob.hash)).toEqual(complete)
  })

  it('keep what each of them has written, whoever saves last', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const mine = await startReceiving(store, blob, groups(180, 190))
    const claimed = async () => decodeClaim(blob.hash, await readFile(claimOf(folder)))?.ranges
    await expect.poll(claimed).toEqual(groups(180, 190))
    const child = await writingProcess(folder, 0, 120)
    await expect
      .poll(() => store.status(blob.hash))
      .toMatchObject({ ranges: groups(0, 120).union(groups(180, 190)) })
    await mine.close()
    child.process.kill('SIGKILL')
    await store.close()
    const again = await testStore(folder)
    const status = await again.status(blob.hash)
    expect(status).toMatchObject({ ranges: groups(0, 120).union(groups(180, 190)) })
    await readClaimed(again, { hash: blob.hash, status: status as never })
  })

  it.runIf(process.platform === 'linux')(
    'keep what one has saved while the other was waiting for the disk to do so',
    async () => {
      const folder = await testFolder()
      const [mine, theirs] = [await testStore(folder), await testStore(folder)]
      const writers = [
        await startReceiving(mine, blob, groups(0, 10)),
        await startReceiving(theirs, blob, groups(20, 30))
      ]
      const held = await holdFirstSync(join(folder, 'temp'))
      const closing = writers[0]!.close()
      await held.reached
      await writers[1]!.close()
      held.release()
      await closing
      const status = await (await testStore(folder)).status(blob.hash)
      expect(status).toMatchObject({ ranges: groups(0, 10).union(groups(20, 30)) })
    }
  )

  it('give up saving, and say so, when the other one replaces what is saved all the time', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const writer = await startReceiving(store, blob, groups(0, 10))
    await using probe = await open(folder)
    const prototype: FileHandle = Object.getPrototypeOf(probe)
    let saves = 0
    // Whenever something is to be on disk, which need not be so here.
    const spy = vi.spyOn(prototype, 'datasync').mockImplementation(async () => {
      await writeFile(claimOf(folder), `${saves++}`)
    })
    onTestFinished(() => spy.mockRestore())
    await expect(writer.close()).rejects.toThrow(/ranges was replaced \d+ times while/)
  })

  it.runIf(process.platform === 'linux')(
    'leave alone what one has begun anew while the other was waiting for the disk to save what is gone',
    async () => {
      const folder = await testFolder()
      const [mine, theirs] = [await testStore(folder), await testStore(folder)]
      const held = await holdFirstSync(join(folder, 'temp'))
      const writer = await startReceiving(mine, blob, groups(0, 10))
      const closing = writer.close()
      await held.reached
      await theirs.delete(blob.hash)
      await receive(theirs, blob, groups(20, 30))
      held.release()
      await expect(closing).rejects.toThrow(BlobDeletedError)
      expect(await theirs.status(blob.hash)).toMatchObject({ ranges: groups(20, 30) })
      await receive(theirs, blob, groups(0, 10))
      const status = await (await testStore(folder)).status(blob.hash)
      expect(status).toMatchObject({ ranges: groups(0, 10).union(groups(20, 30)) })
    }
  )

  it.runIf(process.platform === 'linux')(
    'keep what one has saved while the other was waiting for the disk to take back what is wrong',
    async () => {
      const folder = await testFolder()
      const [mine, theirs] = [await testStore(folder), await testStore(folder)]
      await receive(mine, blob, groups(0, 10))
      await using file = await open(join(folder, 'data', `${blob.hash}.data.part`), 'r+')
      await file.write(Buffer.alloc(16), 0, 16, 3 * 16_384)
      const held = await holdFirstSync(join(folder, 'temp'))
      const reporting = mine.reportDamage(blob.hash)
      await held.reached
      await receive(theirs, blob, groups(20, 30))
      held.release()
      const right = groups(0, 3).union(groups(4, 10)).union(groups(20, 30))
      expect(await reporting).toMatchObject({ ranges: right })
    }
  )

  it('save again at the end what the other has replaced', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await receive(store, blob, groups(0, 10))
    const path = claimOf(folder)
    const before = await readFile(path)
    const writer = await startReceiving(store, blob, groups(20, 30))
    await expect.poll(async () => before.equals(await readFile(path))).toBe(false)
    // As a process does that has read it before.
    await writeFile(path, before)
    await writer.close()
    const status = await (await testStore(folder)).status(blob.hash)
    expect(status).toMatchObject({ ranges: groups(0, 10).union(groups(20, 30)) })
  })

  it('can each complete what the other is receiving', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const receiving = await writingProcess(folder, 0, 50)
    await store.addBytes(blob.data)
    expect(await receiving.finish()).toBe('complete')
    expect(await store.status(blob.hash)).toEqual(complete)
    const names = await readdir(join(folder, 'data'))
    expect(names.sort()).toEqual([`${blob.hash}.data`, `${blob.hash}.obao4`])
  })

  it('do not bring back what one of them has deleted', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const child = await writingProcess(folder, 0, 50)
    await store.delete(blob.hash)
    await receive(store, blob, groups(100, 110))
    expect(['ERR_BLOB_DELETED', 'partial']).toContain(await child.finish())
    const status = await store.status(blob.hash)
    expect(status).toMatchObject({ state: 'partial', ranges: groups(100, 110) })
    await readClaimed(store, { hash: blob.hash, status: status as never })
  })

  it('observe each other', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const statuses = store.observe(blob.hash)[Symbol.asyncIterator]()
    expect((await statuses.next()).value).toEqual({ state: 'absent' })
    const child = await writingProcess(folder, 0, GROUPS)
    expect(await child.finish()).toBe('complete')
    let last: BlobStatus
    do last = (await statuses.next()).value as BlobStatus
    while (last.state !== 'complete')
    expect(last.size).toBe(blob.size)
    await statuses.return?.()
  })
})
