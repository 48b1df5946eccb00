import { expect } from 'vitest'
import {
  bytes,
  expectNone,
  expectObject,
  expectSame,
  inParallel,
  MIB,
  readAll,
  type Test
} from './support.ts'

const SIZES = [
  0, // nothing at all
  1,
  100_000, // no boundary near
  5 * MIB - 1, // S3's smallest part
  5 * MIB,
  5 * MIB + 1,
  8 * MIB - 1, // the usual part
  8 * MIB,
  8 * MIB + 1,
  16 * MIB - 1, // the largest that is put
  16 * MIB
]

export function putTests(test: Test): void {
  test('keeps objects of all sizes', async storage => {
    for (const [seed, size] of SIZES.entries()) {
      await storage.put(`sizes/${size}`, [bytes(size, seed)])
    }
    for (const [seed, size] of SIZES.entries()) {
      await expectObject(storage, `sizes/${size}`, bytes(size, seed))
    }
  })

  test('refuses what is larger than 16 MiB', async storage => {
    await expect(storage.put('large', [bytes(16 * MIB), bytes(1)])).rejects.toMatchObject({
      name: 'StorageError',
      message: expect.stringContaining('in parts')
    })
    await expectNone(storage, 'large')
  })

  test('puts pieces one behind the other, however many and whatever their lengths', async storage => {
    const pieces: Uint8Array[] = []
    let end = 0
    for (let i = 0; i < 2500; i++) {
      const length = (i * 37) % 101
      pieces.push(bytes(end + length).subarray(end))
      end += length
    }
    await storage.put('pieces', pieces)
    await storage.put('none', [])
    await expectObject(storage, 'pieces', bytes(end))
    await expectObject(storage, 'none', bytes(0))
  })

  test('replaces an object, by a longer one and by a shorter one', async storage => {
    for (const [seed, size] of [1000, 100_000, 10, 0, 5].entries()) {
      await storage.put('a/b', [bytes(size, seed)])
      await expectObject(storage, 'a/b', bytes(size, seed))
    }
  })

  test('gives the buffers back', async storage => {
    const buffer = bytes(70_000, 3).slice()
    await storage.put('a', [buffer.subarray(0, 100), buffer.subarray(100)])
    buffer.fill(0)
    const pieces = await Array.fromAsync(storage.read({ key: 'a', offset: 0, length: 70_000 }))
    for (const piece of pieces) piece.fill(0)
    await expectObject(storage, 'a', bytes(70_000, 3))
  })

  test('lets one win when many put one key at once', async storage => {
    const contents = Array.from({ length: 16 }, (_, i) => bytes(1000 + 500 * i, i))
    await inParallel(contents, 16, async content => await storage.put('race', [content]))
    const { size } = (await storage.stat('race'))!
    const winner = contents.find(content => content.length === size)
    expectSame(await readAll(storage, { key: 'race', offset: 0, length: size }), winner!)
  })

  test('is not hindered by others that empty the same folder', async storage => {
    const lanes = Array.from({ length: 8 }, (_, i) => `race/deep/key-${i}`)
    await inParallel(lanes, 8, async key => {
      for (let round = 0; round < 20; round++) {
        await storage.put(key, [bytes(100 + round, round)])
        expect(await storage.stat(key)).toMatchObject({ size: 100 + round })
        await storage.delete([key])
        expect(await storage.stat(key)).toBeUndefined()
      }
      await storage.put(key, [bytes(10)])
    })
    for (const key of lanes) await expectObject(storage, key, bytes(10))
  })
}
