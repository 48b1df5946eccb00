/** Folders that iroh-blobs has written (protocol/vectors/outboards.json: what lies in a real one). */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import outboards from '../../../protocol/vectors/outboards.json' with { type: 'json' }
import { hashBytes } from '../../../src/bao/index.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { encodeAll } from '../../helpers/bao.ts'
import { vectorData } from '../../helpers/data.ts'
import { readClaimed, receive, sampleBlob, testFolder, testStore } from './support.ts'

const DATABASE = 'the bytes of a database that we must not touch'

type Entry = (typeof outboards.entries)[number]

const inFiles = (entry: Entry) => entry.dataFile.startsWith('data/')
const hasOutboardFile = (entry: Entry) => entry.outboard.where.startsWith('data/')

const contents = new Map<number, { data: Uint8Array; outboard: Uint8Array }>()

function contentOf(size: number) {
  const known = contents.get(size)
  if (known !== undefined) return known
  const data = vectorData(size)
  const content = { data, outboard: hashBytes(data).outboard }
  contents.set(size, content)
  return content
}

/** A folder as iroh-blobs 0.35 leaves it: small blobs and small outboards are in the database. */
async function foreignFolder(below = ''): Promise<string> {
  const folder = await testFolder()
  const root = join(folder, below)
  await mkdir(join(root, 'data'), { recursive: true })
  await writeFile(join(root, 'blobs.db'), DATABASE)
  for (const entry of outboards.entries.filter(inFiles)) {
    const { data, outboard } = contentOf(entry.size)
    await writeFile(join(root, entry.dataFile), data)
    if (hasOutboardFile(entry)) await writeFile(join(root, entry.outboard.where), outboard)
  }
  return folder
}

describe('a folder of iroh-blobs', () => {
  for (const below of ['', 'blobs']) {
    it(`is served from ${below || 'itself'}, its missing outboards being computed`, async () => {
      const folder = await foreignFolder(below)
      const store = await testStore(folder)
      const expected = outboards.entries.filter(inFiles)
      expect(expected.length).toBeGreaterThan(3)
      const infos = await Array.fromAsync(store.list())
      expect(infos.map(info => info.hash.toString()).sort()).toEqual(expected.map(({ hash }) => hash).sort())
      for (const info of infos) {
        expect(await store.status(info.hash)).toEqual(info.status)
        await readClaimed(store, info)
      }
      for (const { hash, outboard } of expected) {
        const stored = await readFile(join(folder, below, 'data', `${hash}.obao4`))
        expect(stored.length).toBe(outboard.length)
        expect(hashBytes(stored).hash.toString()).toBe(outboard.blake3)
      }
      expect(await readFile(join(folder, below, 'blobs.db'), 'utf8')).toBe(DATABASE)
    })
  }

  it('is told about once, and asks for what it cannot give', async () => {
    const told: string[] = []
    const folder = await foreignFolder()
    const store = await testStore(folder, { onNotice: text => told.push(text) })
    await Array.fromAsync(store.list())
    expect(told).toEqual([expect.stringContaining(join(folder, 'blobs.db'))])
    expect(store.notices).toEqual(told)
  })

  for (const marker of ['.sizes4', '.bitfield']) {
    it(`has a partial blob (${marker}), which counts as absent until it is completed`, async () => {
      const folder = await foreignFolder()
      const blob = sampleBlob(600_000)
      const path = (end: string) => join(folder, 'data', `${blob.hash}${end}`)
      await writeFile(path('.data'), blob.data.subarray(0, 200_000))
      await writeFile(path('.obao4'), 'x'.repeat(320))
      await writeFile(path(marker), 'y')
      for (const way of ['add', 'receive'] as const) {
        const store = await LegacyFsStore.open(folder)
        expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
        expect(await store.open(blob.hash)).toBe(undefined)
        expect((await Array.fromAsync(store.list())).some(({ hash }) => hash.equals(blob.hash))).toBe(false)
        expect(await store.delete(blob.hash)).toBe(false)
        expect(await readdir(join(folder, 'data'))).toContain(`${blob.hash}${marker}`)
        expect(await readdir(join(folder, 'data'))).toContain(`${blob.hash}.data`)

        await receive(store, blob, ChunkRanges.range(0, 160))
        expect((await store.status(blob.hash)).state).toBe('partial')
        expect(await readdir(join(folder, 'data'))).toContain(`${blob.hash}${marker}`)

        if (way === 'add') await store.addBytes(blob.data)
        else await receive(store, blob, ChunkRanges.all)
        expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
        const names = (await readdir(join(folder, 'data'))).filter(name =>
          name.includes(blob.hash.toString())
        )
        expect(names.sort()).toEqual([`${blob.hash}.data`, `${blob.hash}.obao4`])
        await using reader = (await store.open(blob.hash))!
        const expected = await encodeAll(blob.source, ChunkRanges.all)
        expect(Buffer.compare(await encodeAll(reader, ChunkRanges.all), expected)).toBe(0)
        await store.delete(blob.hash)
        await store.close()
        await writeFile(path('.data'), blob.data.subarray(0, 200_000))
        await writeFile(path(marker), 'y')
      }
    })
  }

  it('may hold data that is not what its name says: it is never served', async () => {
    const folder = await foreignFolder()
    const { dataFile, hash, size } = outboards.entries.find(inFiles)!
    await writeFile(join(folder, dataFile), sampleBlob(size).data)
    const store = await testStore(folder)
    const wrong = (await Array.fromAsync(store.list())).find(info => info.hash.toString() === hash)!
    expect(await store.status(wrong.hash)).toEqual({ state: 'absent' })
    await expect(store.open(wrong.hash)).rejects.toMatchObject({ code: 'ERR_BLOB_DAMAGED' })
    expect(store.notices).toContainEqual(expect.stringContaining(hash))
  })
})
