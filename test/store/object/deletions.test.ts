/** Deleting: what goes at once, what waits for readers, and what a killed process leaves. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { encode } from '../../../src/bao/encoder.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { ABANDONED_MS, blobPrefix } from '../../../src/store/object/layout.ts'
import { Metadata } from '../../../src/store/object/metadata/index.ts'
import type { ObjectInfo, StorageOptions } from '../../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import { pause } from '../../../src/store/waiting.ts'
import {
  contentOf,
  gate,
  groups,
  hasContent,
  keysOf,
  MIB,
  receive,
  sampleBlob,
  serve,
  startReceiving,
  testFolder,
  testStore,
  until,
  WatchedStorage
} from './support.ts'

const blob = sampleBlob(3 * MIB)

/** A store that is not open. */
const OWNER = 'killed'

/** Number of the temporary object that is not old. */
const NEW = 0xabcdef

function failOnDelete(storage: WatchedStorage): void {
  storage.before = ({ method }) => {
    if (method === 'delete') throw new Error('out of order')
  }
}

describe('a deleted blob', () => {
  it.each([1, 3 * MIB])('has no objects any more (%i bytes)', async size => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const { data, hash } = sampleBlob(size)
    await store.addBytes(data)
    expect(await store.delete(hash)).toBe(true)
    expect(await keysOf(storage)).toEqual([])
    expect(await store.delete(hash)).toBe(false)
  })

  it('has no objects any more when it was arriving, saved or not', async () => {
    const large = sampleBlob(20 * MIB)
    for (const isSaved of [true, false]) {
      const storage = new WatchedStorage()
      const store = await testStore(storage)
      if (isSaved) await receive(store, large, groups(0, 600))
      const writer = await startReceiving(store, large, groups(600, 1100))
      expect(await store.delete(large.hash)).toBe(true)
      expect(await writer.close()).toEqual({ state: 'absent' })
      expect(await keysOf(storage)).toEqual([])
    }
  })
})

describe('a deletion that fails', () => {
  it('is told, the blob is absent, and deleting it again goes on', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage, { readThrough: true })
    await store.addBytes(blob.data)
    failOnDelete(storage)
    await expect(store.delete(blob.hash)).rejects.toThrow('out of order')
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
    expect(await store.open(blob.hash)).toBeUndefined()
    expect(await keysOf(storage)).toHaveLength(2)
    storage.before = undefined
    await store.delete(blob.hash)
    expect(await keysOf(storage)).toEqual([])
  })

  it('is seen by who observes the blob', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await store.addBytes(blob.data)
    failOnDelete(storage)
    const states: string[] = []
    const observing = (async () => {
      for await (const { state } of store.observe(blob.hash)) {
        states.push(state)
        if (state === 'absent') return
      }
    })()
    await until(() => states.length > 0)
    await expect(store.delete(blob.hash)).rejects.toThrow()
    await observing
    expect(states).toEqual(['complete', 'absent'])
  })

  it('is done before the blob is added again', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await store.addBytes(blob.data)
    failOnDelete(storage)
    await expect(store.delete(blob.hash)).rejects.toThrow()
    await expect(store.addBytes(blob.data)).rejects.toThrow('out of order')
    storage.before = undefined
    await store.addBytes(blob.data)
    await serve(store, blob.hash)
  })

  it.each(['in this process', 'in one that was killed'])(
    'is done when the store is opened again, %s',
    async how => {
      const inner = new MemoryStorage()
      const dbPath = join(await testFolder(), 'blobs.db')
      const storage = new WatchedStorage(inner)
      {
        await using store = await testStore(storage, { dbPath })
        await store.addBytes(blob.data)
        await store.addBytes(sampleBlob(5, 2).data)
        if (how === 'in this process') {
          failOnDelete(storage)
          await expect(store.delete(blob.hash)).rejects.toThrow()
        }
      }
      if (how === 'in one that was killed') {
        using metadata = Metadata.open(dbPath)
        metadata.remove(blob.hash, OWNER)
      }
      const store = await testStore(new WatchedStorage(inner), { dbPath })
      expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
      await until(async () => (await keysOf(inner)).length === 1)
      expect(await store.status(sampleBlob(5, 2).hash)).toMatchObject({ state: 'complete' })
    }
  )

  it('at opening is told, and does not keep the store from opening', async () => {
    const inner = new MemoryStorage()
    const dbPath = join(await testFolder(), 'blobs.db')
    {
      await using store = await testStore(new WatchedStorage(inner), { dbPath })
      await store.addBytes(blob.data)
    }
    {
      using metadata = Metadata.open(dbPath)
      metadata.remove(blob.hash, OWNER)
    }
    const storage = new WatchedStorage(inner)
    failOnDelete(storage)
    const store = await testStore(storage, { dbPath })
    await until(() => store.notices.length > 0)
    expect(store.notices).toEqual([expect.stringContaining('out of order')])
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
  })

  it('of very many blobs is done in the end', async () => {
    const inner = new MemoryStorage()
    const dbPath = join(await testFolder(), 'blobs.db')
    const blobs = Array.from({ length: 250 }, (_, i) => sampleBlob(100, i + 1))
    {
      await using store = await testStore(new WatchedStorage(inner), { dbPath })
      for (const { data } of blobs) await store.addBytes(data)
    }
    {
      using metadata = Metadata.open(dbPath)
      for (const { hash } of blobs) metadata.remove(hash, OWNER)
    }
    await testStore(new WatchedStorage(inner), { dbPath })
    await until(async () => (await keysOf(inner)).length === 0)
  })
})

