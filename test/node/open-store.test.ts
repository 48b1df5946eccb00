import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EMPTY_HASH, type Hash } from '../../src/hash.ts'
import { parseConfig } from '../../src/node/config.ts'
import { copyStore } from '../../src/node/copy-store.ts'
import { createNode } from '../../src/node/create-node.ts'
import { createHome, isHome } from '../../src/node/home.ts'
import { createHomeWith, HomeExistsError } from '../../src/node/init-store.ts'
import { NoObjectStoreError, openObjectStore, openStore } from '../../src/node/open-store.ts'
import { DEFAULT_MAX_BLOB_SIZE, type StoreInput } from '../../src/node/store-config.ts'
import { OtherStoreError } from '../../src/node/store-folder.ts'
import { openSpec } from '../../src/node/store-spec.ts'
import type { AddResult } from '../../src/store/index.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { ObjectStore } from '../../src/store/object/index.ts'
import { randomData } from '../helpers/data.ts'
import { scratch, writeTree } from './support.ts'

const FILESYSTEM: StoreInput = { type: 'filesystem', sync: 'none' }

const configOf = (blobStore: StoreInput) => parseConfig({ blobStore }, 'test')

describe('the store of a configuration', () => {
  it('is where the configuration says, below the home', async () => {
    await using folder = await scratch()
    await using plain = await openStore(configOf({ path: 'plain' }), folder.path)
    expect(plain).toBeInstanceOf(LegacyFsStore)
    const config = configOf({ ...FILESYSTEM, path: 'objects', dbPath: 'deep/index.db' })
    {
      await using objects = await openStore(config, folder.path)
      expect(objects).toBeInstanceOf(ObjectStore)
      await objects.addBytes(randomData(100))
    }
    expect(await readdir(folder.in('objects', 'blobs'))).toHaveLength(1)
    expect(await readdir(folder.in('deep'))).toContain('index.db')
    await using again = await openObjectStore(config, folder.path)
    expect(await Array.fromAsync(again.list())).toHaveLength(1)
  })

  it('takes no blob above its limit', async () => {
    await using folder = await scratch()
    await using store = await openStore(configOf({ ...FILESYSTEM, maxBlobSize: 99 }), folder.path)
    await expect(store.addBytes(randomData(100))).rejects.toMatchObject({ code: 'ERR_BLOB_TOO_LARGE' })
    expect(configOf(FILESYSTEM).blobStore).toMatchObject({ maxBlobSize: DEFAULT_MAX_BLOB_SIZE })
  })

  it('can be named in code, and is closed with its node', async () => {
    await using folder = await scratch()
    const node = await createNode({
      home: folder.path,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      blobStore: FILESYSTEM
    })
    const { hash } = await node.store.addBytes(randomData(100))
    await node.stop()
    await expect(node.store.status(hash)).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' })
    await using store = await openStore(configOf(FILESYSTEM), folder.path)
    expect((await store.status(hash)).state).toBe('complete')
  })

  it('cannot be recovered when it is plain files', async () => {
    await using folder = await scratch()
    await expect(openObjectStore(configOf({}), folder.path)).rejects.toThrow(NoObjectStoreError)
  })
})

describe('a folder', () => {
  const types: [type: 'legacy' | 'filesystem', other: StoreInput][] = [
    ['legacy', FILESYSTEM],
    ['filesystem', { type: 'legacy' }]
  ]

  it.each(types)('of blobs of type "%s" is not opened as another one', async (type, other) => {
    await using folder = await scratch()
    {
      await using store = await openStore(configOf({ type, sync: 'none' }), folder.path)
      await store.addBytes(randomData(20_000))
    }
    const opening = openStore(configOf(other), folder.path)
    await expect(opening).rejects.toThrow(OtherStoreError)
    await expect(opening).rejects.toThrow(`blobs copy --from ${type}:${folder.in('blobs')} --to HOME`)
  })

  it.each(types)(
    'with a tag of type "%s" and nothing else is not opened as another one either',
    async (type, other) => {
      await using folder = await scratch()
      {
        await using store = await openStore(configOf({ type, sync: 'none' }), folder.path)
        const { hash } = await store.addBytes(new Uint8Array(0))
        await store.tags.set('a', { hash, format: 'raw' })
      }
      await expect(openStore(configOf(other), folder.path)).rejects.toThrow(OtherStoreError)
    }
  )

  it('with other files may become either', async () => {
    await using folder = await scratch()
    await writeTree(folder.in('blobs'), { 'data/readme.txt': 'a', 'blobs/readme.txt': 'b', 'tags/x': 'c' })
    await (await openStore(configOf(FILESYSTEM), folder.path)).close()
    await (await openStore(configOf({}), folder.path)).close()
  })
})

describe('a home that is made with a store', () => {
  it('is left as it is when it is there with the same store, and refused with another one', async () => {
    await using folder = await scratch()
    const home = folder.in('home')
    expect(await createHomeWith(home, FILESYSTEM)).toBe(true)
    expect(await createHomeWith(home, FILESYSTEM)).toBe(false)
    expect(await createHomeWith(home, { ...FILESYSTEM, dbPath: 'other.db' })).toBe(false)
    await expect(createHomeWith(home, { type: 'legacy' })).rejects.toThrow(HomeExistsError)
    const s3 = { type: 's3', endpoint: 'http://127.0.0.1:9', bucket: 'blobs', secretKey: 'hidden' } as const
    const refused = createHomeWith(home, { ...s3, accessKey: 'key' })
    await expect(refused).rejects.toThrow('the bucket blobs at http://127.0.0.1:9')
    await expect(refused).rejects.not.toThrow('hidden')
  })

  it('is not made where the folder of its blobs is that of another store', async () => {
    await using folder = await scratch()
    const path = folder.in('plain')
    {
      await using store = await LegacyFsStore.open(path, { sync: 'none' })
      await store.addBytes(randomData(10))
    }
    await expect(createHomeWith(folder.in('home'), { ...FILESYSTEM, path })).rejects.toThrow(OtherStoreError)
    expect(await isHome(folder.in('home'))).toBe(false)
  })
})

