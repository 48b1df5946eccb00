import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServedFile } from '../../src/store/served-file.ts'
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

const ALWAYS_SLOW = { notCached: Number.POSITIVE_INFINITY, slowDisk: 0 }

describe('ServedFile', () => {
  it('reads past the cache what was slow to read from it, and all of it is right', async () => {
    await using file = await open(path)
    const served = new ServedFile(file, 'first', data.length, ALWAYS_SLOW)
    expect((await readAll(served)).equals(data)).toBe(true)
    // Nothing where the system, or the file system, does not let anybody past its cache.
    expect([0, data.length - MIB]).toContain(served.bytesPast)
    await served.close()
  })

  it('leaves a blob that is read again to the cache', async () => {
    await using file = await open(path)
    const before = new ServedFile(file, 'again', data.length, ALWAYS_SLOW)
    await readAll(before)
    const served = new ServedFile(file, 'again', data.length, ALWAYS_SLOW)
    expect((await readAll(served)).equals(data)).toBe(true)
    expect(served.bytesPast).toBe(0)
    await before.close()
    await served.close()
  })

  it('leaves it to the cache where that is fast', async () => {
    await using file = await open(path)
    const served = new ServedFile(file, 'fast', data.length, { notCached: 0 })
    expect((await readAll(served)).equals(data)).toBe(true)
    expect(served.bytesPast).toBe(0)
    await served.close()
  })

  it('goes back to the cache when the disk is slow', async () => {
    await using file = await open(path)
    const slow = Number.POSITIVE_INFINITY
    const served = new ServedFile(file, 'slow', data.length, { notCached: slow, slowDisk: slow })
    expect((await readAll(served)).equals(data)).toBe(true)
    expect(served.bytesPast).toBeLessThanOrEqual(3 * MIB)
    await served.close()
  })

  it('says when the file is too short', async () => {
    await using file = await open(path)
    const served = new ServedFile(file, 'short', data.length + MIB, ALWAYS_SLOW)
    await readAll(served)
    expect(await served.read([new Uint8Array(MIB)], 9 * MIB)).toBe(false)
    await served.close()
  })
})
