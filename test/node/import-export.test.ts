import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { EMPTY_HASH } from '../../src/hash.ts'
import { readCollection } from '../../src/node/collections.ts'
import { exportPath } from '../../src/node/export-path.ts'
import { nameOfHash, planExport } from '../../src/node/export-plan.ts'
import { importPath } from '../../src/node/import-path.ts'
import { NothingToShareError } from '../../src/node/walk-folder.ts'
import { encodeCollectionMeta, InvalidCollectionError } from '../../src/protocol/collection.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import { UnsafeNameError } from '../../src/protocol/safe-name.ts'
import { BlobNotFoundError, StoreError, TargetExistsError } from '../../src/store/errors.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { differences, scratch, strangersCollection, type Tree, writeTree } from './support.ts'

const TREE: Tree = {
  'a.txt': 'the same',
  empty: '',
  '.hidden/.config': 'hidden files count',
  'sub/b.txt': 'the same',
  'sub/deeper/c.txt': 'the same',
  'sub/large.bin': randomData(300_000),
  'ünïcödé/日本語 ☃ 🎉.txt': 'names of all the world',
  'it\'s a "name" $(with) signs;&': 'x'
}

const STORES: readonly (readonly [string, (folder: string) => Promise<BlobStore>])[] = [
  ['memory', async () => new MemoryStore()],
  ['legacy-fs', async folder => await LegacyFsStore.open(folder)]
]

describe.each(STORES)('a folder, through the %s store', (_, openStore) => {
  it.each(['copy', 'move'] as const)('comes out as it went in (%s)', async mode => {
    await using folder = await scratch()
    await writeTree(folder.in('tree'), TREE)
    await using store = await openStore(folder.in('store'))
    const imported = await importPath(store, folder.in('tree'))
    expect(imported).toMatchObject({ format: 'hash_seq', name: 'tree', files: Object.keys(TREE).length })
    const plan = await planExport(store, imported.hash, 'hash_seq')
    expect(plan).toMatchObject({ name: 'tree', kind: 'folder' })
    if (mode === 'copy') await exportPath(store, plan, folder.in('out'))
    else await exportPath(store, plan, folder.in('out'), { mode, workFolder: folder.in('work') })
    expect(await differences(folder.in('out'), TREE)).toEqual([])
    expect((await readdir(folder.path)).sort()).toEqual(expect.arrayContaining(['out', 'tree']))
    expect((await readdir(folder.path)).filter(name => name.endsWith('.part'))).toEqual([])
    for (const { hash } of plan.files.filter(file => !file.hash.equals(EMPTY_HASH))) {
      expect((await store.status(hash)).state).toBe(mode === 'copy' ? 'complete' : 'absent')
    }
  })

  it('leaves nothing under the final name when a blob is missing', async () => {
    await using folder = await scratch()
    await writeTree(folder.in('tree'), TREE)
    await using store = await openStore(folder.in('store'))
    const { hash } = await importPath(store, folder.in('tree'))
    const plan = await planExport(store, hash, 'hash_seq')
    await store.delete(plan.files.find(({ segments }) => segments.includes('large.bin'))!.hash)
    await expect(exportPath(store, plan, folder.in('out'))).rejects.toThrow(BlobNotFoundError)
    expect((await readdir(folder.path)).filter(name => name !== 'store')).toEqual(['tree'])
  })

  it.each(['file', 'folder'])('does not replace a %s', async kind => {
    await using folder = await scratch()
    await writeTree(folder.in('tree'), { 'a.txt': 'new' })
    await using store = await openStore(folder.in('store'))
    const { hash } = await importPath(store, folder.in('tree'))
    if (kind === 'file') await writeFile(folder.in('out'), 'old')
    else await mkdir(folder.in('out'))
    const plan = await planExport(store, hash, 'hash_seq')
    await expect(exportPath(store, plan, folder.in('out'))).rejects.toThrow(TargetExistsError)
    if (kind === 'file') expect(await readFile(folder.in('out'), 'utf8')).toBe('old')
    else expect(await readdir(folder.in('out'))).toEqual([])
  })
})

