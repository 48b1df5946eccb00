import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { planExport } from '../../src/node/export-plan.ts'
import { importPath } from '../../src/node/import-path.ts'
import { moveOut } from '../../src/node/move-out.ts'
import { BlobHeldError } from '../../src/node/remove.ts'
import { TargetExistsError } from '../../src/store/errors.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { differences, type Scratch, scratch, type Tree, writeTree } from './support.ts'

const TREE: Tree = { a: 'same', 'sub/b': 'same', large: randomData(5_000_000), empty: '' }

const STORES: readonly (readonly [string, (folder: string) => Promise<BlobStore>])[] = [
  ['memory', async () => new MemoryStore()],
  ['legacy-fs', async folder => await LegacyFsStore.open(folder)]
]

describe.each(STORES)('moving out of the %s store', (kind, openStore) => {
  async function setup(folder: Scratch) {
    await writeTree(folder.in('tree'), TREE)
    const store = await openStore(folder.in('store'))
    const imported = await importPath(store, folder.in('tree'))
    const plan = await planExport(store, imported.hash, 'hash_seq')
    return { store, imported, plan, out: folder.in('out') }
  }
  const count = async (store: BlobStore): Promise<number> => (await Array.fromAsync(store.list())).length

  it('leaves nothing in the store, and files that share nothing', async () => {
    await using folder = await scratch()
    const { store, imported, plan, out } = await setup(folder)
    await store.tags.set('mine', imported)
    await moveOut(store, imported, plan, out, { tag: 'mine' })
    expect(await differences(out, TREE)).toEqual([])
    expect(await count(store)).toBe(0)
    expect(await Array.fromAsync(store.tags.list())).toEqual([])
    for (const name of Object.keys(TREE)) {
      expect((await stat(folder.in('out', name))).mode & 0o777).toBe(0o666 & ~process.umask())
      await writeFile(folder.in('out', name), `${name} changed`)
    }
    for (const name of Object.keys(TREE)) {
      expect(await readFile(folder.in('out', name), 'utf8')).toBe(`${name} changed`)
    }
  })

  it('changes nothing when it is stopped, or cannot write', async () => {
    await using folder = await scratch()
    const { store, imported, plan, out } = await setup(folder)
    const before = await count(store)
    const stopping = new AbortController()
    const moving = moveOut(store, imported, plan, out, {
      signal: stopping.signal,
      onProgress: ({ files }) => {
        if (files > 0) stopping.abort(new Error('stopped'))
      }
    })
    await expect(moving).rejects.toThrow('stopped')
    expect((await readdir(folder.path)).filter(name => name !== 'store')).toEqual(['tree'])
    await writeFile(out, 'mine')
    await expect(moveOut(store, imported, plan, out)).rejects.toThrow(TargetExistsError)
    expect(await count(store)).toBe(before)
    for (const { hash } of plan.files) expect((await store.status(hash)).state).toBe('complete')
  })

  it('leaves what a tag holds, unless it is forced', async () => {
    await using folder = await scratch()
    const { store, imported, plan, out } = await setup(folder)
    await store.tags.set('mine', imported)
    await expect(moveOut(store, imported, plan, out)).rejects.toThrow(BlobHeldError)
    const { hash } = plan.files[0]!
    await store.tags.set('other', { hash, format: 'raw' })
    await expect(moveOut(store, imported, plan, out, { tag: 'mine' })).rejects.toThrow('"other"')
    expect(await readdir(folder.path)).not.toContain('out')
    await moveOut(store, imported, plan, out, { isForced: true })
    expect(await count(store)).toBe(0)
    expect((await Array.fromAsync(store.tags.list())).map(({ name }) => name)).toEqual(['other'])
  })

  it('leaves what others have given a tag while it wrote, and a tag that they have set anew', async () => {
    await using folder = await scratch()
    const { store, imported, plan, out } = await setup(folder)
    await store.tags.set('mine', imported)
    const { hash } = plan.files.find(({ segments }) => segments[0] === 'large')!
    const loose = await store.addBytes(Buffer.from('loose'))
    const write = store.exportPath.bind(store)
    store.exportPath = async (...args) => {
      await write(...args)
      await store.tags.set('other', { hash, format: 'raw' })
      await store.tags.set('mine', { hash: loose.hash, format: 'raw' })
    }
    await moveOut(store, imported, plan, out, { tag: 'mine' })
    expect(await differences(out, TREE)).toEqual([])
    const left = (await Array.fromAsync(store.list())).map(blob => blob.hash.toString())
    expect(left.sort()).toEqual([hash, loose.hash].map(String).sort())
    expect((await Array.fromAsync(store.tags.list())).map(({ name }) => name)).toEqual(['mine', 'other'])
  })

  it.runIf(kind === 'legacy-fs')('leaves alone a file that was linked before', async () => {
    await using folder = await scratch()
    const { store, imported, plan, out } = await setup(folder)
    const { hash } = plan.files.find(({ segments }) => segments[0] === 'large')!
    await store.exportPath(hash, folder.in('linked'), { mode: 'link' })
    await moveOut(store, imported, plan, out)
    for (const path of [folder.in('linked'), folder.in('out', 'large')]) {
      expect((await stat(path)).mode & 0o777).toBe(0o444)
    }
    expect(await differences(out, TREE)).toEqual([])
  })
})
