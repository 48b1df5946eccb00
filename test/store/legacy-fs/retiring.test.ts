/** What becomes of journals when files are not what they should be, disks are full, and others are at work as well. */
import { execFile } from 'node:child_process'
import fs, {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { hashBytes } from '../../../src/bao/index.ts'
import { Hash } from '../../../src/hash.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { dataPath } from '../../../src/store/legacy-fs/layout.ts'
import { FileWriter } from '../../../src/store/legacy-fs/small/file-writer.ts'
import { Gone, noteGone } from '../../../src/store/legacy-fs/small/gone.ts'
import {
  encodeHeader,
  GONE_BYTES,
  gonePath,
  HEADER_BYTES,
  recordBytes,
  recordsIn,
  writeRecord
} from '../../../src/store/legacy-fs/small/journal-format.ts'
import { JournalWriter } from '../../../src/store/legacy-fs/small/journal-writer.ts'
import { endOwner, newOwner } from '../../../src/store/owners.ts'
import { versionOf } from '../../../src/store/stats.ts'
import { TempFolder } from '../../../src/store/temp.ts'
import { randomData } from '../../helpers/data.ts'
import { testFolder, testStore } from './support.ts'

const run = promisify(execFile)

/** The machine, but another boot of it. */
const OTHER_BOOT = new Uint8Array(32).fill(7)

const blobs = (count: number, seed = 0) =>
  Array.from({ length: count }, (_, i) => randomData(100 + i, seed + i))

function recordsOf(all: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  const records = Buffer.alloc(all.reduce((sum, data) => sum + recordBytes(data), 0))
  let at = 0
  for (const data of all) at = writeRecord(records, at, hashBytes(data).hash.bytes, data)
  return records
}

/** A thread's writer in a folder of its own. */
async function testWriter() {
  const root = await testFolder()
  const dataFolder = join(root, 'data')
  const tempFolder = join(root, 'temp')
  const folder = join(root, 'journals')
  for (const path of [dataFolder, tempFolder, folder]) mkdirSync(path)
  const journals = { folder, prefix: 'a-1-0', boot: OTHER_BOOT }
  const writer = new FileWriter({ dataFolder, tempFolder, journals })
  const pathOf = (data: Uint8Array) => dataPath(dataFolder, hashBytes(data).hash.toString())
  const names = () => readdirSync(folder)
  return { writer, pathOf, names, folder, tempFolder, dataFolder, journal: join(folder, 'a-1-0.0.journal') }
}

async function retire(writer: FileWriter, journal: string, isDoubtful = false): Promise<void> {
  await writer.retire(journal, isDoubtful)
}

function restoreLater(): void {
  syncBuiltinESMExports()
  onTestFinished(() => {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  })
}

/** Does something right before a file gets its final name. */
function whenPlaced(target: string, action: () => void): void {
  const { renameSync } = fs
  vi.spyOn(fs, 'renameSync').mockImplementation((from, to) => {
    if (to === target) action()
    renameSync(from, to)
  })
  restoreLater()
}

/** A folder with a journal from before the machine was started anew, but without the files. */
async function leftJournal(all: readonly Uint8Array[]): Promise<{ folder: string; journal: string }> {
  const folder = await testFolder()
  await (await LegacyFsStore.open(folder)).close()
  const owner = newOwner()
  endOwner(owner)
  const journal = join(folder, 'journals', `${owner}-0.0.journal`)
  writeFileSync(journal, Buffer.concat([encodeHeader(OTHER_BOOT), recordsOf(all)]))
  return { folder, journal }
}

describe('retiring a journal', () => {
  it('makes up what files lack, but not what was deleted', async () => {
    const { writer, pathOf, names, journal, tempFolder } = await testWriter()
    const [good, empty, other, missing, deleted] = blobs(5)
    writer.write(recordsOf([good!, empty!, other!, missing!, deleted!]))
    truncateSync(pathOf(empty!), 0)
    writeFileSync(pathOf(other!), Buffer.alloc(other!.length))
    rmSync(pathOf(missing!))
    noteGone(journal, hashBytes(deleted!).hash, statSync(journal).size)
    rmSync(pathOf(deleted!))
    await retire(writer, journal)
    for (const data of [good!, empty!, other!, missing!])
      expect(readFileSync(pathOf(data))).toEqual(Buffer.from(data))
    expect(existsSync(pathOf(deleted!))).toBe(false)
    expect(names()).toEqual([])
    expect(readdirSync(tempFolder)).toEqual([])
  })

  it('keeps it when a file cannot be made up', async () => {
    const { writer, pathOf, names, journal, tempFolder } = await testWriter()
    const [data] = blobs(1)
    writer.write(recordsOf([data!]))
    rmSync(pathOf(data!))
    rmSync(tempFolder, { recursive: true })
    await expect(retire(writer, journal)).rejects.toThrow('ENOENT')
    expect(names()).toEqual(['a-1-0.0.journal'])
  })

  it('brings nothing back that is deleted after it was asked for the last time whether that counts', async () => {
    const { writer, pathOf, names, journal, tempFolder } = await testWriter()
    const [first, deleted, last] = blobs(3)
    writer.write(recordsOf([first!, deleted!, last!]))
    for (const data of [first!, deleted!, last!]) rmSync(pathOf(data))
    whenPlaced(pathOf(deleted!), () => {
      const { hash } = hashBytes(deleted!)
      noteGone(journal, hash, statSync(journal).size)
      new TempFolder(tempFolder).removeFor(hash.toString())
    })
    await retire(writer, journal)
    expect([first!, deleted!, last!].map(data => existsSync(pathOf(data)))).toEqual([true, false, true])
    expect(names()).toEqual([])
    expect(readdirSync(tempFolder)).toEqual([])
  })

  it('removes what it says in vain when it is gone from the disk itself', async () => {
    const { writer, pathOf, journal } = await testWriter()
    const [first, second] = blobs(2)
    writer.write(recordsOf([first!, second!]))
    noteGone(journal, hashBytes(first!).hash, statSync(journal).size)
    rmSync(pathOf(first!))
    const { rmSync: remove, fsyncSync } = fs
    const done: string[] = []
    vi.spyOn(fs, 'rmSync').mockImplementation((path, options) => {
      remove(path, options)
      if (path === journal || path === gonePath(journal)) done.push(String(path))
    })
    vi.spyOn(fs, 'fsyncSync').mockImplementation(file => {
      fsyncSync(file)
      if (done.length > 0) done.push('on disk')
    })
    restoreLater()
    await retire(writer, journal)
    expect(done).toEqual([journal, 'on disk', gonePath(journal)])
  })

  it('trusts no file when it has failed before', async () => {
    const { writer, pathOf, journal } = await testWriter()
    const [data] = blobs(1)
    writer.write(recordsOf([data!]))
    const { ino } = statSync(pathOf(data!))
    await retire(writer, journal, true)
    expect(statSync(pathOf(data!)).ino).not.toBe(ino)
  })

  it('works for a store that waits for nothing itself', async () => {
    const { writer, pathOf, names, journal, dataFolder, tempFolder } = await testWriter()
    const [data] = blobs(1)
    writer.write(recordsOf([data!]))
    truncateSync(pathOf(data!), 0)
    await retire(new FileWriter({ dataFolder, tempFolder, journals: undefined }), journal)
    expect(readFileSync(pathOf(data!))).toEqual(Buffer.from(data!))
    expect(names()).toEqual([])
  })
})

/** How often the disk is waited for, for data. @param afterFirst what others do when it has been for the first time */
function waitsFor(action: () => void, afterFirst?: () => void): number {
  const { fdatasyncSync } = fs
  let count = 0
  fs.fdatasyncSync = file => {
    fdatasyncSync(file)
    if (++count === 1) afterFirst?.()
  }
  syncBuiltinESMExports()
  try {
    action()
  } finally {
    fs.fdatasyncSync = fdatasyncSync
    syncBuiltinESMExports()
  }
  return count
}

describe('a blob that is deleted between its record and its file', () => {
  it('has its file on disk before it is said to be there, since its record counts no more', async () => {
    const { writer, pathOf, journal } = await testWriter()
    const all = blobs(10)
    let results: unknown[] = []
    const write = () => (results = writer.write(recordsOf(all)))
    const waits = waitsFor(write, () => {
      for (const i of [2, 3, 9]) noteGone(journal, hashBytes(all[i]!).hash, statSync(journal).size)
    })
    expect(waits).toBe(1 + 3)
    expect(results).toEqual(all.map(data => versionOf(statSync(pathOf(data), { bigint: true }))))
    expect(waitsFor(write)).toBe(1)
  })
})

describe('a blob whose process stood still between its record and its file', () => {
  it('has its file on disk before it is said to be there, since others may be retiring the journal', async () => {
    const { writer } = await testWriter()
    // It is asked when the journal is begun, when the records are on disk, and when the files are in place.
    const clock = vi
      .spyOn(performance, 'now')
      .mockReturnValueOnce(0)
      .mockReturnValueOnce(0)
      .mockReturnValue(60_000)
    onTestFinished(() => clock.mockRestore())
    expect(waitsFor(() => writer.write(recordsOf(blobs(3))))).toBe(1 + 3)
  })
})

describe('journals of which there are too many bytes', () => {
  it('are retired, the oldest first, until there is room', async () => {
    const { folder, names, dataFolder, tempFolder, pathOf } = await testWriter()
    const all = blobs(5)
    const most = 2 * (HEADER_BYTES + recordBytes(all[0]!)) + 10
    const place = { folder, prefix: 'a-1-0', boot: OTHER_BOOT }
    const writer = new JournalWriter(place, { dataFolder, temp: new TempFolder(tempFolder) }, 0, most)
    for (const data of all) {
      writer.append(recordsOf([data]))
      writer.close()
    }
    expect(names().length).toBe(5)
    // Two at a time are no more than one.
    await Promise.all([writer.makeRoom(), writer.makeRoom()])
    expect(names().sort()).toEqual(['a-1-0.3.journal', 'a-1-0.4.journal'])
    expect(writer.bytes).toBeLessThanOrEqual(most)
    for (const [i, data] of all.entries()) expect(existsSync(pathOf(data))).toBe(i < 3)
  })

  it('stay when their files cannot be put on disk, and are retired by the next call that can', async () => {
    const { folder, names, dataFolder, tempFolder, pathOf } = await testWriter()
    const [data] = blobs(1)
    const place = { folder, prefix: 'a-1-0', boot: OTHER_BOOT }
    const writer = new JournalWriter(place, { dataFolder, temp: new TempFolder(tempFolder) }, 0, 0)
    writer.append(recordsOf([data!]))
    rmSync(tempFolder, { recursive: true })
    await expect(writer.makeRoom()).rejects.toThrow('ENOENT')
    expect(names()).toEqual(['a-1-0.0.journal'])
    mkdirSync(tempFolder)
    await writer.makeRoom()
    expect(names()).toEqual([])
    expect(readFileSync(pathOf(data!))).toEqual(Buffer.from(data!))
  })
})

describe('journals that are retired at the same time', () => {
  it('wait for no more files together than one of them: others need the threads, too', async () => {
    const fdatasync = fs.fdatasync
    let underWay = 0
    let most = 0
    const spy = vi.spyOn(fs, 'fdatasync').mockImplementation((file, done) => {
      most = Math.max(most, ++underWay)
      fdatasync(file, error => {
        underWay--
        done(error)
      })
    })
    syncBuiltinESMExports()
    onTestFinished(() => {
      spy.mockRestore()
      syncBuiltinESMExports()
    })
    const retireSome = async (count: number): Promise<number> => {
      const writers = await Promise.all(Array.from({ length: count }, testWriter))
      for (const { writer } of writers) writer.write(recordsOf(blobs(20)))
      most = 0
      await Promise.all(writers.map(({ writer, journal }) => retire(writer, journal)))
      for (const { names } of writers) expect(names()).toEqual([])
      return most
    }
    const ofOne = await retireSome(1)
    expect(ofOne).toBeGreaterThan(0)
    expect(await retireSome(3)).toBe(ofOne)
  })
})

describe('a journal', () => {
  it('that another store has removed is begun anew', async () => {
    const { writer, names, journal, folder } = await testWriter()
    const [first, second] = blobs(2)
    writer.write(recordsOf([first!]))
    rmSync(journal)
    writer.write(recordsOf([second!]))
    expect(names()).toEqual(['a-1-0.1.journal'])
    expect(readFileSync(join(folder, 'a-1-0.1.journal')).includes(Buffer.from(second!))).toBe(true)
  })

  it('counts no more when it has been removed, nor what others have deleted meanwhile', async () => {
    const { writer, journal } = await testWriter()
    writer.write(recordsOf(blobs(2)))
    const [first, second] = recordsIn(readFileSync(journal), HEADER_BYTES)
    const gone = new Gone(journal)
    expect([first!, second!].map(record => gone.counts(record))).toEqual([true, true])
    noteGone(journal, Hash.fromBytes(first!.hash), statSync(journal).size)
    expect([first!, second!].map(record => gone.counts(record))).toEqual([false, true])
    rmSync(journal)
    expect(gone.counts(second!)).toBe(false)
  })

  it('knows all that was deleted, also behind half a note', async () => {
    const { writer, pathOf, journal } = await testWriter()
    const [first, second] = blobs(2)
    writer.write(recordsOf([first!, second!]))
    appendFileSync(gonePath(journal), Buffer.alloc(17, 1))
    for (const data of [first!, second!]) {
      noteGone(journal, hashBytes(data).hash, statSync(journal).size)
      rmSync(pathOf(data))
    }
    expect(statSync(gonePath(journal)).size).toBe(2 * GONE_BYTES)
    await retire(writer, journal)
    for (const data of [first!, second!]) expect(existsSync(pathOf(data))).toBe(false)
  })
})

describe('opening a store', () => {
  it('makes up many blobs, but not those that were deleted, and leaves no notes', async () => {
    const all = blobs(300)
    const { folder, journal } = await leftJournal(all)
    noteGone(journal, hashBytes(all[7]!).hash, statSync(journal).size)
    appendFileSync(gonePath(journal), 'half a note')
    writeFileSync(gonePath(`${journal.slice(0, -'0.journal'.length)}1.journal`), 'stray')
    const store = await testStore(folder)
    for (const [i, data] of all.entries())
      expect((await store.status(hashBytes(data).hash)).state).toBe(i === 7 ? 'absent' : 'complete')
    expect(readdirSync(join(folder, 'journals'))).toEqual([])
    expect(readdirSync(join(folder, 'temp'))).toEqual([])
  })
})

describe('opening a store while another process deletes', () => {
  it('brings nothing back that is deleted after it was asked for the last time whether that counts', async () => {
    const [first, deleted] = blobs(2)
    const { folder, journal } = await leftJournal([first!, deleted!])
    const { hash } = hashBytes(deleted!)
    whenPlaced(dataPath(join(folder, 'data'), hash.toString()), () => {
      noteGone(journal, hash, statSync(journal).size)
      new TempFolder(join(folder, 'temp')).removeFor(hash.toString())
    })
    const store = await testStore(folder)
    expect((await store.status(hash)).state).toBe('absent')
    expect((await store.status(hashBytes(first!).hash)).state).toBe('complete')
  })
})

describe('a small blob', () => {
  it('that was set aside and then deleted does not come back', async () => {
    const [data] = blobs(1)
    const { hash } = hashBytes(data!)
    const { folder, journal } = await leftJournal([])
    const store = await LegacyFsStore.open(folder)
    await store.addBytes(data!)
    // It stands in a journal as well.
    writeFileSync(journal, Buffer.concat([encodeHeader(OTHER_BOOT), recordsOf([data!])]))
    writeFileSync(dataPath(join(folder, 'data'), hash.toString()), Buffer.alloc(data!.length))
    await store.reportDamage(hash)
    expect(readdirSync(join(folder, 'data'))).toEqual([`${hash}.data.damaged`])
    await store.delete(hash)
    await store.close()
    expect((await (await testStore(folder)).status(hash)).state).toBe('absent')
  })
})

const MUCH_USE = `
  const store = await LegacyFsStore.open(folder)
  const add = round => Promise.all(Array.from({ length: 200 }, (_, i) => store.addBytes(Buffer.from(\`\${round} \${i}\`))))
  for (let round = 0; round < 10; round++) await add(round)
`

/** Runs a program that uses a store so much that it has a helper thread, where it may. @returns what it says */
async function runProgram(folder: string, more: string, ...flags: string[]): Promise<string> {
  const module = new URL('../../../src/store/legacy-fs/index.ts', import.meta.url).href
  const head = `import { LegacyFsStore } from ${JSON.stringify(module)}; const folder = ${JSON.stringify(folder)}`
  const program = join(await testFolder(), 'program.mjs')
  writeFileSync(program, `${head}\n${MUCH_USE}\n${more}`)
  return (await run(process.execPath, [...flags, program], { timeout: 60_000 })).stdout
}

describe('the helper thread', () => {
  it('is done without where it may not wait for the disk', async () => {
    const folder = await testFolder()
    const flags = [
      '--permission',
      '--allow-worker',
      '--allow-fs-read=*',
      '--allow-fs-write=*',
      '--no-warnings'
    ]
    const more = `
      // It would have started by then.
      await new Promise(resolve => setTimeout(resolve, 1000))
      await add('more')
      await store.close()
      console.log('added')`
    expect(await runProgram(folder, more, ...flags)).toBe('added\n')
    expect(readdirSync(join(folder, 'journals'))).toEqual([])
  })

  it.skipIf(process.platform === 'win32')('does not wait for a named pipe', async () => {
    const folder = await testFolder()
    const pipe = join(folder, 'pipe')
    await run('mkfifo', [pipe])
    const more = `
      const adding = store.addPath(${JSON.stringify(pipe)}).catch(error => error.code)
      await add('more')
      console.log(await adding)
      await store.close()`
    expect(await runProgram(join(folder, 'store'), more)).toBe('ERR_STORE\n')
  })
})
