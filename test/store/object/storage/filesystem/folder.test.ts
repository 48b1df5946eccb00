/** What the suite cannot see: what is in the folder. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { toStorageError } from '../../../../../src/store/object/storage/filesystem/errors.ts'
import { FilesystemStorage } from '../../../../../src/store/object/storage/filesystem/index.ts'
import { bytes, expectNone, expectObject, expectSame, keysOf, MIB, readAll } from '../suite/support.ts'
import { contents, opened, testFolder } from './support.ts'

const DAY_MS = 24 * 60 * 60 * 1000

describe('a folder of objects', () => {
  it('is made, with the folders above it', async () => {
    const folder = join(await testFolder(), 'a', 'b')
    const storage = await opened(folder)
    await storage.put('c/d', [bytes(10)])
    expectSame(await readFile(join(folder, 'c', 'd')), bytes(10))
    expect(storage.name).toBe(`folder ${folder}`)
  })

  it('has a file per object, and nothing else', async () => {
    const folder = await testFolder()
    const storage = await opened(folder)
    await storage.put('a/b/c', [bytes(10)])
    await storage.put('d', [bytes(10)])
    await storage.compose('a/e', [{ key: 'd', offset: 0, length: 5 }])
    await storage.move('d', 'f')
    expect(await contents(folder)).toEqual(['a', 'a/b', 'a/b/c', 'a/e', 'f'])
  })

  it('loses folders that are empty, but not itself', async () => {
    const folder = await testFolder()
    const storage = await opened(folder)
    await storage.put('a/b/c/d', [bytes(10)])
    await storage.put('a/e', [bytes(10)])
    await storage.delete(['a/b/c/d'])
    expect(await contents(folder)).toEqual(['a', 'a/e'])
    await storage.move('a/e', 'f/g')
    expect(await contents(folder)).toEqual(['f', 'f/g'])
    await storage.delete(['f/g', 'none/at/all'])
    expect(await contents(folder)).toEqual([])
  })

  it('has no temporary file after a failure', async () => {
    const folder = await testFolder()
    const storage = await opened(folder)
    await storage.put('a/b', [bytes(6 * MIB)])
    const slice = { key: 'a/b', offset: 0, length: 6 * MIB }
    // A folder is in the way.
    await expect(storage.put('a', [bytes(10)])).rejects.toMatchObject({ name: 'StorageError' })
    await expect(storage.compose('a', [slice])).rejects.toMatchObject({ name: 'StorageError' })
    await expect(storage.put('a/b/c', [bytes(10)])).rejects.toMatchObject({
      name: 'StorageError',
      message: `cannot write a/b/c in folder ${folder}: a part of the path is not a folder`
    })
    const upload = await storage.upload('a', 5 * MIB)
    await upload.put(0, [bytes(10)])
    await expect(upload.complete(10)).rejects.toMatchObject({ name: 'StorageError' })
    await upload.abort()
    expect(await contents(folder)).toEqual(['a', 'a/b'])
  })

  it('does not show what is no object', async () => {
    const folder = await testFolder()
    const storage = await opened(folder)
    await storage.put('a', [bytes(10)])
    await writeFile(join(folder, '.hidden'), 'x')
    await writeFile(join(folder, 'README'), 'x')
    await mkdir(join(folder, '.git'))
    await writeFile(join(folder, '.git', 'a'), 'x')
    await mkdir(join(folder, 'empty'))
    execFileSync('mkfifo', [join(folder, 'pipe')])
    expect(await keysOf(storage)).toEqual(['a'])
    await expectNone(storage, 'pipe')
    await expectNone(storage, 'empty')
  })

  it('is written to also without waiting for the disk', async () => {
    const storage = await opened(await testFolder(), { sync: 'none' })
    await storage.put('a/b', [bytes(10)])
    const upload = await storage.upload('c', 5 * MIB)
    await upload.put(0, [bytes(20)])
    await upload.complete(20)
    await storage.move('a/b', 'd')
    await storage.compose('e', [{ key: 'd', offset: 0, length: 10 }])
    await expectObject(storage, 'c', bytes(20))
    await expectObject(storage, 'e', bytes(10))
    await storage.delete(['c', 'd', 'e'])
    expect(await keysOf(storage)).toEqual([])
  })

  it('may be used by several at once', async () => {
    const folder = await testFolder()
    const one = await opened(folder)
    const other = await opened(folder)
    await one.put('a', [bytes(10)])
    await expectObject(other, 'a', bytes(10))
    await other.delete(['a'])
    await expectNone(one, 'a')
  })

  it('goes on serving a reader whose object is replaced or deleted', async () => {
    const storage = await opened(await testFolder())
    await storage.put('a', [bytes(4 * MIB, 1)])
    const pieces: Uint8Array[] = []
    for await (const piece of storage.read({ key: 'a', offset: 0, length: 4 * MIB })) {
      if (pieces.length === 0) await storage.put('a', [bytes(10)])
      if (pieces.length === 1) await storage.delete(['a'])
      pieces.push(piece)
    }
    expectSame(Buffer.concat(pieces), bytes(4 * MIB, 1))
  })

  it('fails when a file becomes shorter while it is read', async () => {
    const folder = await testFolder()
    const storage = await opened(folder)
    await storage.put('a', [bytes(4 * MIB)])
    const reading = (async () => {
      for await (const _piece of storage.read({ key: 'a', offset: 0, length: 4 * MIB })) {
        await truncate(join(folder, 'a'), 0)
      }
    })()
    await expect(reading).rejects.toMatchObject({
      name: 'StorageError',
      message: /a in folder .* has become shorter/
    })
  })
})

describe('symbolic links', () => {
  it('are no objects', async () => {
    const folder = await testFolder()
    const storage = await opened(folder)
    await storage.put('a', [bytes(10)])
    await symlink(join(folder, 'a'), join(folder, 'b'))
    await expectNone(storage, 'b')
    await expect(storage.move('b', 'c')).rejects.toMatchObject({ name: 'ObjectNotFoundError' })
    await expect(storage.compose('c', [{ key: 'b', offset: 0, length: 1 }])).rejects.toMatchObject({
      name: 'ObjectNotFoundError'
    })
  })

  it('are replaced, and what they lead to stays', async () => {
    const folder = await testFolder()
    const outside = await testFolder()
    const storage = await opened(folder)
    await writeFile(join(outside, 'a'), 'outside')
    await symlink(join(outside, 'a'), join(folder, 'a'))
    await storage.put('a', [bytes(10)])
    await expectObject(storage, 'a', bytes(10))
    expect(await readFile(join(outside, 'a'), 'utf8')).toBe('outside')
  })

  it('do not lead out of the folder', async () => {
    const folder = await testFolder()
    const outside = await testFolder()
    const storage = await opened(folder)
    await writeFile(join(outside, 'a'), 'outside')
    await storage.put('b', [bytes(10)])
    await symlink(outside, join(folder, 'link'))
    const refused = { name: 'StorageError', message: /link is a symbolic link, which is not followed/ }
    await expect(storage.stat('link/a')).rejects.toMatchObject(refused)
    await expect(readAll(storage, { key: 'link/a', offset: 0, length: 1 })).rejects.toMatchObject(refused)
    await expect(storage.put('link/c', [bytes(1)])).rejects.toMatchObject(refused)
    await expect(storage.put('link/c/d', [bytes(1)])).rejects.toMatchObject(refused)
    await expect(storage.delete(['link/a'])).rejects.toMatchObject(refused)
    await expect(storage.move('link/a', 'c')).rejects.toMatchObject(refused)
    await expect(storage.move('b', 'link/c')).rejects.toMatchObject(refused)
    await expect(storage.compose('link/c', [{ key: 'b', offset: 0, length: 1 }])).rejects.toMatchObject(
      refused
    )
    expect(await keysOf(storage)).toEqual(['b'])
    expect(await contents(outside)).toEqual(['a'])
  })
})

describe('temporary files', () => {
  it('of processes that have ended are removed at open, those of living ones stay', async () => {
    const folder = await testFolder()
    const storage = await opened(folder)
    const upload = await storage.upload('a', 5 * MIB)
    await upload.put(0, [bytes(10)])
    const [mine] = (await contents(folder)).filter(name => name.startsWith('.uploads/'))
    // The same name with the number of a process that cannot be.
    const ended = join(folder, mine!.replace(/-\d+-/, '-4194305-'))
    await writeFile(ended, 'x')
    await writeFile(ended.replace('.uploads', '.temp'), 'x')
    await opened(folder)
    expect(await contents(folder)).toEqual([mine])
    await upload.complete(10)
    await expectObject(storage, 'a', bytes(10))
  })

  it('of uploads of others are swept when they are old', async () => {
    const folder = await testFolder()
    const one = await opened(folder)
    const other = await opened(folder)
    const upload = await one.upload('a', 5 * MIB)
    await upload.put(0, [bytes(10)])
    await other.sweepUploads(Date.now() - DAY_MS)
    expect(await contents(folder)).toHaveLength(1)
    await other.sweepUploads(Date.now() + DAY_MS)
    expect(await contents(folder)).toEqual([])
    await expect(upload.complete(10)).rejects.toMatchObject({ name: 'StorageError', message: /was removed/ })
    await upload.abort()
  })

  it('are not known by when they were last written to', async () => {
    const folder = await testFolder()
    const storage = await opened(folder)
    const upload = await storage.upload('a', 5 * MIB)
    const [name] = await contents(folder)
    const future = new Date(Date.now() + 100 * DAY_MS)
    await utimes(join(folder, name!), future, future)
    const other = await opened(folder)
    await other.sweepUploads(Date.now() + DAY_MS)
    expect(await contents(folder)).toEqual([])
    await upload.abort()
  })
})

describe('a folder that cannot be used', () => {
  it('is said at open', async () => {
    const folder = await testFolder()
    await writeFile(join(folder, 'file'), 'x')
    await expect(FilesystemStorage.open(join(folder, 'file'))).rejects.toMatchObject({
      code: 'ERR_STORAGE',
      message: expect.stringContaining(`cannot open folder ${join(folder, 'file')}: `)
    })
    await expect(FilesystemStorage.open(join(folder, 'file', 'below'))).rejects.toMatchObject({
      code: 'ERR_STORAGE',
      message: expect.stringContaining('a part of the path is not a folder')
    })
  })

  it('is said when it has gone, and nothing is read or written elsewhere', async () => {
    const folder = await testFolder()
    const inside = join(folder, 'inside')
    const storage = await opened(inside)
    await storage.put('a', [bytes(1)])
    await rename(inside, join(folder, 'moved'))
    await expect(storage.put('b', [bytes(1)])).rejects.toMatchObject({ code: 'ERR_STORAGE' })
    expect(await storage.stat('a')).toBeUndefined()
    expect(existsSync(inside)).toBe(false)
  })

  it.each([
    ['EACCES', 'ERR_STORAGE_ACCESS', 'permission denied'],
    ['EROFS', 'ERR_STORAGE_ACCESS', 'the file system is read-only'],
    ['ENOSPC', 'ERR_STORE_FULL', 'the disk is full; make room and try again'],
    ['EIO', 'ERR_STORAGE', 'the disk failed to read or write; look at the system log']
  ])('is said of %s', (code, ours, reason) => {
    const error = Object.assign(new Error('of the system'), { code })
    const turned = toStorageError(error, 'cannot write a')
    expect(turned).toMatchObject({ code: ours, message: `cannot write a: ${reason}`, cause: error })
  })
})

describe('a closed storage', () => {
  it('refuses everything, and ends what is being read', async () => {
    const folder = await testFolder()
    const storage = await opened(folder)
    await storage.put('a', [bytes(4 * MIB)])
    const reading = storage.read({ key: 'a', offset: 0, length: 4 * MIB })
    await reading.next()
    const upload = await storage.upload('b', 5 * MIB)
    await storage.close()
    const closed = { name: 'StorageError', message: `folder ${folder} has been closed` }
    await expect(reading.next()).rejects.toMatchObject(closed)
    await expect(storage.put('b', [])).rejects.toMatchObject(closed)
    await expect(storage.upload('b', 5 * MIB)).rejects.toMatchObject(closed)
    await expect(readAll(storage, { key: 'a', offset: 0, length: 1 })).rejects.toMatchObject(closed)
    await expect(storage.stat('a')).rejects.toMatchObject(closed)
    await expect(keysOf(storage)).rejects.toMatchObject(closed)
    await expect(storage.delete(['a'])).rejects.toMatchObject(closed)
    await expect(storage.compose('b', [{ key: 'a', offset: 0, length: 1 }])).rejects.toMatchObject(closed)
    await expect(storage.move('a', 'b')).rejects.toMatchObject(closed)
    await expect(storage.sweepUploads(0)).rejects.toMatchObject(closed)
    await expect(upload.put(0, [bytes(1)])).rejects.toMatchObject({ name: 'StorageError' })
    expect(await contents(folder)).toEqual(['a'])
  })
})
