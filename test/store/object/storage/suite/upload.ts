import { expect } from 'vitest'
import type { ObjectStorage, Upload } from '../../../../../src/store/object/storage/index.ts'
import {
  bytes,
  expectNone,
  expectObject,
  expectSame,
  FAILED,
  inParallel,
  keysOf,
  MIB,
  NOT_FOUND,
  readAll,
  type Test
} from './support.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** Part size and size of the whole. */
const SIZES: readonly (readonly [number, number])[] = [
  [5 * MIB, 1],
  [5 * MIB, 5 * MIB - 1],
  [5 * MIB, 5 * MIB],
  [5 * MIB, 5 * MIB + 1],
  [5 * MIB, 10 * MIB],
  [8 * MIB, 8 * MIB - 1],
  [8 * MIB, 8 * MIB],
  [8 * MIB, 8 * MIB + 1],
  [8 * MIB, 16 * MIB + 1],
  [17 * MIB, 17 * MIB + 1]
]

function partsOf(content: Uint8Array, partBytes: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < content.length; at += partBytes) parts.push(content.subarray(at, at + partBytes))
  return parts
}

async function putParts(upload: Upload, parts: readonly Uint8Array[]): Promise<void> {
  for (const [number, part] of parts.entries()) await upload.put(number, [part])
}

/** An upload of two parts, of which both are there, and its content. */
async function twoParts(storage: ObjectStorage, key: string) {
  const upload = await storage.upload(key, 5 * MIB)
  const content = bytes(6 * MIB, 1)
  await putParts(upload, partsOf(content, 5 * MIB))
  return { upload, content }
}