describe('a store that is named in one line', () => {
  it('is a home, plain files, or objects, of which nothing but the objects stays', async () => {
    await using folder = await scratch()
    await createHome(folder.in('home'))
    const added: string[] = []
    for (const text of [
      folder.in('home'),
      `legacy:${folder.in('plain')}`,
      `filesystem:${folder.in('objects')}`
    ]) {
      await using opened = await openSpec(text, { isSource: false })
      added.push((await opened.store.addBytes(randomData(50_000))).hash.toString())
      expect(opened.name).toContain(folder.path)
    }
    expect((await readdir(folder.path)).sort()).toEqual(['home', 'objects', 'plain'])
    for (const text of [
      folder.in('home'),
      `legacy:${folder.in('plain')}`,
      `filesystem:${folder.in('objects')}`
    ]) {
      await using opened = await openSpec(text, { isSource: true })
      const blobs = await Array.fromAsync(opened.store.list())
      expect(blobs.map(({ hash }) => hash.toString())).toEqual(added.slice(0, 1))
    }
  })

  it('keeps the tags that it has when others are copied to it', async () => {
    await using folder = await scratch()
    const text = `filesystem:${folder.in('objects')}`
    await using from = new MemoryStore()
    const ours = await from.addBytes(randomData(10, 1))
    await from.tags.set('a', { hash: ours.hash, format: 'raw' })
    const theirs = { hash: EMPTY_HASH, format: 'raw' } as const
    {
      await using opened = await openSpec(text, { isSource: false })
      await opened.store.tags.set('a', theirs)
    }
    for (const replaceTags of [false, true]) {
      await using opened = await openSpec(text, { isSource: false })
      const report = await copyStore(from, opened.store, { replaceTags })
      expect(report).toMatchObject(replaceTags ? { tags: 1, tagsKept: 0 } : { tags: 0, tagsKept: 1 })
      expect((await opened.store.tags.get('a'))?.hash).toEqual(replaceTags ? ours.hash : theirs.hash)
    }
  })

  it('is only read as a source: what is damaged or left behind in it stays', async () => {
    await using folder = await scratch()
    const text = `filesystem:${folder.in('objects')}`
    const key = (hash: Hash, name: string) => folder.in('objects', 'blobs', hash.toBase32(), name)
    const blobs: AddResult[] = []
    {
      await using opened = await openSpec(text, { isSource: false })
      for (const seed of [1, 2]) blobs.push(await opened.store.addBytes(randomData(50_000, seed)))
    }
    const [damaged, good] = blobs as [AddResult, AddResult]
    await writeFile(key(damaged.hash, 'data'), randomData(50_000, 3))
    await writeTree(key(good.hash, 'partial'), { '50000.0-1': 'left behind' })
    const before = (await readdir(folder.in('objects'), { recursive: true })).sort()
    {
      await using opened = await openSpec(text, { isSource: true })
      await using to = new MemoryStore()
      expect(await copyStore(opened.store, to)).toMatchObject({ copied: 1, damaged: 1 })
    }
    expect((await readdir(folder.in('objects'), { recursive: true })).sort()).toEqual(before)
  })

  it('has to be there to be read, and in a form that is known', async () => {
    await using folder = await scratch()
    const open = (text: string) => openSpec(text, { isSource: true })
    await expect(open(`legacy:${folder.in('a')}`)).rejects.toThrow('there is no folder')
    await expect(open(`filesystem:${folder.in('a')}`)).rejects.toThrow('there is no folder')
    await expect(open(folder.in('a'))).rejects.toMatchObject({ code: 'ERR_NO_HOME' })
    await expect(open('s3://key:hunter2@/x')).rejects.toMatchObject({ code: 'ERR_INVALID_S3_OPTIONS' })
    await expect(open('s3://key:hunter2@/x')).rejects.not.toThrow('hunter2')
    expect(await readdir(folder.path)).toEqual([])
  })

  it.each([
    'http://key:hunter2@localhost:9000/bucket',
    'HTTPS://key:hunter2@localhost/bucket',
    's3+tls://key:hunter2@localhost/bucket',
    's3a://hunter2',
    'filesystem:http://key:hunter2@localhost:9000/bucket',
    'legacy:s3://key:hunter2@localhost:9000/bucket'
  ])('is no other URL, whose secret is not shown (%s)', async text => {
    for (const isSource of [true, false]) {
      const opening = openSpec(text, { isSource })
      await expect(opening).rejects.toThrow(/home folder, .*legacy:FOLDER, filesystem:FOLDER or s3:\/\//)
      await expect(opening).rejects.not.toThrow('hunter2')
    }
  })

  it('leaves no database behind when it cannot be opened', async () => {
    await using folder = await scratch()
    await writeFile(folder.in('file'), '')
    const before = process.env.TMPDIR
    process.env.TMPDIR = folder.path
    try {
      await expect(
        openSpec(`filesystem:${join(folder.in('file'), 'x')}`, { isSource: false })
      ).rejects.toThrow()
    } finally {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
    }
    expect(await readdir(folder.path)).toEqual(['file'])
  })
})
