/** The ways to open a store. */
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { BlobDamagedError, BlobNotFoundError } from '../../../src/store/errors.ts'
import { dataKey, outboardKey } from '../../../src/store/object/layout.ts'
import type { StorageSpec } from '../../../src/store/object/options.ts'
import { FilesystemStorage } from '../../../src/store/object/storage/filesystem/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'
import { flipByte, groups, MIB, sampleBlob, serve, testFolder, until, WatchedStorage } from './support.ts'

const run = promisify(execFile)

const blob = sampleBlob(3 * MIB)

describe('ObjectStore.local', () => {
  it('has the database beside the folder, and both survive', async () => {
    const folder = await testFolder()
    {
      await using store = await ObjectStore.local(join(folder, 'blobs/'))
      await store.addBytes(blob.data)
    }
    expect((await readdir(folder)).sort()).toEqual(['blobs', 'blobs.db'])
    await using store = await ObjectStore.local(join(folder, 'blobs'))
    expect(store.notices).toEqual([])
    await serve(store, blob.hash)
  })

  it('loads nothing that only a bucket needs', async () => {
    const folder = await testFolder()
    const noted = join(folder, 'loaded')
    const preload = join(import.meta.dirname, '../../cli/note-loaded.ts')
    const entry = join(import.meta.dirname, '../../../src/store/object/index.ts')
    const program = `
      const { ObjectStore } = await import(${JSON.stringify(entry)})
      const store = await ObjectStore.local(${JSON.stringify(join(folder, 'blobs'))})
      await store.addBytes(new Uint8Array(100_000))
      await store.close()`
    const args = ['--import', preload, '--input-type=module', '--eval', program]
    await run(process.execPath, args, { env: { ...process.env, LOADED: noted }, timeout: 60_000 })
    const loaded = await readFile(noted, 'utf8')
    expect(loaded).toContain('better-sqlite3')
    expect(loaded).not.toMatch(/node_modules\/(minio|zod)\/|node:https?$/m)
  })

  it('has the database where it is told', async () => {
    const folder = await testFolder()
    const dbPath = join(folder, 'deep', 'index.db')
    await using _store = await ObjectStore.local(join(folder, 'blobs'), { dbPath, sync: 'none' })
    expect(await readdir(join(folder, 'deep'))).toContain('index.db')
    expect((await readdir(folder)).sort()).toEqual(['blobs', 'deep'])
  })

  it('is recovered when the database is lost, and what was damaged meanwhile is set aside', async () => {
    const folder = await testFolder()
    const good = sampleBlob(MIB, 2)
    {
      await using store = await ObjectStore.local(join(folder, 'blobs'), { sync: 'none' })
      await store.addBytes(blob.data)
      await store.addBytes(good.data)
      await store.tags.set('good', { hash: good.hash, format: 'raw' })
    }
    for (const name of await readdir(folder)) if (name !== 'blobs') await rm(join(folder, name))
    {
      await using storage = await FilesystemStorage.open(join(folder, 'blobs'), { sync: 'none' })
      await flipByte(storage, dataKey(blob.hash), MIB)
    }
    await using store = await ObjectStore.local(join(folder, 'blobs'), { sync: 'none' })
    expect(store.notices).toHaveLength(1)
    expect(await store.recoverFromStorage()).toMatchObject({ complete: 1, corrupt: 1, orphaned: 0, tags: 1 })
    expect(await store.status(blob.hash)).toMatchObject({
      state: 'partial',
      ranges: groups(0, 192).subtract(groups(64))
    })
    await serve(store, good.hash)
    expect(await store.tags.get('good')).toMatchObject({ hash: good.hash })
  })

  it('reads on from files that somebody deletes, and says what is gone when it opens them', async () => {
    const folder = await testFolder()
    await using store = await ObjectStore.local(join(folder, 'blobs'), { sync: 'none' })
    await store.addBytes(blob.data)
    {
      await using reader = (await store.open(blob.hash))!
      const [first, second] = [new Uint8Array(1000), new Uint8Array(50)]
      await reader.readDataInto!(MIB, [first, second])
      await rm(join(folder, 'blobs', dataKey(blob.hash)))
      await reader.readDataInto!(MIB + 1050, [second])
      expect(Buffer.compare(first, blob.data.subarray(MIB, MIB + 1000))).toBe(0)
      expect(Buffer.compare(second, blob.data.subarray(MIB + 1050, MIB + 1100))).toBe(0)
    }
    await using reader = (await store.open(blob.hash))!
    await expect(reader.readData(0, new Uint8Array(1))).rejects.toThrow(BlobNotFoundError)
    await until(() => store.notices.length > 0)
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
  })

  it('mends an outboard that is missing', async () => {
    const folder = await testFolder()
    await using store = await ObjectStore.local(join(folder, 'blobs'), { sync: 'none' })
    await store.addBytes(blob.data)
    await rm(join(folder, 'blobs', outboardKey(blob.hash)))
    await expect(serve(store, blob.hash)).rejects.toThrow(BlobDamagedError)
    await until(() => store.notices.length > 0)
    await serve(store, blob.hash)
  })

  it('says what is in its way', async () => {
    const folder = await testFolder()
    await writeFile(join(folder, 'blobs'), '')
    await expect(ObjectStore.local(join(folder, 'blobs'))).rejects.toThrow(join(folder, 'blobs'))
  })
})

