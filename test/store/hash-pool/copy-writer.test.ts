/** Writing through the system's cache and past it: the same bytes in the end. */
import { constants } from 'node:fs'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CopyWriter } from '../../../src/store/hash-pool/copy-writer.ts'
import { randomData } from '../../helpers/data.ts'

const MIB = 1024 * 1024
const size = 40 * MIB + 12_345
const data = randomData(size)

/** @param writeAll how pieces are written @returns what is in the file then */
async function written(writeAll: (target: { file: number; direct: number }) => void): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'copy-writer-'))
  try {
    const path = join(folder, 'copy')
    await using file = await open(path, 'wx')
    await using direct = await open(path, constants.O_WRONLY | (constants.O_DIRECT ?? 0))
    writeAll({ file: file.fd, direct: direct.fd })
    return await readFile(path)
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe('a copy', () => {
  it.each([
    ['through a cache that is never slow', 0, true],
    ['past a cache that is always slow', Infinity, true],
    ['past a cache, from memory that disks do not read from', Infinity, false]
  ])('is whole when it is written %s', async (_, slowBytesPerMs, isAligned) => {
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 32 }).buffer)
    const buffer = memory.subarray(isAligned ? 0 : 8, MIB + (isAligned ? 0 : 8))
    const writer = new CopyWriter(slowBytesPerMs)
    const copy = await written(target => {
      for (let at = 0; at < size; at += MIB) {
        const piece = data.subarray(at, at + MIB)
        buffer.set(piece)
        writer.write(target, buffer.subarray(0, piece.length), at)
      }
    })
    expect(Buffer.compare(copy, data)).toBe(0)
  })
})
