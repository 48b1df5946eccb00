/** A disk that is full. Needs to mount a file system of its own: root, and Linux. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { putStream } from '../../../../../src/store/object/storage/put-stream.ts'
import { bytes, expectObject, MIB, streamOf } from '../suite/support.ts'
import { contents, opened } from './support.ts'

const mounted: string[] = []

/** @returns a folder on a disk of 16 MiB; undefined when we may not mount */
function smallDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder], { stdio: 'pipe' })
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  }
  mounted.push(folder)
  return folder
}

afterAll(() => {
  for (const folder of mounted) {
    // Whatever a failed test has left open there.
    execFileSync('umount', ['--lazy', folder])
    rmSync(folder, { recursive: true })
  }
})

const canMount = smallDisk() !== undefined

describe.skipIf(!canMount)('a full disk (skipped where tmpfs cannot be mounted)', () => {
  it('is said, and leaves nothing but what was there', async () => {
    const folder = smallDisk()!
    const storage = await opened(folder)
    await storage.put('a', [bytes(6 * MIB, 1)])
    const full = { name: 'StoreFullError', code: 'ERR_STORE_FULL' }
    await expect(storage.put('b/c', [bytes(12 * MIB)])).rejects.toMatchObject(full)
    await expect(putStream(storage, 'b/c', 18 * MIB, streamOf(bytes(18 * MIB)))).rejects.toMatchObject(full)
    const slice = { key: 'a', offset: 0, length: 6 * MIB }
    await expect(storage.compose('b/c', [slice, slice])).rejects.toMatchObject(full)
    expect(await contents(folder)).toEqual(['a'])
    await expectObject(storage, 'a', bytes(6 * MIB, 1))
    await storage.put('b/c', [bytes(8 * MIB)])
    await expectObject(storage, 'b/c', bytes(8 * MIB))
  })
})