describe('a deletion that another store is at', () => {
  /** Two stores on one database, as two processes have them. The first has a blob, and deletes it when it may. */
  async function deleting() {
    const inner = new MemoryStorage()
    const dbPath = join(await testFolder(), 'blobs.db')
    const storage = new WatchedStorage(inner)
    const store = await testStore(storage, { dbPath })
    await store.addBytes(blob.data)
    const door = gate()
    storage.before = async ({ method }) => {
      if (method === 'delete') await door.pass()
    }
    return { inner, dbPath, store, door }
  }

  it('is left to it, and a blob that is added meanwhile stays', async () => {
    const { inner, dbPath, store, door } = await deleting()
    const deletion = store.delete(blob.hash)
    await door.reached
    const storage = new WatchedStorage(inner)
    const other = await testStore(storage, { dbPath })
    const adding = other.addBytes(blob.data)
    await pause(200)
    expect(storage.count('delete', /blobs/)).toBe(0)
    expect(await keysOf(inner)).toHaveLength(2)
    door.open()
    expect(await deletion).toBe(true)
    await adding
    expect(await store.status(blob.hash)).toMatchObject({ state: 'complete' })
    await serve(other, blob.hash)
  })

  it('waits for its readers, and is withdrawn when the blob is added again', async () => {
    const { inner, dbPath, store, door } = await deleting()
    door.open()
    const reader = (await store.open(blob.hash))!
    await store.delete(blob.hash)
    const other = await testStore(new WatchedStorage(inner), { dbPath })
    await pause(100)
    for await (const _piece of encode(blob.hash, reader, ChunkRanges.all));
    await other.addBytes(blob.data)
    await reader.close()
    await store.close()
    expect(await other.status(blob.hash)).toMatchObject({ state: 'complete' })
    await serve(other, blob.hash)
  })

  it('is taken over when nothing was heard of it for long', async () => {
    const { inner, dbPath, store, door } = await deleting()
    const deletion = store.delete(blob.hash)
    await door.reached
    const database = new Database(dbPath)
    database.exec('UPDATE deletions SET renewed_at = renewed_at - 31000')
    database.close()
    const other = await testStore(new WatchedStorage(inner), { dbPath })
    await until(async () => (await keysOf(inner)).length === 0)
    await other.addBytes(blob.data)
    door.open()
    await deletion
    await other.addBytes(sampleBlob(9).data)
    expect(await other.status(blob.hash)).toMatchObject({ state: 'complete' })
  })

  it('was noted before the blob was put again, which a power failure has taken back: the blob stays', async () => {
    const { inner, dbPath, store } = await deleting()
    await store.close()
    {
      using metadata = Metadata.open(dbPath)
      metadata.remove(blob.hash, OWNER)
    }
    await pause(5)
    for (const key of await keysOf(inner)) await inner.put(key, [await contentOf(inner, key)])
    const again = await testStore(new WatchedStorage(inner), { dbPath })
    await until(async () => (await again.status(blob.hash)).state === 'complete')
    await serve(again, blob.hash)
  })

  it('of another storage is forgotten', async () => {
    const { inner, dbPath, store } = await deleting()
    await store.close()
    {
      using metadata = Metadata.open(dbPath)
      metadata.remove(blob.hash, OWNER)
    }
    const elsewhere = Object.assign(new WatchedStorage(inner), { name: 'elsewhere' })
    {
      await using other = await testStore(elsewhere, { dbPath })
      expect(await other.recoverFromStorage()).toMatchObject({ complete: 1 })
    }
    const again = await testStore(elsewhere, { dbPath })
    await pause(100)
    expect(await again.status(blob.hash)).toMatchObject({ state: 'complete' })
    await serve(again, blob.hash)
  })
})