describe('adding', () => {
  it('a file makes a blob, or a collection of one that keeps its name', async () => {
    await using folder = await scratch()
    await writeTree(folder.path, { 'a.txt': 'content' })
    const store = new MemoryStore()
    const raw = await importPath(store, folder.in('a.txt'))
    expect(raw).toMatchObject({ format: 'raw', size: 7, name: 'a.txt', files: 1 })
    expect(await planExport(store, raw.hash, 'raw')).toMatchObject({
      name: `${nameOfHash(raw.hash)}.bin`,
      kind: 'file'
    })
    const named = await importPath(store, folder.in('a.txt'), { isCollection: true })
    expect(named).toMatchObject({ format: 'hash_seq', files: 1 })
    expect(await planExport(store, named.hash, 'hash_seq')).toMatchObject({
      name: 'a.txt',
      kind: 'file',
      files: [{ hash: raw.hash, segments: [] }]
    })
  })

  it('a folder names files from the folder on, sorted, whatever the order on disk', async () => {
    await using folder = await scratch()
    await writeTree(folder.in('x'), { b: '1', 'a/z': '2', 'a.txt': '3', C: '4' })
    const store = new MemoryStore()
    const { hash, size } = await importPath(store, folder.in('x'))
    const entries = await readCollection(store, hash)
    expect(entries?.map(({ name }) => name)).toEqual(['x/C', 'x/a.txt', 'x/a/z', 'x/b'])
    const meta = encodeCollectionMeta(['x/C', 'x/a.txt', 'x/a/z', 'x/b']).length
    expect(size).toBe(4 + meta + 5 * 32)
  })

  it('takes the files that the system finds, where a symbolic link comes before ".."', async () => {
    await using folder = await scratch()
    await writeTree(folder.path, { 'real/x/a': 'right', 'real/inner/b': '', 'x/a': 'wrong' })
    await symlink(folder.in('real', 'inner'), folder.in('link'))
    const store = new MemoryStore()
    const { hash } = await importPath(store, `${folder.in('link')}/../x`)
    expect(hash).toEqual((await importPath(store, folder.in('real', 'x'))).hash)
  })

  it('adds nothing when the names are too many for a collection', async () => {
    await using folder = await scratch()
    const deep = Array<string>(14).fill('d'.repeat(250))
    await mkdir(folder.in('x', ...deep), { recursive: true })
    await writeFile(folder.in('x', ...deep, 'first'), 'content')
    for (let i = 0; i < 4_900; i++) writeFileSync(folder.in('x', ...deep, `${i}`), '')
    await using store = new MemoryStore()
    await expect(importPath(store, folder.in('x'))).rejects.toMatchObject({
      code: 'ERR_COLLECTION_TOO_LARGE'
    })
    expect(await Array.fromAsync(store.list())).toEqual([])
  })

  it('counts a blob once, however many files it is', async () => {
    await using folder = await scratch()
    await writeTree(folder.in('x'), { a: 'same', b: 'same' })
    const { size, files } = await importPath(new MemoryStore(), folder.in('x'))
    expect(files).toBe(2)
    expect(size).toBe(4 + encodeCollectionMeta(['x/a', 'x/b']).length + 3 * 32)
  })

  it('skips links, pipes and empty folders, and tells of what it skips', async () => {
    await using folder = await scratch()
    await writeTree(folder.in('x'), { 'a.txt': 'a' })
    await mkdir(folder.in('x', 'nothing'))
    await symlink('a.txt', folder.in('x', 'link'))
    await symlink('..', folder.in('x', 'up'))
    execFileSync('mkfifo', [folder.in('x', 'pipe')])
    const store = new MemoryStore()
    const skipped: string[] = []
    const { hash } = await importPath(store, folder.in('x'), {
      onSkip: (path, kind) => skipped.push(`${path.slice(folder.in('x').length + 1)} ${kind}`)
    })
    expect((await readCollection(store, hash))?.map(({ name }) => name)).toEqual(['x/a.txt'])
    expect(skipped.sort()).toEqual(['link a symbolic link', 'pipe a pipe', 'up a symbolic link'])
  })

  it('follows a link that was named itself', async () => {
    await using folder = await scratch()
    await writeTree(folder.path, { 'a.txt': 'a' })
    await symlink('a.txt', folder.in('link'))
    expect(await importPath(new MemoryStore(), folder.in('link'))).toMatchObject({ size: 1, name: 'link' })
  })

  it('refuses a folder without a file, and what is not there', async () => {
    await using folder = await scratch()
    await mkdir(folder.in('x', 'y'), { recursive: true })
    await expect(importPath(new MemoryStore(), folder.in('x'))).rejects.toThrow(NothingToShareError)
    const missing = importPath(new MemoryStore(), folder.in('nowhere'))
    await expect(missing).rejects.toThrow(StoreError)
    await expect(missing).rejects.toThrow('there is no such file or folder')
  })

  it.skipIf(process.getuid?.() === 0)('tells which file may not be read', async () => {
    await using folder = await scratch()
    await writeTree(folder.in('x'), { 'secret.txt': 'a' })
    await chmod(folder.in('x', 'secret.txt'), 0)
    await expect(importPath(new MemoryStore(), folder.in('x'))).rejects.toThrow('secret.txt')
  })

  it('refuses names that could not be written elsewhere, before anything is added', async () => {
    await using folder = await scratch()
    await writeTree(folder.in('x'), { 'good.txt': 'a', 'nul.txt': 'b' })
    const store = new MemoryStore()
    await expect(importPath(store, folder.in('x'))).rejects.toThrow(UnsafeNameError)
    expect(await Array.fromAsync(store.list())).toEqual([])
  })

  it('tells how far it has come, up to the whole', async () => {
    await using folder = await scratch()
    await writeTree(folder.in('x'), { a: randomData(3_000_000), b: randomData(2_000_000, 2) })
    const seen: number[] = []
    await importPath(new MemoryStore(), folder.in('x'), {
      onProgress: ({ bytes, total }) => {
        expect(total).toBe(5_000_000)
        seen.push(bytes)
      }
    })
    expect(seen.at(-1)).toBe(5_000_000)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    expect(seen.length).toBeGreaterThan(3)
  })

  it('ends when it is told to', async () => {
    await using folder = await scratch()
    await writeTree(folder.in('x'), { a: 'a' })
    const reason = new Error('enough')
    await expect(
      importPath(new MemoryStore(), folder.in('x'), { signal: AbortSignal.abort(reason) })
    ).rejects.toBe(reason)
  })
})

