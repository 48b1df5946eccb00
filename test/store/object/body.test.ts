/** Blobs that arrive in a folder: their data is written once, to a body that becomes the data's object. */
import { copyFile, mkdir, readdir, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { StoreFullError } from '../../../src/store/errors.ts'
import { parseFragment } from '../../../src/store/object/fragment-name.ts'
import { dataKey, outboardKey, parseBlobKey, partialPrefix } from '../../../src/store/object/layout.ts'
import { FilesystemStorage } from '../../../src/store/object/storage/filesystem/index.ts'
import type { ObjectStorage } from '../../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'
import { flipByte } from '../../helpers/files.ts'
import { blobOf, bytes, claimed, expectComplete, proven, receive } from './arriving.ts'
import { testFolder, until } from './support.ts'

const MIB = 1024 * 1024
const blob = blobOf(20 * MIB + 12_345)
const half = bytes(blob, 0, 11 * MIB)
const prefix = partialPrefix(blob.hash)

/** A folder of objects, and what is in it. */
async function newHome() {
  const folder = await testFolder()
  const root = join(folder, 'blobs')
  const open = async (database = 'blobs.db') =>
    await ObjectStore.local(root, { dbPath: join(folder, database), sync: 'none' })
  const names = async () => await readdir(join(root, prefix))
  const bodies = async () => (await names()).filter(name => parseBlobKey(prefix + name)?.kind === 'body')
  return {
    root,
    storage: await FilesystemStorage.open(root, { sync: 'none' }),
    open,
    bodies,
    fragments: async () =>
      (await names()).flatMap(name => {
        const fragment = parseFragment(name)
        return fragment === undefined ? [] : [{ name, ...fragment }]
      }),
    pathOf: (name: string) => join(root, prefix, name),
    /** A store whose database is lost. */
    openAnew: async () => await open(`${Math.random()}.db`)
  }
}

/** The same storage without what it can do besides, as it was before, and as others are. */
function plain(storage: ObjectStorage): ObjectStorage {
  return new Proxy(storage, {
    get: (target, name) => {
      if (name === 'files') return undefined
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

/** The same folder on a disk that has room for what grows, and none for what is said of it. */
function withoutRoomForNotes(storage: FilesystemStorage): ObjectStorage {
  const begin = async () => {
    const body = await storage.files.begin()
    const save = body.save.bind(body)
    return Object.assign(body, {
      save: async (key: string) => {
        await save(key)
        throw new StoreFullError('the disk is full')
      }
    })
  }
  return new Proxy(storage, {
    get: (target, name) => {
      if (name === 'files') return { ...storage.files, begin }
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

async function inodeOf(path: string): Promise<number> {
  return (await stat(path)).ino
}

describe('a blob that arrives in a folder', () => {
  it('is written once: the body becomes the data, also when it is gone on with later', async () => {
    const { root, storage, open, bodies, fragments, pathOf } = await newHome()
    {
      await using store = await open()
      await receive(store, blob, half)
    }
    const [body] = await bodies()
    expect((await stat(pathOf(body!))).size).toBe(11 * MIB)
    // Only the outboard's nodes.
    for (const { name } of await fragments()) expect((await stat(pathOf(name))).size).toBeLessThan(40_000)
    const inode = await inodeOf(pathOf(body!))
    await using store = await open()
    expect(await claimed(store, blob)).toBe(11 * MIB)
    await receive(store, blob)
    await expectComplete(store, storage, blob)
    expect(await inodeOf(join(root, dataKey(blob.hash)))).toBe(inode)
  })

  it('is served while it arrives, also what is in no fragment yet', async () => {
    const { open } = await newHome()
    await using store = await open()
    await using writer = await store.writer(blob.hash, blob.size)
    for await (const verified of proven(blob, half)) await writer.write(verified)
    expect(await claimed(store, blob)).toBe(11 * MIB)
  })

  it.each(['in a folder', 'in fragments'])('takes one piece across several parts (%s)', async where => {
    const { storage, open } = await newHome()
    const others = plain(new MemoryStorage())
    await using store = await (where === 'in a folder' ? open() : ObjectStore.inMemory(others))
    const piece = (start: number, end: number) => ({ offset: start, bytes: blob.data.slice(start, end) })
    for (const [start, end] of [
      [7 * MIB, 17 * MIB],
      [17 * MIB, blob.size],
      [0, 7 * MIB]
    ] as const) {
      await using writer = await store.writer(blob.hash, blob.size)
      const steps = await Array.fromAsync(proven(blob, bytes(blob, start, end)))
      const parents = steps.flatMap(({ parents }) => parents)
      await writer.write({ consumed: 0, leaves: [piece(start, end)], parents })
    }
    await expectComplete(store, where === 'in a folder' ? storage : others, blob)
  })

  it('leaves nothing when nothing came', async () => {
    const { root, open } = await newHome()
    await using store = await open()
    await (await store.writer(blob.hash, blob.size)).close()
    expect(await readdir(join(root, '.temp'))).toEqual([])
    expect(await readdir(root)).not.toContain('blobs')
  })

  it('goes on when the database is lost', async () => {
    const { storage, open, openAnew, bodies } = await newHome()
    {
      await using store = await open()
      await receive(store, blob, half)
    }
    await using store = await openAnew()
    const report = await store.recoverFromStorage()
    expect(report).toMatchObject({ partial: 1, corrupt: 0, orphaned: 0 })
    expect(await claimed(store, blob)).toBe(11 * MIB)
    await receive(store, blob, bytes(blob, 11 * MIB, blob.size))
    expect(await bodies().catch(() => [])).toEqual([])
    await expectComplete(store, storage, blob)
  })

  it('goes on where a version without bodies has begun it, and from there on is written in place', async () => {
    const { root, storage, open, openAnew, bodies } = await newHome()
    {
      await using old = await ObjectStore.inMemory(plain(await FilesystemStorage.open(root)))
      await receive(old, blob, bytes(blob, MIB, 11 * MIB))
    }
    expect(await bodies()).toEqual([])
    {
      await using store = await openAnew()
      expect(await store.recoverFromStorage()).toMatchObject({ partial: 1, orphaned: 0 })
      expect(await claimed(store, blob)).toBe(10 * MIB)
      await receive(store, blob, bytes(blob, 15 * MIB, 17 * MIB))
      expect(await bodies()).toHaveLength(1)
      expect(await claimed(store, blob)).toBe(12 * MIB)
    }
    await using store = await open()
    await receive(store, blob)
    await expectComplete(store, storage, blob)
  })

  it('goes on where objects cannot be written in place, when its folder is put there', async () => {
    const { storage, open } = await newHome()
    {
      await using store = await open()
      await receive(store, blob, bytes(blob, 0, 17 * MIB))
    }
    const elsewhere = new MemoryStorage()
    for await (const { key, size } of storage.list()) {
      const pieces = await Array.fromAsync(storage.read({ key, offset: 0, length: size }))
      const upload = await elsewhere.upload(key, 32 * MIB)
      await upload.put(0, pieces)
      await upload.complete(size)
    }
    await using store = await ObjectStore.inMemory(elsewhere, { readThrough: true })
    expect(await claimed(store, blob)).toBe(17 * MIB)
    await receive(store, blob)
    await expectComplete(store, elsewhere, blob)
  })

  it('is complete when the process was killed before the index knew', async () => {
    const { root, storage, openAnew, open } = await newHome()
    const dying = await FilesystemStorage.open(root, { sync: 'none' })
    const move = dying.move.bind(dying)
    dying.move = async (...args) => {
      await move(...args)
      throw new Error('killed')
    }
    {
      await using store = await ObjectStore.inMemory(dying)
      const writer = await store.writer(blob.hash, blob.size)
      for await (const verified of proven(blob, bytes(blob, 0, blob.size))) await writer.write(verified)
      await writer.close().catch(() => undefined)
    }
    {
      await using store = await openAnew()
      await store.recoverFromStorage()
      await expectComplete(store, storage, blob)
    }
    await using store = await open()
    await receive(store, blob)
    await expectComplete(store, storage, blob)
  })
})

describe('several stores in one folder', () => {
  for (const databases of [
    ['a.db', 'a.db'],
    ['a.db', 'b.db']
  ]) {
    const which = databases[0] === databases[1] ? 'one database' : 'a database each'

    it(`receive a blob at the same time, with ${which}`, async () => {
      const { storage, open } = await newHome()
      await using first = await open(databases[0])
      await using second = await open(databases[1])
      await Promise.all([receive(first, blob), receive(second, blob, undefined, 300_000)])
      await expectComplete(first, storage, blob)
      await expectComplete(second, storage, blob)
    })

    it(`write to the same body, with ${which}`, async () => {
      const { storage, open, bodies } = await newHome()
      await using first = await open(databases[0])
      await using second = await open(databases[1])
      await receive(first, blob, half)
      if (which !== 'one database') await second.recoverFromStorage()
      const writer = await second.writer(blob.hash, blob.size)
      for await (const verified of proven(blob, bytes(blob, 11 * MIB, 19 * MIB))) await writer.write(verified)
      await until(async () => (await claimed(second, blob)) === 19 * MIB)
      expect(await bodies()).toHaveLength(1)
      await receive(first, blob)
      for await (const verified of proven(blob, bytes(blob, 19 * MIB, blob.size)))
        await writer.write(verified)
      expect(await writer.close()).toMatchObject({ state: 'complete' })
      await expectComplete(first, storage, blob)
    })
  }

  it('one deletes the blob while the other writes: nothing is claimed that is not there', async () => {
    const { open } = await newHome()
    await using first = await open()
    await using second = await open()
    const writer = await first.writer(blob.hash, blob.size)
    for await (const verified of proven(blob, half)) await writer.write(verified)
    await until(async () => (await second.status(blob.hash)).state === 'partial')
    await second.delete(blob.hash)
    const rest = async () => {
      for await (const verified of proven(blob, bytes(blob, 11 * MIB, blob.size)))
        await writer.write(verified)
      await writer.close()
    }
    await expect(rest()).rejects.toThrow()
    await writer.close().catch(() => undefined)
    await receive(first, blob)
    expect(await claimed(first, blob)).toBe(blob.size)
  })
})

describe('what is wrong in the folder', () => {
  it('fragments whose body is gone, or cut off, hold nothing', async () => {
    for (const harm of [rm, (path: string) => truncate(path, 9 * MIB)]) {
      const { storage, open, openAnew, bodies, pathOf } = await newHome()
      {
        await using store = await open()
        await receive(store, blob, half)
      }
      await harm(pathOf((await bodies())[0]!))
      const isGone = harm === rm
      {
        await using store = await openAnew()
        const { orphaned, partial } = await store.recoverFromStorage()
        expect({ orphaned, partial }).toEqual(
          isGone ? { orphaned: 2, partial: 0 } : { orphaned: 1, partial: 1 }
        )
        expect(await claimed(store, blob)).toBe(isGone ? 0 : 8 * MIB)
      }
      // This one's database still says that all is there: who goes by it, and brings the rest, is told.
      await using store = await open()
      expect(await store.status(blob.hash)).toMatchObject({ ranges: half })
      await expect(receive(store, blob, bytes(blob, 11 * MIB, blob.size))).rejects.toThrow(
        'there is no object'
      )
      expect(await claimed(store, blob)).toBe(isGone ? 0 : 8 * MIB)
      await receive(store, blob)
      await expectComplete(store, storage, blob)
    }
  })

  it('a body that was cut off does not look whole again when more of the blob comes', async () => {
    const { storage, open, openAnew, bodies, pathOf } = await newHome()
    {
      await using store = await open()
      await receive(store, blob, bytes(blob, 0, 16 * MIB))
    }
    await truncate(pathOf((await bodies())[0]!), 12 * MIB)
    for (let times = 0; times < 2; times++) {
      await using store = await open()
      // Told once that not all is there, of which the database says so.
      if (times === 0) await receive(store, blob, bytes(blob, 0, MIB)).catch(() => undefined)
      await receive(store, blob, bytes(blob, (16 + times) * MIB, (17 + times) * MIB))
    }
    // The one that was cut off, and one to go on with.
    expect(await bodies()).toHaveLength(2)
    await using store = await openAnew()
    await store.recoverFromStorage({ fast: true })
    expect(await claimed(store, blob)).toBe(10 * MIB)
    await receive(store, blob)
    await expectComplete(store, storage, blob)
  })

  it('a part whose body was cut off is not held any more when somebody says so', async () => {
    const { open, bodies, pathOf } = await newHome()
    await using store = await open()
    await receive(store, blob, bytes(blob, 0, 16 * MIB))
    await truncate(pathOf((await bodies())[0]!), 12 * MIB)
    expect(await store.reportDamage(blob.hash)).toMatchObject({ ranges: bytes(blob, 0, 8 * MIB) })
  })

  it('a body without fragments belongs to nothing, and goes with the blob', async () => {
    const { storage, open, openAnew, root, bodies, pathOf } = await newHome()
    {
      await using store = await open()
      await receive(store, blob, half)
    }
    const stray = `${blob.size}.0123456789abcdef`
    await copyFile(pathOf((await bodies())[0]!), pathOf(stray))
    await using store = await openAnew()
    const report = await store.recoverFromStorage()
    expect(report).toMatchObject({ partial: 1, orphaned: 1, orphans: [prefix + stray] })
    await receive(store, blob)
    await expectComplete(store, storage, blob)
    await mkdir(join(root, prefix), { recursive: true })
    await copyFile(join(root, outboardKey(blob.hash)), pathOf(stray))
    await store.delete(blob.hash)
    expect(await Array.fromAsync(storage.list())).toEqual([])
  })

  it('who has lost his body leaves what is in another one', async () => {
    const { open, openAnew, bodies, fragments, pathOf } = await newHome()
    {
      await using first = await openAnew()
      await using second = await open()
      const writers = await Promise.all([first, second].map(store => store.writer(blob.hash, blob.size)))
      for (const [i, ranges] of [bytes(blob, 0, 8 * MIB), bytes(blob, 8 * MIB, 18 * MIB)].entries())
        for await (const verified of proven(blob, ranges)) await writers[i]!.write(verified)
      await Promise.all(writers.map(writer => writer.close()))
    }
    expect(await bodies()).toHaveLength(2)
    await using store = await openAnew()
    await store.recoverFromStorage()
    const writer = await store.writer(blob.hash, blob.size)
    for await (const verified of proven(blob, bytes(blob, 18 * MIB, blob.size))) await writer.write(verified)
    const other = (await fragments()).find(({ spans }) => spans[0]!.from === 0)!.body!
    for (const body of await bodies()) if (!body.endsWith(other)) await rm(pathOf(body))
    await expect(writer.close()).rejects.toThrow('there is no object')
    expect(await fragments()).toContainEqual(
      expect.objectContaining({ body: other, spans: [{ from: 0, to: 512 }] })
    )
    expect(await claimed(store, blob)).toBe(8 * MIB)
  })

  it('a body goes when nothing could be said of it, as on a full disk', async () => {
    const { root, storage } = await newHome()
    await using store = await ObjectStore.inMemory(withoutRoomForNotes(await FilesystemStorage.open(root)))
    for (let times = 0; times < 2; times++) {
      await expect(receive(store, blob, half)).rejects.toThrow('the disk is full')
      expect(await Array.fromAsync(storage.list())).toEqual([])
    }
  })

  it('a wrong part is not held any more, and is written anew', async () => {
    const { storage, open, bodies, fragments, pathOf } = await newHome()
    await using store = await open()
    await receive(store, blob, half)
    await flipByte(pathOf((await bodies())[0]!), 9 * MIB)
    await expect(claimed(store, blob)).rejects.toThrow()
    expect(await store.reportDamage(blob.hash)).toMatchObject({
      state: 'partial',
      ranges: bytes(blob, 0, 8 * MIB)
    })
    expect(await fragments()).toHaveLength(1)
    await receive(store, blob)
    await expectComplete(store, storage, blob)
  })

  it('nothing is completed of which a part has been found to be wrong meanwhile', async () => {
    const { storage, open, fragments, pathOf } = await newHome()
    await using store = await open()
    const writer = await store.writer(blob.hash, blob.size)
    for await (const verified of proven(blob, bytes(blob, 0, blob.size))) await writer.write(verified)
    await until(async () => (await fragments().catch(() => [])).some(({ spans }) => spans[0]!.to === 512))
    for (const { name, spans } of await fragments()) if (spans[0]!.to === 512) await rm(pathOf(name))
    await expect(writer.close()).rejects.toThrow('there is no object')
    expect(await storage.stat(dataKey(blob.hash))).toBe(undefined)
    await receive(store, blob)
    await expectComplete(store, storage, blob)
  })

  it('nor of which some of a part has', async () => {
    const { storage, open, fragments, pathOf } = await newHome()
    await using store = await open()
    const writer = await store.writer(blob.hash, blob.size)
    for await (const verified of proven(blob, bytes(blob, 0, 4 * MIB))) await writer.write(verified)
    await until(async () => (await fragments().catch(() => [])).length > 0)
    for (const { name } of await fragments()) await rm(pathOf(name))
    const rest = async () => {
      for await (const verified of proven(blob, bytes(blob, 4 * MIB, blob.size))) await writer.write(verified)
      await writer.close()
    }
    await expect(rest()).rejects.toThrow('there is no object')
    await writer.close()
    expect(await storage.stat(dataKey(blob.hash))).toBe(undefined)
    await receive(store, blob)
    await expectComplete(store, storage, blob)
  })
})
