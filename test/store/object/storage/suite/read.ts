import { expect } from 'vitest'
import type { ObjectStorage } from '../../../../../src/store/object/storage/index.ts'
import { bytes, expectSame, FAILED, inParallel, MIB, NOT_FOUND, readAll, type Test } from './support.ts'

const SIZE = 9 * MIB + 1234

async function putLarge(storage: ObjectStorage): Promise<Uint8Array> {
  const content = bytes(SIZE, 4)
  await storage.put('large', [content])
  return content
}

export function readTests(test: Test): void {
  test('reads from the start, in the middle, at the end and nothing', async storage => {
    const content = await putLarge(storage)
    const slices: readonly (readonly [number, number])[] = [
      [0, 1],
      [0, 64 * 1024],
      [0, SIZE],
      [1, SIZE - 1],
      [5 * MIB - 1, 2],
      [3 * MIB + 17, 4 * MIB + 5],
      [SIZE - 1, 1],
      [SIZE - 100_000, 100_000],
      [0, 0],
      [77, 0],
      [SIZE, 0]
    ]
    for (const [offset, length] of slices) {
      const actual = await readAll(storage, { key: 'large', offset, length })
      expectSame(actual, content.subarray(offset, offset + length))
    }
  })

  test('reads nothing of an empty object', async storage => {
    await storage.put('empty', [])
    expectSame(await readAll(storage, { key: 'empty', offset: 0, length: 0 }), bytes(0))
  })

  test('fails when the object ends before', async storage => {
    await storage.put('a', [bytes(1000)])
    for (const [offset, length] of [
      [0, 1001],
      [999, 2],
      [1000, 1],
      [5000, 10]
    ] as const) {
      await expect(readAll(storage, { key: 'a', offset, length })).rejects.toMatchObject(FAILED)
    }
  })

  test('fails when there is no such object, and names it', async storage => {
    await storage.put('a/b', [bytes(10)])
    for (const key of ['none', 'a/c', 'c/b', 'a']) {
      await expect(readAll(storage, { key, offset: 0, length: 1 })).rejects.toMatchObject({
        ...NOT_FOUND,
        key
      })
      expect(await storage.stat(key)).toBeUndefined()
    }
  })

  test('refuses bytes that cannot be', async storage => {
    await storage.put('a', [bytes(10)])
    for (const [offset, length] of [
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
      [Number.MAX_SAFE_INTEGER, 1],
      [0, Number.POSITIVE_INFINITY]
    ] as const) {
      await expect(readAll(storage, { key: 'a', offset, length })).rejects.toMatchObject(FAILED)
    }
  })

  test('does nothing before it is asked for the first piece', async storage => {
    const reading = storage.read({ key: 'none', offset: 0, length: 1 })[Symbol.asyncIterator]()
    await storage.put('none', [bytes(1)])
    expect((await reading.next()).value).toHaveLength(1)
    expect((await reading.next()).done).toBe(true)
  })

  test('ends when the loop is left, as often as one likes', async storage => {
    const content = await putLarge(storage)
    for (let round = 0; round < 100; round++) {
      for await (const piece of storage.read({ key: 'large', offset: round, length: SIZE - round })) {
        expectSame(piece, content.subarray(round, round + piece.length))
        break
      }
    }
    expectSame(await readAll(storage, { key: 'large', offset: 0, length: SIZE }), content)
  })

  test('may be ended before it has begun', async storage => {
    await putLarge(storage)
    const reading = storage.read({ key: 'large', offset: 0, length: SIZE })[Symbol.asyncIterator]()
    await reading.return?.()
    expect((await reading.next()).done).toBe(true)
  })

  test('serves many readers at once, fast ones and slow ones', async storage => {
    const content = await putLarge(storage)
    const offsets = Array.from({ length: 12 }, (_, i) => i * 300_001)
    await inParallel(offsets, 12, async offset => {
      let at = offset
      for await (const piece of storage.read({ key: 'large', offset, length: 4 * MIB })) {
        expectSame(piece, content.subarray(at, at + piece.length))
        at += piece.length
        if (offset % 2 === 0) await new Promise(resolve => setTimeout(resolve, 1))
      }
      expect(at).toBe(offset + 4 * MIB)
    })
  })
}
