/** Many small blobs at a time are safe in a journal before their own files are on disk. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import fsPromises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { hashBytes } from '../../../src/bao/index.ts'
import { Hash } from '../../../src/hash.ts'
import { thisBoot } from '../../../src/store/legacy-fs/boot.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { noteGone } from '../../../src/store/legacy-fs/small/gone.ts'
import {
  encodeHeader,
  GONE_BYTES,
  gonePath,
  HEADER_BYTES,
  recordBytes,
  recordsIn,
  writeRecord
} from '../../../src/store/legacy-fs/small/journal-format.ts'
import { endOwner, newOwner } from '../../../src/store/owners.ts'
import { TempFolder } from '../../../src/store/temp.ts'
import { randomData } from '../../helpers/data.ts'
import { testFolder, testStore } from './support.ts'

const CHILD = new URL('journal-child.ts', import.meta.url).pathname

afterEach(() => {
  vi.useRealTimers()
})

const dataOf = (folder: string, hash: Hash) => join(folder, 'data', `${hash}.data`)

function journalsOf(folder: string): string[] {
  const names = readdirSync(join(folder, 'journals')).filter(name => name.endsWith('.journal'))
  return names.map(name => join(folder, 'journals', name))
}

/** The blobs of which journals tell. */
function journaled(folder: string): Hash[] {
  return journalsOf(folder).flatMap(path =>
    Array.from(recordsIn(readFileSync(path), HEADER_BYTES), ({ hash }) => Hash.fromBytes(hash))
  )
}

/** Adds blobs until some stand in a journal. @returns all */
async function addMany(store: LegacyFsStore, folder: string, seed = 0): Promise<Hash[]> {
  const hashes: Hash[] = []
  while (journaled(folder).length < 200) {
    const more = Array.from({ length: 200 }, (_, i) => {
      const bytes = randomData(1 + ((i * 97) % 16_384), seed + hashes.length + i)
      return store.addBytes(bytes)
    })
    hashes.push(...(await Promise.all(more)).map(({ hash }) => hash))
  }
  return hashes
}

/** Makes a closed store's folder look as if the machine had been started anew since. */
function startAnew(folder: string): void {
  for (const path of journalsOf(folder)) {
    const bytes = readFileSync(path)
    bytes[HEADER_BYTES - 1]! ^= 1
    writeFileSync(path, bytes)
  }
}

/** Does something when a deletion has been noted, the first time or each time. */
function afterNote(action: () => void, isOnce = true): void {
  const { openSync, closeSync } = fs
  let note: number | undefined
  let count = 0
  vi.spyOn(fs, 'openSync').mockImplementation((path, ...rest) => {
    const file = openSync(path, ...rest)
    if (String(path).endsWith('.gone')) note = file
    return file
  })
  vi.spyOn(fs, 'closeSync').mockImplementation(file => {
    closeSync(file)
    if (file !== note) return
    note = undefined
    if (count++ === 0 || !isOnce) action()
  })
  syncBuiltinESMExports()
  onTestFinished(() => {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
    expect(count).toBeGreaterThan(0)
  })
}

/** What a power failure may leave of files that were not on disk. */
function damageFiles(folder: string, hashes: readonly Hash[]): void {
  for (const [i, hash] of hashes.entries()) {
    const path = dataOf(folder, hash)
    const { length } = readFileSync(path)
    if (i % 4 === 0) rmSync(path)
    else if (i % 4 === 1) truncateSync(path, 0)
    else if (i % 4 === 2) truncateSync(path, length >> 1)
    else writeFileSync(path, Buffer.alloc(length))
  }
}

async function expectAll(store: LegacyFsStore, hashes: readonly Hash[]): Promise<void> {
  for (const hash of hashes) {
    await using reader = await store.open(hash)
    const content = new Uint8Array(reader!.size)
    await reader!.readData(0, content)
    expect(hashBytes(content).hash).toEqual(hash)
  }
  expect(store.notices).toEqual([])
}

describe('many blobs that are deleted at the same time', () => {
  it('are noted one by one, in turns of the event loop', async () => {
    const folder = await testFolder()
    await using store = await LegacyFsStore.open(folder)
    const hashes = await addMany(store, folder)
    const [journal] = journalsOf(folder)
    const noted = (): number => statSync(gonePath(journal!), { throwIfNoEntry: false })?.size ?? 0
    let most = 0
    let before = 0
    let isOver = false
    const look = (): void => {
      most = Math.max(most, noted() - before)
      before = noted()
      if (!isOver) setImmediate(look)
    }
    look()
    await Promise.all(hashes.slice(0, 40).map(hash => store.delete(hash)))
    isOver = true
    expect(noted()).toBe(40 * GONE_BYTES)
    expect(most).toBe(GONE_BYTES)
  })
})

