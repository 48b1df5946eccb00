import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'vitest'
import { outboardBytes } from '../../src/bao/geometry.ts'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import { EMPTY_HASH } from '../../src/hash.ts'
import { FsReader, openPair } from '../../src/store/file-reader.ts'

const MIB = 1024 * 1024
/** Several times what is read ahead. */
const SIZE = 80 * MIB

describe('the outboard of a blob in files', () => {
  const outboard = randomBytes(outboardBytes(SIZE))
  let dir: string
  const readers: FsReader[] = []

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'blobs-test-'))
    await writeFile(join(dir, 'data'), '')
    await truncate(join(dir, 'data'), SIZE)
    await writeFile(join(dir, 'outboard'), outboard)
  })
  afterEach(async () => {
    for (const reader of readers.splice(0)) await reader.close()
    await rm(dir, { recursive: true })
  })

  /** @param held none for a blob that is complete */
  async function open(held?: ChunkRanges): Promise<FsReader> {
    const files = await openPair(join(dir, 'data'), join(dir, 'outboard'))
    const reader = new FsReader({ hash: EMPTY_HASH, size: SIZE, held, ...files! })
    readers.push(reader)
    return reader
  }

  async function check(reader: FsReader, offset: number, length: number): Promise<void> {
    const target = new Uint8Array(length)
    await reader.readOutboard(offset, target)
    const expected = outboard.subarray(offset, offset + length)
    assert.ok(expected.equals(target), `${length} bytes at ${offset}`)
  }

  async function checkInOrder(reader: FsReader, end: number): Promise<void> {
    const step = 33 * 64
    for (let at = 0; at < end; at += step) await check(reader, at, Math.min(step, end - at))
  }

  it('is read in order, to its end', async () => {
    await checkInOrder(await open(), outboard.length)
  })

  it('is read in order as far as it is there, of a partial blob', async () => {
    const there = outboard.length / 2
    await truncate(join(dir, 'outboard'), there)
    await checkInOrder(await open(ChunkRanges.range(0, SIZE / 2048)), there)
  })

  it('is read by several at the same time, who all reach beyond what was read ahead', async () => {
    for (let round = 0; round < 10; round++) {
      const reader = await open()
      // From the second read on, 64 KiB are.
      for (const at of [0, 64]) await check(reader, at, 64)
      const places = Array.from({ length: 16 }, (_, i) => 64 * 1024 - 64 * i)
      await Promise.all(places.map(place => check(reader, place, 2048)))
      await Promise.all(places.map(place => check(reader, place + 4096, 2048)))
    }
  })

  it('is read backwards and again', async () => {
    const reader = await open()
    for (let at = outboard.length - 2048; at >= 0; at -= 2048 + 64) {
      await check(reader, at, 2048)
      await check(reader, at, 1024)
    }
  })
})