describe('ObjectStore.ephemeral and inMemory', () => {
  it('keep nothing beyond the storage', async () => {
    const storage = new MemoryStorage()
    for (let i = 0; i < 2; i++) {
      await using store = await ObjectStore.inMemory(storage)
      expect(await Array.fromAsync(store.list())).toEqual([])
      if (i === 0) await store.addBytes(blob.data)
      else expect(await store.recoverFromStorage()).toMatchObject({ complete: 1 })
    }
    await using store = await ObjectStore.ephemeral()
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
    await store.addBytes(blob.data)
    await serve(store, blob.hash)
  })
})

describe('ObjectStore.open', () => {
  it('closes the storage with the store, and when it fails', async () => {
    const folder = await testFolder()
    const storage = new WatchedStorage()
    await (await ObjectStore.open({ dbPath: join(folder, 'a.db'), storage })).close()
    expect(storage.isClosed).toBe(true)
    await mkdir(join(folder, 'folder.db'))
    const other = new WatchedStorage()
    await expect(ObjectStore.open({ dbPath: join(folder, 'folder.db'), storage: other })).rejects.toThrow()
    expect(other.isClosed).toBe(true)
  })

  it('knows which storages there are', async () => {
    const storage = { type: 'floppy' } as unknown as StorageSpec
    await expect(ObjectStore.inMemory(storage)).rejects.toThrow('there is no storage of type "floppy"')
  })
})

describe('a database that was made for another storage', () => {
  it('says so, serves only what is there, and is right again once recovered', async () => {
    const folder = await testFolder()
    const dbPath = join(folder, 'blobs.db')
    const there = sampleBlob(MIB, 2)
    {
      await using elsewhere = await ObjectStore.local(join(folder, 'b'))
      await elsewhere.addBytes(there.data)
      await using first = await ObjectStore.local(join(folder, 'a'), { dbPath })
      await first.addBytes(blob.data)
    }
    {
      await using store = await ObjectStore.local(join(folder, 'b'), { dbPath })
      expect(store.notices).toHaveLength(1)
      expect(store.notices[0]).toContain('was made for')
      await serve(store, there.hash)
      expect(await store.recoverFromStorage()).toMatchObject({ complete: 1, lost: 1 })
      expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
    }
    await using again = await ObjectStore.local(join(folder, 'b'), { dbPath })
    expect(again.notices).toEqual([])
    await serve(again, there.hash)
  })
})