describe('a blob that is read while it is deleted', () => {
  it('is read to its end, and its objects go with the last reader', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await store.addBytes(blob.data)
    const readers = [(await store.open(blob.hash))!, (await store.open(blob.hash))!]
    expect(await store.delete(blob.hash)).toBe(true)
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
    expect(await store.open(blob.hash)).toBeUndefined()
    for (const reader of readers) {
      for await (const _piece of encode(blob.hash, reader, ChunkRanges.all));
      expect(await keysOf(storage)).toHaveLength(2)
      await reader.close()
      await reader.close()
    }
    await until(async () => (await keysOf(storage)).length === 0)
  })

  it('is not looked up behind its back', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage, { readThrough: true })
    await store.addBytes(blob.data)
    await using reader = (await store.open(blob.hash))!
    await store.delete(blob.hash)
    expect(reader.size).toBe(blob.size)
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
    expect(await store.open(blob.hash)).toBeUndefined()
    expect(await store.recoverFromStorage()).toMatchObject({ complete: 0, orphaned: 0 })
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
  })

  it('leaves no objects when the store is closed', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await store.addBytes(blob.data)
    await store.open(blob.hash)
    await store.delete(blob.hash)
    await store.close()
    expect(await keysOf(storage)).toEqual([])
  })

  it('stays when it is added again, also when the reader goes', async () => {
    for (const add of ['add', 'receive']) {
      const storage = new WatchedStorage()
      const store = await testStore(storage)
      await store.addBytes(blob.data)
      const reader = (await store.open(blob.hash))!
      await store.delete(blob.hash)
      if (add === 'add') await store.addBytes(blob.data)
      else await receive(store, blob, ChunkRanges.all)
      for await (const _piece of encode(blob.hash, reader, ChunkRanges.all));
      await reader.close()
      await store.addBytes(sampleBlob(7).data)
      expect(await store.status(blob.hash)).toMatchObject({ state: 'complete' })
      await serve(store, blob.hash)
    }
  })

  it('in part is read to its end', async () => {
    const large = sampleBlob(20 * MIB)
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await receive(store, large, groups(0, 600))
    const reader = (await store.open(large.hash))!
    await store.delete(large.hash)
    for await (const _piece of encode(large.hash, reader, groups(0, 600)));
    await reader.close()
    await until(async () => (await keysOf(storage)).length === 0)
  })
})

