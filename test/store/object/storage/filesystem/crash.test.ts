/** Processes that are killed, and several that write to one folder. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { FilesystemStorage } from '../../../../../src/store/object/storage/filesystem/index.ts'
import { bytes, expectSame, readAll } from '../suite/support.ts'
import { contents, opened, testFolder } from './support.ts'

const CHILD = join(import.meta.dirname, 'crash-child.ts')

async function startWriting(folder: string, seed: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHILD, folder, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])
  return child
}

/** All objects are whole. @returns how many there are */
async function checkAll(storage: FilesystemStorage): Promise<number> {
  let objects = 0
  for await (const { key, size } of storage.list()) {
    const data = await readAll(storage, { key, offset: 0, length: size })
    expectSame(data.subarray(1), bytes(size - 1, data[0]))
    objects++
  }
  return objects
}

describe('killed processes', () => {
  it('leave whole objects, and what else they leave is removed when the folder is opened', async () => {
    const folder = await testFolder()
    let objects = 0
    for (let round = 0; round < 6; round++) {
      const children = await Promise.all([
        startWriting(folder, 2 * round),
        startWriting(folder, 2 * round + 1)
      ])
      await setTimeout(150 + 50 * round)
      for (const child of children) {
        expect(child.exitCode, 'it ended by itself').toBe(null)
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      const storage = await opened(folder, { sync: 'none' })
      objects += await checkAll(storage)
      expect((await contents(folder)).filter(name => name.startsWith('.'))).toEqual([])
    }
    expect(objects).toBeGreaterThan(0)
  }, 300_000)
})
