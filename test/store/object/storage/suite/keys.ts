import { expect } from 'vitest'
import type { ObjectStorage } from '../../../../../src/store/object/storage/index.ts'
import { bytes, expectObject, keysOf, MIB, type Test } from './support.ts'

const WRONG_KEYS: Record<string, string> = {
  'an empty one': '',
  'a slash at the start': '/a',
  'a slash at the end': 'a/',
  'two slashes': 'a//b',
  'the folder above': '../a',
  'a folder above inside': 'a/../b',
  'the folder itself': 'a/./b',
  'a hidden file': '.a',
  'a hidden folder': 'a/.b/c',
  'a capital letter': 'A',
  'a backslash': 'a\\b',
  'a space': 'a b',
  'a line break': 'a\n',
  'a NUL': 'a\0b',
  'a letter that is not ASCII': 'ä',
  'a colon': 'c:a',
  'a part that is too long for a file name': 'a'.repeat(256),
  'too long in all': `${'abcdefg/'.repeat(64)}a`
}

const GOOD_KEYS = [
  'z',
  '0',
  '-',
  '_',
  'a.b-c_d',
  'a..',
  'a/b/c/d/e/f',
  `blobs/${'a'.repeat(52)}/partial/1048576.0-63_128-191`,
  'a'.repeat(255),
  `${'abcdefg/'.repeat(63)}abcdefgh`
]

export function keyTests(test: Test): void {
  const calls: Record<string, (storage: ObjectStorage, key: string) => Promise<unknown>> = {
    put: (storage, key) => storage.put(key, [bytes(1)]),
    upload: (storage, key) => storage.upload(key, 5 * MIB),
    read: (storage, key) => Array.fromAsync(storage.read({ key, offset: 0, length: 1 })),
    stat: (storage, key) => storage.stat(key),
    delete: (storage, key) => storage.delete(['good', key]),
    'compose to': (storage, key) => storage.compose(key, [{ key: 'good', offset: 0, length: 1 }]),
    'compose from': (storage, key) => storage.compose('new', [{ key, offset: 0, length: 1 }]),
    'move to': (storage, key) => storage.move('good', key),
    'move from': (storage, key) => storage.move(key, 'new')
  }
  for (const [what, key] of Object.entries(WRONG_KEYS)) {
    test(`refuses ${what}`, async storage => {
      await storage.put('good', [bytes(1)])
      for (const [name, call] of Object.entries(calls)) {
        await expect(call(storage, key), name).rejects.toMatchObject({
          name: 'StorageError',
          message: expect.stringContaining('cannot be the key of an object')
        })
      }
      expect(await keysOf(storage)).toEqual(['good'])
    })
  }

  test('takes all that are allowed', async storage => {
    for (const [i, key] of GOOD_KEYS.entries()) await storage.put(key, [bytes(1, i)])
    for (const [i, key] of GOOD_KEYS.entries()) await expectObject(storage, key, bytes(1, i))
    expect(await keysOf(storage)).toEqual(GOOD_KEYS.toSorted())
    await storage.delete(GOOD_KEYS)
    expect(await keysOf(storage)).toEqual([])
  })
}
