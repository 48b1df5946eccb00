/** A journal for blobs that are added one by one has room for more: zeros behind its last record. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hashBytes } from '../../../src/bao/index.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { dataPath } from '../../../src/store/legacy-fs/layout.ts'
import { FileWriter } from '../../../src/store/legacy-fs/small/file-writer.ts'
import { noteGone } from '../../../src/store/legacy-fs/small/gone.ts'
import {
  HEADER_BYTES,
  recordBytes,
  recordsIn,
  writeRecord
} from '../../../src/store/legacy-fs/small/journal-format.ts'
import { endOwner, newOwner } from '../../../src/store/owners.ts'
import { randomData } from '../../helpers/data.ts'
import { testFolder, testStore } from './support.ts'

const ROOM = 10_000
const OTHER_BOOT = new Uint8Array(32).fill(7)

const blobs = (count: number) => Array.from({ length: count }, (_, i) => randomData(1000 + i, i))
const hashOf = (data: Uint8Array) => hashBytes(data).hash

function recordOf(data: Uint8Array): Buffer<ArrayBuffer> {
  const record = Buffer.alloc(recordBytes(data))
  writeRecord(record, 0, hashOf(data).bytes, data)
  return record
}

/** A writer in a store's folder, before the machine was started anew, of an owner that is gone. */
async function testWriter() {
  const root = await testFolder()
  await (await LegacyFsStore.open(root)).close()
  const owner = newOwner()
  endOwner(owner)
  const [dataFolder, tempFolder, folder] = ['data', 'temp', 'journals'].map(name => join(root, name)) as [
    string,
    string,
    string
  ]
  const journals = { folder, prefix: `${owner}-0`, boot: OTHER_BOOT }
  const writer = new FileWriter({ dataFolder, tempFolder, journals }, ROOM)
  const pathOf = (data: Uint8Array) => dataPath(dataFolder, hashOf(data).toString())
  const journal = (n = 0) => join(folder, `${owner}-0.${n}.journal`)
  const add = (data: Uint8Array) => expect(writer.write(recordOf(data))).toEqual([expect.any(String)])
  const stand = (n: number) =>
    Array.from(recordsIn(readFileSync(journal(n)), HEADER_BYTES), ({ data }) => new Uint8Array(data))
  return { root, writer, folder, pathOf, journal, add, stand }
}

/** Whether a blob is there when the files have gone with a power failure. */
async function isMadeUp(root: string, data: Uint8Array): Promise<boolean> {
  await using store = await LegacyFsStore.open(root)
  await using reader = await store.open(hashOf(data))
  if (reader === undefined) return false
  const content = new Uint8Array(reader.size)
  await reader.readData(0, content)
  expect(content).toEqual(data)
  return true
}

describe('a journal with room', () => {
  it('is made up from, whether its process was killed or has ended it', async () => {
    for (const isEnded of [false, true]) {
      const { root, writer, pathOf, journal, add, stand } = await testWriter()
      const all = blobs(30)
      for (const data of all) {
        add(data)
        expect(statSync(journal()).size).toBeLessThanOrEqual(writer.journalBytes + ROOM)
      }
      expect(stand(0)).toEqual(all)
      expect(statSync(journal()).size).toBeGreaterThan(writer.journalBytes)
      if (isEnded) {
        writer.close()
        expect(statSync(journal()).size).toBe(writer.journalBytes)
      }
      for (const data of all) rmSync(pathOf(data))
      for (const data of all) expect(await isMadeUp(root, data)).toBe(true)
      expect(readdirSync(join(root, 'journals'))).toEqual([])
    }
  })

  it('that was cut off within the last record holds those before', async () => {
    const { root, writer, pathOf, journal, add } = await testWriter()
    const [first, second] = blobs(2)
    for (const data of [first!, second!]) add(data)
    const bytes = readFileSync(journal())
    bytes.fill(0, writer.journalBytes - 300)
    writeFileSync(journal(), bytes)
    for (const data of [first!, second!]) rmSync(pathOf(data))
    expect(await isMadeUp(root, first!)).toBe(true)
    expect(await isMadeUp(root, second!)).toBe(false)
  })

  it('is left when somebody has deleted a blob: what is added then stands where that does not count', async () => {
    const { root, pathOf, journal, add, stand } = await testWriter()
    const [first, second, third] = blobs(3)
    for (const data of [first!, second!]) add(data)
    // As who deletes does it, in whatever process.
    for (const data of [first!, second!]) {
      noteGone(journal(), hashOf(data), statSync(journal()).size)
      rmSync(pathOf(data))
    }
    for (const data of [second!, third!]) add(data)
    expect(stand(1)).toEqual([second, third])
    for (const data of [second!, third!]) rmSync(pathOf(data))
    expect(await isMadeUp(root, second!)).toBe(true)
    for (const [data, isThere] of [
      [first!, false],
      [third!, true]
    ] as const)
      expect((await (await testStore(root)).status(hashOf(data))).state).toBe(isThere ? 'complete' : 'absent')
  })

  it('stays when something is added while it is retired, as by a machine whose clock is ahead', async () => {
    const { journal, add, stand } = await testWriter()
    const all = blobs(66)
    for (const data of all.slice(0, -1)) add(data)
    utimesSync(journal(), 1, 1)
    const { writer: other } = await testWriter()
    const retiring = other.retire(journal(), false)
    // All of it has been read by now, and not all of it is on disk.
    const { size } = statSync(journal())
    add(all.at(-1)!)
    expect(statSync(journal()).size).toBe(size)
    await retiring
    expect(stand(0)).toEqual(all)
  })

  it('is removed when nothing is', async () => {
    const { journal, add } = await testWriter()
    for (const data of blobs(3)) add(data)
    const { writer: other } = await testWriter()
    await other.retire(journal(), false)
    expect(existsSync(journal())).toBe(false)
  })
})