export function uploadTests(test: Test): void {
  for (const [partBytes, size] of SIZES) {
    test(`keeps ${size} bytes in parts of ${partBytes}`, async storage => {
      const content = bytes(size, 2)
      const upload = await storage.upload('a/b', partBytes)
      await putParts(upload, partsOf(content, partBytes))
      await expectNone(storage, 'a/b')
      await upload.complete(size)
      await expectObject(storage, 'a/b', content)
      expect(await keysOf(storage)).toEqual(['a/b'])
    })
  }

  test('takes parts in any order, several at once, in pieces', async storage => {
    const content = bytes(17 * MIB, 5)
    const parts = partsOf(content, 5 * MIB)
    const upload = await storage.upload('a', 5 * MIB)
    await inParallel([3, 1, 0, 2], 3, async number => {
      const part = parts[number]!
      await upload.put(number, [part.subarray(0, 1000), part.subarray(1000, 1000), part.subarray(1000)])
    })
    await upload.complete(content.length)
    await expectObject(storage, 'a', content)
  })

  test('takes parts out of other objects, among those that are put', async storage => {
    const source = bytes(12 * MIB, 6)
    await storage.put('from/a', [source])
    await storage.put('from/b', [bytes(1000, 7)])
    const upload = await storage.upload('to/b', 5 * MIB)
    await upload.copy(2, { key: 'from/a', offset: 7 * MIB, length: 5 * MIB })
    await upload.put(1, [bytes(5 * MIB, 8)])
    await upload.copy(3, { key: 'from/b', offset: 1, length: 998 })
    await upload.copy(0, { key: 'from/a', offset: 17, length: 5 * MIB })
    await expectNone(storage, 'to/b')
    await storage.delete(['from/a', 'from/b'])
    await upload.complete(15 * MIB + 998)
    await expectObject(
      storage,
      'to/b',
      Buffer.concat([
        source.subarray(17, 5 * MIB + 17),
        bytes(5 * MIB, 8),
        source.subarray(7 * MIB),
        bytes(1000, 7).subarray(1, 999)
      ])
    )
  })

  test('does not take parts of what is not there', async storage => {
    await storage.put('short', [bytes(1000, 1)])
    const upload = await storage.upload('a', 5 * MIB)
    await expect(upload.copy(0, { key: 'none', offset: 0, length: 10 })).rejects.toMatchObject({
      ...NOT_FOUND,
      key: 'none'
    })
    for (const [offset, length] of [
      [0, 1001],
      [1000, 1],
      [0, 0],
      [-1, 10],
      [0, 5 * MIB + 1]
    ] as const) {
      await expect(upload.copy(0, { key: 'short', offset, length })).rejects.toMatchObject(FAILED)
    }
    await upload.copy(0, { key: 'short', offset: 0, length: 1000 })
    await upload.complete(1000)
    await expectObject(storage, 'a', bytes(1000, 1))
    await expect(upload.copy(0, { key: 'short', offset: 0, length: 1 })).rejects.toMatchObject(FAILED)
  })

  test('takes a part again, and keeps the last one', async storage => {
    const upload = await storage.upload('a', 5 * MIB)
    await upload.put(1, [bytes(3000, 9)])
    await upload.put(0, [bytes(5 * MIB, 8)])
    await upload.put(1, [bytes(1000, 10)])
    await upload.put(0, [bytes(5 * MIB, 11)])
    await upload.complete(5 * MIB + 1000)
    await expectObject(storage, 'a', Buffer.concat([bytes(5 * MIB, 11), bytes(1000, 10)]))
  })

  test('gives the buffers back', async storage => {
    const buffer = new Uint8Array(5 * MIB)
    const upload = await storage.upload('a', 5 * MIB)
    for (const number of [0, 1]) {
      buffer.set(bytes(5 * MIB, number))
      await upload.put(number, [buffer])
    }
    buffer.fill(0)
    await upload.complete(10 * MIB)
    await expectObject(storage, 'a', Buffer.concat([bytes(5 * MIB, 0), bytes(5 * MIB, 1)]))
  })

  test('replaces an object only when it is complete', async storage => {
    await storage.put('a', [bytes(100)])
    const { upload, content } = await twoParts(storage, 'a')
    await expectObject(storage, 'a', bytes(100))
    await upload.complete(content.length)
    await expectObject(storage, 'a', content)
  })

  test('several uploads of one key do not mix', async storage => {
    const contents = Array.from({ length: 3 }, (_, i) => bytes(5 * MIB + 1000 * (i + 1), i))
    const uploads = await Promise.all(contents.map(() => storage.upload('a', 5 * MIB)))
    await Promise.all(uploads.map((upload, i) => putParts(upload, partsOf(contents[i]!, 5 * MIB))))
    await uploads[0]!.complete(contents[0]!.length)
    await expectObject(storage, 'a', contents[0]!)
    await Promise.all([1, 2].map(i => uploads[i]!.complete(contents[i]!.length)))
    const { size } = (await storage.stat('a'))!
    const winner = contents.slice(1).find(content => content.length === size)
    expectSame(await readAll(storage, { key: 'a', offset: 0, length: size }), winner!)
  })

  test('does not complete when a part is missing', async storage => {
    const upload = await storage.upload('a', 5 * MIB)
    await upload.put(0, [bytes(5 * MIB)])
    await upload.put(2, [bytes(100)])
    await expect(upload.complete(5 * MIB + 100)).rejects.toMatchObject(FAILED)
    await expectNone(storage, 'a')
    await upload.abort()
    await expectNone(storage, 'a')
  })

  test('does not complete when a part but the last is short', async storage => {
    const upload = await storage.upload('a', 6 * MIB)
    await upload.put(0, [bytes(5 * MIB)])
    await upload.put(1, [bytes(6 * MIB)])
    await expect(upload.complete(11 * MIB)).rejects.toMatchObject(FAILED)
    await upload.abort()
    await expectNone(storage, 'a')
  })

  for (const [what, difference] of [
    ['less', -1],
    ['more', 1]
  ] as const) {
    test(`does not complete when ${what} was announced than is there`, async storage => {
      const { upload, content } = await twoParts(storage, 'a')
      await expect(upload.complete(content.length + difference)).rejects.toMatchObject(FAILED)
      await expectNone(storage, 'a')
      await upload.abort()
      await expectNone(storage, 'a')
    })
  }

  test('refuses parts that are too long, that are too many, or that have no number', async storage => {
    const upload = await storage.upload('a', 5 * MIB)
    await expect(upload.put(0, [bytes(5 * MIB), bytes(1)])).rejects.toMatchObject(FAILED)
    for (const number of [-1, 0.5, Number.NaN, 10_000]) {
      await expect(upload.put(number, [bytes(1)])).rejects.toMatchObject(FAILED)
    }
    await upload.abort()
  })

  test('refuses parts that S3 would find too small', async storage => {
    for (const partBytes of [0, -1, 5 * MIB - 1, 5.5 * MIB + 0.1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(storage.upload('a', partBytes)).rejects.toMatchObject(FAILED)
    }
  })

  test('leaves nothing when it is given up, which may be said again', async storage => {
    await storage.put('b', [bytes(100)])
    for (const key of ['a', 'b', 'c/d']) {
      const { upload, content } = await twoParts(storage, key)
      await upload.abort()
      await upload.abort()
      await expect(upload.put(0, [bytes(1)])).rejects.toMatchObject(FAILED)
      await expect(upload.complete(content.length)).rejects.toMatchObject(FAILED)
    }
    expect(await keysOf(storage)).toEqual(['b'])
    await expectObject(storage, 'b', bytes(100))
  })

  test('is not undone by being given up when it is complete', async storage => {
    const { upload, content } = await twoParts(storage, 'a')
    await upload.complete(content.length)
    await upload.abort()
    await expectObject(storage, 'a', content)
    await expect(upload.put(0, [bytes(1)])).rejects.toMatchObject(FAILED)
  })

  test('sweeps those that were begun before a time, and no object', async storage => {
    await storage.put('c', [bytes(10)])
    const swept = await twoParts(storage, 'a')
    await storage.sweepUploads(Date.now() - DAY_MS)
    const kept = await twoParts(storage, 'b')
    await kept.upload.complete(kept.content.length)
    await storage.sweepUploads(Date.now() + DAY_MS)
    await expect(swept.upload.complete(swept.content.length)).rejects.toMatchObject(FAILED)
    await swept.upload.abort()
    await expectNone(storage, 'a')
    expect(await keysOf(storage)).toEqual(['b', 'c'])
    await storage.sweepUploads(Date.now() + DAY_MS)
  })

  test('sweeps only uploads of the keys that it is told', async storage => {
    const mine = await twoParts(storage, 'mine/a')
    const others = await twoParts(storage, 'others/a')
    await storage.sweepUploads(Date.now() + DAY_MS, { of: key => key.startsWith('mine/') })
    await expect(mine.upload.complete(mine.content.length)).rejects.toMatchObject(FAILED)
    await others.upload.complete(others.content.length)
    await expectObject(storage, 'others/a', others.content)
  })

  test('does not sweep what is younger', async storage => {
    const { upload, content } = await twoParts(storage, 'a')
    await storage.sweepUploads(Date.now() - DAY_MS)
    await upload.complete(content.length)
    await expectObject(storage, 'a', content)
  })
}
