/** What is found in a folder that changes while it is read. */
import { Dir, type Dirent } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { expect, it, onTestFinished, vi } from 'vitest'
import { walkSource } from '../../src/node/walk-folder.ts'
import { scratch, writeTree } from './support.ts'

/** Has the system leave out a file once, which changes meanwhile: as tmpfs does for some microseconds while one is replaced. */
function leaveOutOnce(name: string, change: () => Promise<void>): void {
  const read = Dir.prototype.read as () => Promise<Dirent | null>
  const spy = vi.spyOn(Dir.prototype, 'read')
  onTestFinished(() => spy.mockRestore())
  let isOver = false
  spy.mockImplementation(async function (this: Dir) {
    const entry = await read.call(this)
    if (isOver || entry?.name !== name) return entry
    isOver = true
    await change()
    return await read.call(this)
  } as Dir['read'])
}

it('a file that is replaced while its folder is read is found, and each file once', async () => {
  await using folder = await scratch()
  await writeTree(folder.in('x'), { a: 'old', b: '', 'c/d': '' })
  leaveOutOnce('a', async () => {
    await writeFile(folder.in('new'), 'new')
    await rename(folder.in('new'), folder.in('x', 'a'))
  })
  expect((await walkSource(folder.in('x'))).names).toEqual(['x/a', 'x/b', 'x/c/d'])
})