describe('a collection of a stranger', () => {
  const UNSAFE = [
    '../escape',
    'a/../../escape',
    '/etc/passwd',
    'C:/windows',
    'c:evil',
    'a\\b',
    'with\0nul',
    'CON',
    'sub/nul.txt',
    'lpt1.log',
    '',
    'a//b',
    'a/',
    '.',
    './a',
    'trailing.',
    'trailing ',
    'new\nline',
    'x'.repeat(256)
  ]

  it.each(UNSAFE)('with the name %j is refused before anything is written', async name => {
    await using folder = await scratch()
    const store = new MemoryStore()
    const { hash } = await strangersCollection(store, [
      ['good.txt', 'good'],
      [name, 'bad']
    ])
    await expect(planExport(store, hash, 'hash_seq')).rejects.toThrow(UnsafeNameError)
    expect(await readdir(folder.path)).toEqual([])
  })

  it.each([[['a', 'a']], [['a', 'a/b']], [['Readme', 'README']], [['é', 'e\u0301']]])(
    'with the names %j, which are in each other’s way, is refused',
    async names => {
      const store = new MemoryStore()
      const { hash } = await strangersCollection(
        store,
        names.map(name => [name, name])
      )
      await expect(planExport(store, hash, 'hash_seq')).rejects.toThrow(UnsafeNameError)
    }
  )

  it('whose names have no folder in common gets one that is called after the hash', async () => {
    await using folder = await scratch()
    const store = new MemoryStore()
    const { hash } = await strangersCollection(store, [
      ['a.txt', 'a'],
      ['sub/b.txt', 'b']
    ])
    const plan = await planExport(store, hash, 'hash_seq')
    expect(plan).toMatchObject({ name: hash.toString().slice(0, 16), kind: 'folder' })
    await exportPath(store, plan, folder.in('out'))
    expect(await differences(folder.in('out'), { 'a.txt': 'a', 'sub/b.txt': 'b' })).toEqual([])
  })

  it('without entries is an empty folder', async () => {
    await using folder = await scratch()
    const store = new MemoryStore()
    const { hash } = await strangersCollection(store, [])
    await exportPath(store, await planExport(store, hash, 'hash_seq'), folder.in('out'))
    expect(await readdir(folder.in('out'))).toEqual([])
  })

  it('with more or fewer names than blobs is refused', async () => {
    const store = new MemoryStore()
    const child = await store.addBytes(Buffer.from('child'))
    const meta = await store.addBytes(encodeCollectionMeta(['a', 'b']))
    const { hash } = await store.addBytes(HashSequence.fromHashes([meta.hash, child.hash]).bytes)
    await expect(planExport(store, hash, 'hash_seq')).rejects.toThrow(InvalidCollectionError)
  })
})

describe('a hash sequence without names', () => {
  it('is a folder of files that are numbered in their order', async () => {
    await using folder = await scratch()
    const store = new MemoryStore()
    const contents = Array.from({ length: 11 }, (_, i) => `blob ${i}`)
    const children = await Promise.all(contents.map(text => store.addBytes(Buffer.from(text))))
    const { hash } = await store.addBytes(HashSequence.fromHashes(children.map(child => child.hash)).bytes)
    const plan = await planExport(store, hash, 'hash_seq')
    expect(plan.name).toBe(nameOfHash(hash))
    await exportPath(store, plan, folder.in('out'))
    const files = contents.map((text, i) => [`${i}`.padStart(2, '0').concat('.bin'), text])
    expect(await differences(folder.in('out'), Object.fromEntries(files))).toEqual([])
  })
})