describe('a journal', () => {
  it('makes up what a power failure has taken', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    const hashes = await addMany(store, folder)
    await store.close()
    const safe = journaled(folder)
    startAnew(folder)
    damageFiles(folder, safe)
    await expectAll(await testStore(folder), hashes)
    expect(readdirSync(join(folder, 'journals'))).toEqual([])
    expect(readdirSync(join(folder, 'temp'))).toEqual([])
  })

  it('is not read by who opens the store, unless there may be something to make up', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    const hashes = await addMany(store, folder)
    await store.close()
    // Nobody could read as much at once.
    for (const path of journalsOf(folder)) truncateSync(path, 5 * 1024 ** 3)
    await expectAll(await testStore(folder), hashes)
  })

  it('that was cut off anywhere makes up what it holds, and nothing wrong', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    await addMany(store, folder)
    await store.close()
    startAnew(folder)
    const [path] = journalsOf(folder)
    const whole = readFileSync(path!)
    const records = [...recordsIn(whole, HEADER_BYTES)]
    for (const end of [
      0,
      HEADER_BYTES - 1,
      HEADER_BYTES,
      records[3]!.at + 20,
      records[3]!.at + 40,
      whole.length - 1
    ]) {
      for (const { hash } of records) rmSync(dataOf(folder, Hash.fromBytes(hash)), { force: true })
      // Behind the cut there is what the disk held there before.
      writeFileSync(path!, Buffer.concat([whole.subarray(0, end), Buffer.alloc(100, 0x11)]))
      await using opened = await LegacyFsStore.open(folder)
      const there = records.filter(({ at, data }) => at + 36 + data.length <= end)
      await expectAll(
        opened,
        there.map(({ hash }) => Hash.fromBytes(hash))
      )
      for (const { hash } of records.slice(there.length))
        expect((await opened.status(Hash.fromBytes(hash))).state).toBe('absent')
    }
  })

  it('brings nothing back that was deleted, by whomever, but what was added again', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    await addMany(store, folder)
    const [first, second, third, fourth, ...rest] = journaled(folder)
    const again = readFileSync(dataOf(folder, fourth!))
    await store.delete(first!)
    {
      await using other = await LegacyFsStore.open(folder)
      await other.delete(second!)
      await using sweep = await other.sweep()
      expect(await sweep.delete([third!], async () => new Set())).toEqual([third])
    }
    await store.delete(fourth!)
    await Promise.all([store.addBytes(again), addMany(store, folder, 1e6)])
    await store.close()
    startAnew(folder)
    damageFiles(folder, rest.slice(0, 20))
    const opened = await testStore(folder)
    for (const hash of [first!, second!, third!]) expect((await opened.status(hash)).state).toBe('absent')
    await expectAll(opened, [fourth!, ...rest])
  })

  it('holds what is added again when who was deleting it was killed before its file was gone', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    await addMany(store, folder)
    const [hash] = journaled(folder)
    for (const path of journalsOf(folder)) noteGone(path, hash!, statSync(path).size)
    await store.addBytes(readFileSync(dataOf(folder, hash!)))
    await store.close()
    startAnew(folder)
    rmSync(dataOf(folder, hash!))
    await expectAll(await testStore(folder), [hash!])
  })

  it('holds what others find complete when who was deleting it was cut off before its file was gone', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    await addMany(store, folder)
    const [hash] = journaled(folder)
    const { rm } = fsPromises
    const cutOff = vi.spyOn(fsPromises, 'rm').mockImplementation(async (path, options) => {
      if (path === dataOf(folder, hash!)) throw new Error('cut off')
      await rm(path, options)
    })
    syncBuiltinESMExports()
    onTestFinished(() => {
      cutOff.mockRestore()
      syncBuiltinESMExports()
    })
    await expect(store.delete(hash!)).rejects.toThrow('cut off')
    expect((await store.status(hash!)).state).toBe('complete')
    await store.close()
    startAnew(folder)
    rmSync(dataOf(folder, hash!))
    await expectAll(await testStore(folder), [hash!])
  })

  it('whose record counts no more leaves no file behind, also of what is added while it is being deleted', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await addMany(store, folder)
    const [hash] = journaled(folder)
    const data = readFileSync(dataOf(folder, hash!))
    rmSync(dataOf(folder, hash!))
    afterNote(() => writeFileSync(dataOf(folder, hash!), data))
    expect(await store.delete(hash!)).toBe(true)
    expect(existsSync(dataOf(folder, hash!))).toBe(false)
  })

  it('that tells of a blob that others add all the time while it is deleted makes that fail in the end', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await addMany(store, folder)
    const [hash] = journaled(folder)
    const data = readFileSync(dataOf(folder, hash!))
    afterNote(() => writeFileSync(dataOf(folder, hash!), data), false)
    await expect(store.delete(hash!)).rejects.toThrow(/was added again \d+ times/)
  })

  it('brings nothing back of what is added, and deleted with what was there, when its deletion has just been noted', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    await addMany(store, folder)
    const [hash] = journaled(folder)
    const data = readFileSync(dataOf(folder, hash!))
    const record = Buffer.alloc(recordBytes(data))
    writeRecord(record, 0, hash!.bytes, data)
    const owner = newOwner()
    afterNote(() => {
      // By another process, in a journal of its own.
      const journal = Buffer.concat([encodeHeader(thisBoot()!), record])
      writeFileSync(join(folder, 'journals', `${owner}-0.0.journal`), journal)
      writeFileSync(dataOf(folder, hash!), data)
    })
    expect(await store.delete(hash!)).toBe(true)
    await store.close()
    endOwner(owner)
    startAnew(folder)
    expect((await (await testStore(folder)).status(hash!)).state).toBe('absent')
  })

  it('leaves no part of a large blob that another process has completed while it was noted that there is none', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await addMany(store, folder)
    const large = randomData(100_000, 7)
    const { hash } = await store.addBytes(large)
    const paths = ['data', 'obao4'].map(end => join(folder, 'data', `${hash}.${end}`))
    const files = paths.map(path => readFileSync(path))
    for (const path of paths) rmSync(path)
    afterNote(() => {
      for (const [i, path] of paths.entries()) writeFileSync(path, files[i]!)
    })
    expect(await store.delete(hash)).toBe(true)
    for (const path of paths) expect(existsSync(path)).toBe(false)
  })

  it('does not bring back what is deleted while it is about to be made up, by whomever', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await addMany(store, folder)
    const [hash, other] = journaled(folder)
    const temp = new TempFolder(join(folder, 'temp'))
    const paths = [hash!, other!].map(blob => temp.newPathFor(blob.toString()))
    for (const path of paths) writeFileSync(path, 'about to be renamed')
    await store.delete(hash!)
    expect(paths.map(path => existsSync(path))).toEqual([false, true])
  })

  it('does not bring what is deleted when who was adding it was killed before it had a file', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    await addMany(store, folder)
    const [hash] = journaled(folder)
    rmSync(dataOf(folder, hash!))
    expect(await store.delete(hash!)).toBe(false)
    await store.close()
    startAnew(folder)
    expect((await (await testStore(folder)).status(hash!)).state).toBe('absent')
  })

  it('is left alone as long as its store is open', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await addMany(store, folder)
    const before = journalsOf(folder)
    await testStore(folder)
    expect(journalsOf(folder)).toEqual(before)
  })

  it('is retired when it is old, by its own store or by one that finds it', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    const hashes = await addMany(store, folder)
    await store.close()
    for (const path of journalsOf(folder)) utimesSync(path, 1, 1)
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const opened = await testStore(folder)
    vi.advanceTimersByTime(60_000)
    while (readdirSync(join(folder, 'journals')).length > 0) await setTimeout(10)
    await addMany(opened, folder, 1e6)
    for (const path of journalsOf(folder)) utimesSync(path, 1, 1)
    vi.advanceTimersByTime(60_000)
    while (readdirSync(join(folder, 'journals')).length > 0) await setTimeout(10)
    await expectAll(opened, hashes)
  })

  it('holds what is added one by one, too, and is retired as others are', async () => {
    const folder = await testFolder()
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const store = await LegacyFsStore.open(folder)
    const hashes: Hash[] = []
    const addUntilJournaled = async () => {
      while (journaled(folder).length < 20) {
        hashes.push((await store.addBytes(randomData(4096, hashes.length))).hash)
      }
    }
    await addUntilJournaled()
    for (const path of journalsOf(folder)) utimesSync(path, 1, 1)
    vi.advanceTimersByTime(60_000)
    while (readdirSync(join(folder, 'journals')).length > 0) await setTimeout(10)
    await addUntilJournaled()
    await store.close()
    const safe = journaled(folder)
    startAnew(folder)
    damageFiles(folder, safe)
    await expectAll(await testStore(folder), hashes)
  })

  it('is not needed where nothing has to be on disk', async () => {
    const folder = await testFolder()
    const store = await testStore(folder, { sync: 'none' })
    for (let round = 0; round < 5; round++) {
      const more = Array.from({ length: 200 }, (_, i) => store.addBytes(randomData(100, round * 200 + i)))
      await Promise.all(more)
    }
    expect(readdirSync(join(folder, 'journals'))).toEqual([])
  })

  it('holds all that had been added when the process was killed, also when the power fails then', async () => {
    const folder = await testFolder()
    const told: string[] = []
    await (await LegacyFsStore.open(folder)).close()
    for (let round = 0; round < 5; round++) {
      const tells = join(await testFolder(), 'told')
      writeFileSync(tells, '')
      const child = spawn(process.execPath, [CHILD, folder, tells], {
        stdio: ['ignore', 'ignore', 'inherit']
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      while (journaled(folder).length < 300 * (round + 1)) {
        expect(child.exitCode, 'the child ended by itself').toBe(null)
        await setTimeout(5)
      }
      await setTimeout(round * 20)
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
      told.push(...readFileSync(tells, 'utf8').split('\n').slice(0, -1))
      if (round % 2 === 0) continue
      await using store = await LegacyFsStore.open(folder)
      await expectAll(store, told.map(Hash.parse))
      expect(readdirSync(join(folder, 'temp'))).toEqual([])
    }
    const isTold = new Set(told)
    const safe = journaled(folder).filter(hash => isTold.has(hash.toString()))
    expect(safe.length).toBeGreaterThan(500)
    startAnew(folder)
    damageFiles(folder, safe)
    await expectAll(await testStore(folder), told.map(Hash.parse))
  })
})
