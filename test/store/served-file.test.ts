import { type FileHandle, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServedFile } from '../../src/store/served-file.ts'
import { UncachedFile } from '../../src/store/uncached.ts'
import { randomData } from '../helpers/data.ts'

const MIB = 1024 * 1024
const data = randomData(9 * MIB + 700_001)
let dir: string
let path: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'served-'))
  path = join(dir, 'data')
  await writeFile(path, data)
})

afterAll(async () => {
  await rm(dir, { recursive: true })
})

/** Reads all of the file as the encoder does: 1 MiB at a time, to places between which there is something else. */
async function readAll(served: ServedFile): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (let offset = 0; offset < data.length; offset += MIB) {
    const length = Math.min(MIB, data.length - offset)
    const memory = new Uint8Array(length + 64 * 100)
    const targets: Uint8Array[] = []
    for (let at = 0; at < length; at += 16_384) {
      const start = at + 64 * targets.length
      targets.push(memory.subarray(start, start + Math.min(16_384, length - at)))
    }
    expect(await served.read(targets, offset)).toBe(true)
    parts.push(...targets)
  }
  return Buffer.concat(parts)
}

/** As if nothing of what is read were in the cache. */
const neverCached = (): (() => number) => {
  let bytes = 0
  return () => {
    bytes += MIB
    return bytes
  }
}

/** Not every system, and not every file system, lets anybody past its cache. */
async function canGoPast(file: FileHandle): Promise<boolean> {
  const uncached = await UncachedFile.of(file, 'read')
  const isRead = await uncached?.readInto([new Uint8Array(MIB)], 0)
  await uncached?.close()
  return isRead ?? false
}

const FAST_DISK = { fromDisk: neverCached(), slowDisk: 0 }

describe('ServedFile', () => {
  it('reads past the cache what was not in it, and all of it is right', async () => {
    await using file = await open(path)
    const served = new ServedFile(file, 'first', data.length, FAST_DISK)
    expect((await readAll(served)).equals(data)).toBe(true)
    expect(served.bytesPast).toBe((await canGoPast(file)) ? data.length - MIB : 0)
    await served.close()
  })

  it('leaves a blob that is read again to the cache', async () => {
    await using file = await open(path)
    const before = new ServedFile(file, 'again', data.length, FAST_DISK)
    await readAll(before)
    const served = new ServedFile(file, 'again', data.length, FAST_DISK)
    expect((await readAll(served)).equals(data)).toBe(true)
    expect(served.bytesPast).toBe(0)
    await before.close()
    await served.close()
  })

  it('leaves to the cache what is in it', async () => {
    await using file = await open(path)
    let tries = 0
    const bytesPast = async () => {
      await file.readFile()
      const served = new ServedFile(file, `cached ${tries++}`, data.length)
      expect((await readAll(served)).equals(data)).toBe(true)
      await served.close()
      return served.bytesPast
    }
    // What the process reads from the disk for other reasons meanwhile counts as well.
    await expect.poll(bytesPast).toBe(0)
  })

  it('goes back to the cache when the disk is slow', async () => {
    await using file = await open(path)
    let tries = 0
    const bytesPast = async () => {
      const served = new ServedFile(file, `slow ${tries++}`, data.length, {
        fromDisk: neverCached(),
        slowDisk: Number.POSITIVE_INFINITY
      })
      expect((await readAll(served)).equals(data)).toBe(true)
      await served.close()
      return served.bytesPast
    }
    // A read during which this process was busy all the time tells nothing of the disk.
    await expect.poll(bytesPast).toBeLessThanOrEqual(3 * MIB)
  })

  it('says when the file is too short', async () => {
    await using file = await open(path)
    const served = new ServedFile(file, 'short', data.length + MIB, FAST_DISK)
    await readAll(served)
    expect(await served.read([new Uint8Array(MIB)], 9 * MIB)).toBe(false)
    await served.close()
  })
})
