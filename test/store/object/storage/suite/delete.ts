import { expect } from 'vitest'
import { bytes, expectNone, expectObject, inParallel, keysOf, type Test } from './support.ts'

export function deleteTests(test: Test): void {
  test('takes objects away, and no others', async storage => {
    for (const key of ['a/b', 'a/b-c', 'a/c', 'b']) await storage.put(key, [bytes(10)])
    await storage.delete(['a/b', 'b'])
    await expectNone(storage, 'a/b')
    expect(await keysOf(storage)).toEqual(['a/b-c', 'a/c'])
  })

  test('has nothing to do for what is not there', async storage => {
    await storage.put('a/b', [bytes(10)])
    await storage.delete([])
    await storage.delete(['none', 'a/none', 'none/b', 'a', 'a/b/c'])
    await storage.delete(['none'])
    await expectObject(storage, 'a/b', bytes(10))
  })

  test('takes a key twice', async storage => {
    await storage.put('a', [bytes(10)])
    await storage.delete(['a', 'a'])
    await expectNone(storage, 'a')
  })

  test('takes more than a thousand at once', async storage => {
    const keys = Array.from({ length: 1100 }, (_, i) => `many/${i}`)
    await inParallel(keys, 32, async key => await storage.put(key, [bytes(1)]))
    await storage.delete(keys.slice(0, -1))
    expect(await keysOf(storage)).toEqual([keys.at(-1)])
  })

  test('makes room for a new object of the same key', async storage => {
    await storage.put('a/b', [bytes(10)])
    await storage.delete(['a/b'])
    await storage.put('a/b', [bytes(20, 1)])
    await expectObject(storage, 'a/b', bytes(20, 1))
  })
}
