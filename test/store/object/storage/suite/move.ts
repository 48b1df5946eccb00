import { expect } from 'vitest'
import { bytes, expectNone, expectObject, keysOf, MIB, NOT_FOUND, type Test } from './support.ts'

export function moveTests(test: Test): void {
  test('gives an object another key, also one elsewhere', async storage => {
    await storage.put('a/b', [bytes(6 * MIB)])
    await storage.move('a/b', 'c/d/e')
    await expectObject(storage, 'c/d/e', bytes(6 * MIB))
    await expectNone(storage, 'a/b')
    expect(await keysOf(storage)).toEqual(['c/d/e'])
  })

  test('replaces what is there', async storage => {
    await storage.put('a', [bytes(100, 1)])
    await storage.put('b', [bytes(200, 2)])
    await storage.move('a', 'b')
    await expectObject(storage, 'b', bytes(100, 1))
    expect(await keysOf(storage)).toEqual(['b'])
  })

  test('keeps an empty object', async storage => {
    await storage.put('a', [])
    await storage.move('a', 'b')
    await expectObject(storage, 'b', bytes(0))
  })

  test('to where it is already changes nothing', async storage => {
    await storage.put('a/b', [bytes(100)])
    await storage.move('a/b', 'a/b')
    await expectObject(storage, 'a/b', bytes(100))
  })

  test('fails when there is nothing, and changes nothing', async storage => {
    await storage.put('a/b', [bytes(100)])
    await expect(storage.move('none', 'a/b')).rejects.toMatchObject({ ...NOT_FOUND, key: 'none' })
    await expect(storage.move('none', 'none')).rejects.toMatchObject(NOT_FOUND)
    await expect(storage.move('a', 'c')).rejects.toMatchObject(NOT_FOUND)
    expect(await keysOf(storage)).toEqual(['a/b'])
    await expectObject(storage, 'a/b', bytes(100))
  })
}
