import { describe, expect, it } from 'vitest'
import { InvalidHashError } from '../../src/hash.ts'
import { importPath } from '../../src/node/import-path.ts'
import { BlobHeldError, removeBlob, removeTag } from '../../src/node/remove.ts'
import { addTag, findHolders, findTagOrHash, NoSuchTagError } from '../../src/node/tags.ts'
import { InvalidTicketError } from '../../src/protocol/ticket.ts'
import type { BlobStore, Tag } from '../../src/store/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { scratch, type Tree, writeTree } from './support.ts'

/** Adds a folder, tagged as it is called. */
async function addFolder(store: BlobStore, name: string, tree: Tree): Promise<Tag> {
  await using folder = await scratch()
  await writeTree(folder.in(name), tree)
  const imported = await importPath(store, folder.in(name))
  await addTag(store, name, imported)
  return (await store.tags.get(name))!
}

async function hashesIn(store: BlobStore): Promise<string[]> {
  return (await Array.fromAsync(store.list())).map(({ hash }) => hash.toString()).sort()
}

describe('a tag', () => {
  it('is called as wanted; the same again changes nothing, another one of the name gets the hash', async () => {
    const store = new MemoryStore()
    const a = { ...(await store.addBytes(Buffer.from('a'))), format: 'raw' as const }
    const b = { ...(await store.addBytes(Buffer.from('b'))), format: 'raw' as const }
    expect(await addTag(store, 'x', a)).toBe('x')
    expect(await addTag(store, 'x', a)).toBe('x')
    const other = `x-${b.hash.toString().slice(0, 16)}`
    expect(await addTag(store, 'x', b)).toBe(other)
    expect(await addTag(store, 'x', b)).toBe(other)
    expect(await addTag(store, '', a)).toBe(a.hash.toString().slice(0, 16))
    expect((await store.tags.get('x'))?.hash.equals(a.hash)).toBe(true)
  })

  it('holds what it names and what that links to', async () => {
    const store = new MemoryStore()
    const tag = await addFolder(store, 'x', { a: 'a', b: 'b' })
    const loose = (await store.addBytes(Buffer.from('loose'))).hash.toString()
    const child = (await store.addBytes(Buffer.from('a'))).hash.toString()
    const root = tag.hash.toString()
    const holders = await findHolders(store, new Set([loose, child, root]))
    expect([...holders.keys()].sort()).toEqual([child, root].sort())
    expect(await findHolders(store, new Set([child, root]), { except: 'x' })).toEqual(new Map())
  })

  it('is found by its name, a blob by its hash, and neither is told from the other by force', async () => {
    const store = new MemoryStore()
    const tag = await addFolder(store, 'blobs-of-mine', { a: 'a' })
    expect(await findTagOrHash(store, 'blobs-of-mine')).toEqual(tag)
    expect(await findTagOrHash(store, tag.hash.toString())).toMatchObject({
      hash: tag.hash,
      format: undefined
    })
    await expect(findTagOrHash(store, 'nothing')).rejects.toThrow(NoSuchTagError)
    await expect(findTagOrHash(store, 'blobsaeaf')).rejects.toThrow(InvalidTicketError)
    await expect(findTagOrHash(store, 'x'.repeat(64))).rejects.toThrow(InvalidHashError)
    await expect(findTagOrHash(store, 'x'.repeat(2000))).rejects.toThrow(NoSuchTagError)
  })
})

describe('removing', () => {
  it('a tag takes all that only it holds', async () => {
    const store = new MemoryStore()
    const tag = await addFolder(store, 'x', { a: 'a', b: 'b', again: 'a' })
    expect(await removeTag(store, tag)).toEqual({ tags: ['x'], blobs: 4 })
    expect(await hashesIn(store)).toEqual([])
    expect(await Array.fromAsync(store.tags.list())).toEqual([])
  })

  it('a tag leaves what another one holds', async () => {
    const store = new MemoryStore()
    const x = await addFolder(store, 'x', { common: 'common', own: 'own' })
    await addFolder(store, 'y', { common: 'common' })
    const raw = await store.addBytes(Buffer.from('own'))
    await addTag(store, 'z', { hash: raw.hash, format: 'raw' })
    const before = await hashesIn(store)
    expect((await removeTag(store, x)).blobs).toBe(2)
    const left = await hashesIn(store)
    expect(left).toHaveLength(before.length - 2)
    expect(left).toContain(raw.hash.toString())
    expect(left).toContain((await store.addBytes(Buffer.from('common'))).hash.toString())
  })

  it('a tag that others set anew meanwhile stays', async () => {
    const store = new MemoryStore()
    const x = await addFolder(store, 'x', { a: 'a' })
    const { hash } = await store.addBytes(Buffer.from('new'))
    const remove = store.delete.bind(store)
    store.delete = async blob => {
      await store.tags.set('x', { hash, format: 'raw' })
      return await remove(blob)
    }
    await removeTag(store, x)
    expect(await Array.fromAsync(store.tags.list())).toMatchObject([{ name: 'x', hash }])
  })

  it('a blob that a tag holds is refused, also inside a collection', async () => {
    const store = new MemoryStore()
    const { hash: root } = await addFolder(store, 'x', { a: 'a' })
    const { hash: child } = await store.addBytes(Buffer.from('a'))
    const before = await hashesIn(store)
    for (const hash of [root, child]) {
      const removing = removeBlob(store, hash)
      await expect(removing).rejects.toThrow(BlobHeldError)
      await expect(removing).rejects.toThrow('blobs rm x (')
    }
    expect(await hashesIn(store)).toEqual(before)
    await store.tags.rename('x', 'my x')
    await expect(removeBlob(store, root)).rejects.toThrow('blobs rm "my x" (')
  })

  it('a blob by force takes its tags along', async () => {
    const store = new MemoryStore()
    const { hash } = await addFolder(store, 'x', { a: 'a' })
    await addTag(store, 'y', { hash, format: 'hash_seq' })
    expect(await removeBlob(store, hash, { isForced: true })).toMatchObject({ tags: ['x', 'y'] })
    expect(await hashesIn(store)).toEqual([])
  })

  it('a blob that nobody holds, and one that is not there', async () => {
    const store = new MemoryStore()
    const { hash } = await store.addBytes(Buffer.from('loose'))
    expect(await removeBlob(store, hash)).toEqual({ tags: [], blobs: 1 })
    expect(await removeBlob(store, hash)).toEqual({ tags: [], blobs: 0 })
  })
})
