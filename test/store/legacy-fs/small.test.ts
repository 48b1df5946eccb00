/** Blobs of one chunk group: they are read and written at once, many at the same time. */
import { readdirSync, statSync } from 'node:fs'
import { readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES } from '../../../src/bao/constants.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import type { Hash } from '../../../src/hash.ts'
import type { BlobReader } from '../../../src/store/index.ts'
import { TempFolder } from '../../../src/store/temp.ts'
import { randomData } from '../../helpers/data.ts'
import { receive, sampleBlob, testFolder, testStore } from './support.ts'

const MANY = 500

const dataOf = (folder: string, hash: Hash) => join(folder, 'data', `${hash}.data`)

async function contentOf(reader: BlobReader | undefined): Promise<Uint8Array> {
  const content = new Uint8Array(reader!.size)
  await reader!.readData(0, content)
  return content
}

describe.each(['full', 'none'] as const)('many small blobs at the same time (sync: %s)', sync => {
  it('are all there after they were added, also for another process', async () => {
    const folder = await testFolder()
    const files = await testFolder()
    const store = await testStore(folder, { sync })
    const added = await Promise.all(
      Array.from({ length: MANY }, async (_, i) => {
        const path = join(files, String(i))
        await writeFile(path, randomData(1 + i, i % 400))
        return await store.addPath(path)
      })
    )
    const other = await testStore(folder)
    for (const [i, { hash, size }] of added.entries()) {
      expect(size).toBe(1 + i)
      await using reader = await other.open(hash)
      expect(await contentOf(reader)).toEqual(randomData(1 + i, i % 400))
    }
    expect(await readdir(join(folder, 'temp'))).toEqual([])
  })

  it('are all there after they were received, by two at once', async () => {
    const folder = await testFolder()
    const store = await testStore(folder, { sync })
    const blobs = Array.from({ length: 100 }, (_, i) => sampleBlob(4096, i))
    const twice = [...blobs, ...blobs]
    await Promise.all(twice.map(blob => receive(store, blob, ChunkRanges.all)))
    for (const { hash, data } of blobs) {
      expect(await store.status(hash)).toEqual({ state: 'complete', size: 4096 })
      expect(await readFile(dataOf(folder, hash))).toEqual(Buffer.from(data))
    }
    expect(await readdir(join(folder, 'temp'))).toEqual([])
  })
})

describe('a small blob', () => {
  it.skipIf(process.platform !== 'linux')('has no file open while it is read', async () => {
    const store = await testStore(await testFolder())
    const hashes: Hash[] = []
    for (let i = 0; i < 50; i++) hashes.push((await store.addBytes(randomData(GROUP_BYTES, i))).hash)
    const before = readdirSync('/proc/self/fd').length
    // More than are read in one turn of the event loop.
    const thrice = [...hashes, ...hashes, ...hashes]
    const readers = await Promise.all(thrice.map(hash => store.open(hash)))
    expect(readdirSync('/proc/self/fd').length).toBeLessThan(before + 10)
    for (const [i, reader] of readers.entries()) {
      expect(await contentOf(reader)).toEqual(randomData(GROUP_BYTES, i % hashes.length))
      await reader!.close()
    }
  })

  it('goes on to be read when it is deleted, and is never read beyond its end', async () => {
    const store = await testStore(await testFolder())
    const { hash } = await store.addBytes(randomData(3000, 1))
    await using reader = await store.open(hash)
    await store.delete(hash)
    expect(await contentOf(reader)).toEqual(randomData(3000, 1))
    await expect(reader!.readData(2999, new Uint8Array(2))).rejects.toThrow(RangeError)
    await reader!.close()
    await expect(reader!.readData(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_HANDLE_CLOSED' })
  })

  it('that was written to since it was added is not handed out', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const { hash } = await store.addBytes(randomData(4096, 1))
    const path = dataOf(folder, hash)
    const wrong = randomData(4096, 1)
    wrong[7]! ^= 1
    await writeFile(path, wrong)
    await utimes(path, new Date(1e12), new Date(1e12))
    expect(await store.status(hash)).toEqual({ state: 'absent' })
    await expect(store.open(hash)).rejects.toMatchObject({ code: 'ERR_BLOB_DAMAGED' })
    await store.addBytes(randomData(4096, 1))
    await using reader = await store.open(hash)
    expect(await contentOf(reader)).toEqual(randomData(4096, 1))
  })

  it('is moved out without being copied', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const { hash } = await store.addBytes(randomData(4096, 1))
    const { ino } = statSync(dataOf(folder, hash))
    const target = join(await testFolder(), 'out')
    await store.exportPath(hash, target, { mode: 'move' })
    expect(statSync(target).ino).toBe(ino)
    expect(await store.status(hash)).toEqual({ state: 'absent' })
  })

  it('leaves nothing when its folder is gone', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await rename(join(folder, 'data'), join(folder, 'elsewhere'))
    await expect(store.addBytes(randomData(4096, 1))).rejects.toMatchObject({ code: 'ERR_STORE' })
    expect(await readdir(join(folder, 'temp'))).toEqual([])
    await rename(join(folder, 'elsewhere'), join(folder, 'data'))
    await store.addBytes(randomData(4096, 1))
  })
})

describe('names of temporary files', () => {
  it('are never the same, and say whose they are', async () => {
    const temps = [new TempFolder('temp'), new TempFolder('temp')]
    const names = Array.from({ length: 2000 }, (_, i) => temps[i % 2]!.newPath())
    expect(new Set(names).size).toBe(2000)
    for (const name of names) {
      expect(name).toMatch(new RegExp(`^temp.[0-9a-f]{8}-${process.pid}-[0-9a-f]{16}\\.tmp$`))
    }
  })
})
