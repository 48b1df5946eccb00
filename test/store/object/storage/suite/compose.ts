import { expect } from 'vitest'
import type { ObjectStorage, Slice } from '../../../../../src/store/object/storage/index.ts'
import { bytes, expectNone, expectObject, FAILED, keysOf, MIB, NOT_FOUND, type Test } from './support.ts'

const A = bytes(6 * MIB, 1)
const B = bytes(11 * MIB, 2)
const C = bytes(1000, 3)

async function putSources(storage: ObjectStorage): Promise<void> {
  await storage.put('from/a', [A])
  await storage.put('from/b', [B])
  await storage.put('c', [C])
}

function whole(key: string, content: Uint8Array): Slice {
  return { key, offset: 0, length: content.length }
}

export function composeTests(test: Test): void {
  test('puts whole objects one behind the other', async storage => {
    await putSources(storage)
    await storage.compose('to/all', [whole('from/a', A), whole('from/b', B), whole('c', C)])
    await expectObject(storage, 'to/all', Buffer.concat([A, B, C]))
    expect(await keysOf(storage)).toEqual(['c', 'from/a', 'from/b', 'to/all'])
  })

  test('takes parts of objects, one object several times, in any order', async storage => {
    await putSources(storage)
    await storage.compose('all', [
      { key: 'from/b', offset: 17, length: 5 * MIB },
      { key: 'from/a', offset: 0, length: 5 * MIB + 3 },
      { key: 'from/b', offset: 5 * MIB, length: 6 * MIB },
      { key: 'from/b', offset: 11 * MIB - 1, length: 1 }
    ])
    const expected = [
      B.subarray(17, 17 + 5 * MIB),
      A.subarray(0, 5 * MIB + 3),
      B.subarray(5 * MIB),
      B.subarray(-1)
    ]
    await expectObject(storage, 'all', Buffer.concat(expected))
  })

  test('takes a single slice of any length', async storage => {
    await putSources(storage)
    await storage.compose('one', [whole('c', C)])
    await storage.compose('some', [{ key: 'c', offset: 10, length: 20 }])
    await storage.compose('large', [whole('from/b', B)])
    await expectObject(storage, 'one', C)
    await expectObject(storage, 'some', C.subarray(10, 30))
    await expectObject(storage, 'large', B)
  })

  test('replaces an object, also one that it is composed of', async storage => {
    await putSources(storage)
    await storage.compose('c', [whole('from/a', A), whole('c', C)])
    await expectObject(storage, 'c', Buffer.concat([A, C]))
  })

  test('what it has made stays when the others go', async storage => {
    await putSources(storage)
    await storage.compose('all', [whole('from/a', A), whole('c', C)])
    await storage.delete(['from/a', 'from/b', 'c'])
    await expectObject(storage, 'all', Buffer.concat([A, C]))
  })

  test('fails when one is not there, and changes nothing', async storage => {
    await putSources(storage)
    const slices = [whole('from/a', A), { key: 'from/none', offset: 0, length: 5 * MIB }, whole('c', C)]
    await expect(storage.compose('all', slices)).rejects.toMatchObject({ ...NOT_FOUND, key: 'from/none' })
    await expect(storage.compose('c', slices)).rejects.toMatchObject(NOT_FOUND)
    await expect(storage.compose('d', [whole('none', C)])).rejects.toMatchObject(NOT_FOUND)
    expect(await keysOf(storage)).toEqual(['c', 'from/a', 'from/b'])
    await expectObject(storage, 'c', C)
  })

  test('fails when one ends before, and changes nothing', async storage => {
    await putSources(storage)
    for (const short of [
      { key: 'c', offset: 0, length: 1001 },
      { key: 'c', offset: 1000, length: 1 },
      { key: 'from/a', offset: 1, length: 6 * MIB }
    ]) {
      await expect(storage.compose('all', [whole('from/a', A), short])).rejects.toMatchObject(FAILED)
    }
    await expectNone(storage, 'all')
  })

  test('refuses what S3 would refuse', async storage => {
    await putSources(storage)
    const wrong: readonly Slice[][] = [
      [],
      [whole('c', C), whole('from/a', A)],
      [{ key: 'from/a', offset: 0, length: 0 }],
      [{ key: 'from/a', offset: -1, length: 5 * MIB }],
      [{ key: 'from/a', offset: 0.5, length: 5 * MIB }]
    ]
    for (const slices of wrong) {
      await expect(storage.compose('all', slices)).rejects.toMatchObject(FAILED)
    }
    await expectNone(storage, 'all')
  })
}