describe('a blob that is added while it is being deleted', () => {
  it.each([1000, 3 * MIB])('is there afterwards, whole (%i bytes)', async size => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    const { data, hash } = sampleBlob(size)
    await store.addBytes(data)
    const door = gate()
    storage.before = async ({ method }) => {
      if (method === 'delete') await door.pass()
    }
    const deleting = store.delete(hash)
    await door.reached
    const adding = store.addBytes(data)
    const receiving = receive(store, sampleBlob(size), ChunkRanges.all)
    door.open()
    expect(await deleting).toBe(true)
    await Promise.all([adding, receiving])
    expect(await store.status(hash)).toEqual({ state: 'complete', size })
    await serve(store, hash)
  })

  it('by another process of the same database is there afterwards', async () => {
    const inner = new MemoryStorage()
    const dbPath = join(await testFolder(), 'blobs.db')
    const storage = new WatchedStorage(inner)
    const store = await testStore(storage, { dbPath })
    const other = await testStore(new WatchedStorage(inner), { dbPath })
    await store.addBytes(blob.data)
    const door = gate()
    storage.before = async ({ method }) => {
      if (method === 'delete') await door.pass()
    }
    const deleting = store.delete(blob.hash)
    await door.reached
    const adding = other.addBytes(blob.data)
    door.open()
    await Promise.all([deleting, adding])
    expect(await store.status(blob.hash)).toMatchObject({ state: 'complete' })
    await serve(store, blob.hash)
  })

  it('can be given up', async () => {
    const storage = new WatchedStorage()
    const store = await testStore(storage)
    await store.addBytes(blob.data)
    const door = gate()
    storage.before = async ({ method }) => {
      if (method === 'delete') await door.pass()
    }
    const deleting = store.delete(blob.hash)
    await door.reached
    const reason = new Error('enough')
    const stop = new AbortController()
    const adding = store.addBytes(blob.data, { signal: stop.signal })
    stop.abort(reason)
    await expect(adding).rejects.toBe(reason)
    door.open()
    await deleting
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
  })
})

describe('at opening', () => {
  it('what others left under temporary names is swept when it is old, and nothing else', async () => {
    class Aged extends MemoryStorage {
      swept: number | undefined

      override async *list(options = {}): AsyncGenerator<ObjectInfo, void, undefined> {
        for await (const info of super.list(options)) {
          const age = info.key.endsWith(NEW.toString(16)) ? ABANDONED_MS - 60_000 : ABANDONED_MS + 1000
          yield { ...info, modifiedAt: Date.now() - age }
        }
      }

      override async sweepUploads(before: number, options?: StorageOptions): Promise<void> {
        this.swept = before
        await super.sweepUploads(before, options)
      }
    }
    const storage = new Aged()
    const temp = (i: number): string => `temp/${i.toString(16).padStart(32, '0')}`
    for (let i = 0; i < 700; i++) await storage.put(temp(i), [])
    await storage.put(`${temp(700)}-12`, [])
    const others = [
      'blobs/old',
      'tags/old',
      'quarantine/old',
      'elsewhere/old',
      'temp/reports/old',
      'temp/old'
    ]
    for (const key of [temp(NEW), ...others]) await storage.put(key, [])
    const now = Date.now()
    const store = await testStore(storage)
    await until(async () => (await keysOf(storage, 'temp/')).length === 3)
    expect(await keysOf(storage)).toEqual([temp(NEW), ...others].sort())
    expect(storage.swept! - now + ABANDONED_MS).toBeGreaterThanOrEqual(0)
    expect(storage.swept!).toBeLessThanOrEqual(Date.now() - ABANDONED_MS)
    expect(store.notices).toEqual([])
  })

  it('a storage that cannot be listed is told', async () => {
    const storage = new WatchedStorage()
    storage.before = ({ method }) => {
      if (method === 'list') throw new Error('out of order')
    }
    await expect(testStore(storage)).rejects.toThrow('out of order')
    expect(storage.isClosed).toBe(true)
  })
})

it('the keys of a blob are its own', async () => {
  const storage = new WatchedStorage()
  const store = await testStore(storage)
  await store.addBytes(blob.data)
  for (const key of await keysOf(storage)) expect(key.startsWith(blobPrefix(blob.hash))).toBe(true)
  expect(await hasContent(storage, `${blobPrefix(blob.hash)}data`, blob.data)).toBe(true)
})
