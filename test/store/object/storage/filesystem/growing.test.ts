/** Objects that grow in place. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ObjectNotFoundError, ObjectTooShortError } from '../../../../../src/store/object/storage/errors.ts'
import { bytes, expectSame, keysOf, readAll } from '../suite/support.ts'
import { opened, testFolder } from './support.ts'

const MIB = 1024 * 1024
const data = bytes(3 * MIB + 100, 1)
const KEY = 'a/b'

/** Its bytes, the end first. */
const pieces = [
  { offset: 2 * MIB, bytes: data.subarray(2 * MIB) },
  { offset: 0, bytes: data.subarray(0, 2 * MIB) }
]

for (const sync of ['full', 'none'] as const) {
  describe(`an object that grows in place (sync ${sync})`, () => {
    it('is nobody’s to see until it is saved, grows further then, also for others, and gets another key', async () => {
      const storage = await opened(await testFolder(), { sync })
      const object = await storage.files.begin()
      await object.write([pieces[0]!.bytes.subarray(0, 70), pieces[0]!.bytes.subarray(70)], 2 * MIB)
      expect(await Array.fromAsync(storage.list())).toEqual([])
      await object.save(KEY)
      expect(await storage.stat(KEY)).toMatchObject({ size: data.length })
      await using other = await opened(storage.name.slice('folder '.length), { sync })
      const same = await other.files.resume(KEY)
      await Promise.all([
        same.write([data.subarray(0, MIB)], 0),
        object.write([data.subarray(MIB, 2 * MIB)], MIB)
      ])
      await Promise.all([object.save(KEY), object.save(KEY), same.save(KEY)])
      const target = new Uint8Array(data.length)
      await same.read(0, target)
      expectSame(target, data)
      await same.close()
      await storage.move(KEY, 'c')
      await object.close()
      expectSame(await readAll(storage, { key: 'c', offset: 0, length: data.length }), data)
    })

    it('takes bytes of other objects', async () => {
      const storage = await opened(await testFolder(), { sync })
      await storage.put('source', [data])
      const object = await storage.files.begin()
      await object.copy({ key: 'source', offset: 5, length: 2 * MIB }, 10)
      await expect(object.copy({ key: 'source', offset: 5, length: data.length }, 10)).rejects.toThrow(
        ObjectTooShortError
      )
      await expect(object.copy({ key: 'none', offset: 5, length: 1 }, 10)).rejects.toThrow(
        ObjectNotFoundError
      )
      await object.save(KEY)
      await object.close()
      const copied = await readAll(storage, { key: KEY, offset: 10, length: 2 * MIB })
      expectSame(copied, data.subarray(5, 5 + 2 * MIB))
    })

    it('says when its key leads to it no longer', async () => {
      const storage = await opened(await testFolder(), { sync })
      const ends = [
        () => storage.delete([KEY]),
        () => storage.put(KEY, [data]),
        () => storage.move(KEY, 'elsewhere')
      ]
      for (const end of ends) {
        const object = await storage.files.begin()
        await object.write([data], 0)
        await object.save(KEY)
        await end()
        await expect(object.save(KEY)).rejects.toThrow(ObjectNotFoundError)
        await object.close()
      }
    })

    it('is there before the note that says so, and without it there is none', async () => {
      const folder = await testFolder()
      const storage = await opened(folder, { sync })
      const object = await storage.files.begin()
      await object.write([data], 0)
      const note = { key: 'a/note', pieces: [data.subarray(0, 100), data.subarray(100, 300)] }
      await object.save(KEY, note)
      expectSame(await readAll(storage, { key: note.key, offset: 0, length: 300 }), data.subarray(0, 300))
      await storage.delete([KEY])
      await expect(object.save(KEY, { ...note, key: 'a/late' })).rejects.toThrow(ObjectNotFoundError)
      expect(await keysOf(storage)).toEqual([note.key])
      expect(await readdir(join(folder, '.temp'))).toEqual([])
      await object.close()
    })

    it('leaves nothing when it was never saved, nor when the storage is closed', async () => {
      const folder = await testFolder()
      const storage = await opened(folder, { sync })
      const object = await storage.files.begin()
      await object.write([data], 0)
      await object.close()
      await object.close()
      await (await storage.files.begin()).write([data], 0)
      await storage.close()
      expect(await readdir(join(folder, '.temp'))).toEqual([])
      await expect(storage.files.begin()).rejects.toThrow('closed')
    })

    it('cannot be resumed, nor read, when it is not there or not all of it', async () => {
      const folder = await testFolder()
      const storage = await opened(folder, { sync })
      await expect(storage.files.resume(KEY)).rejects.toThrow(ObjectNotFoundError)
      await expect(storage.files.open(KEY)).rejects.toThrow(ObjectNotFoundError)
      const object = await storage.files.begin()
      await object.write([data], 0)
      await expect(object.read(1, new Uint8Array(data.length))).rejects.toThrow(ObjectTooShortError)
      await object.save(KEY)
      await rm(join(folder, KEY))
      await expect(storage.files.resume(KEY)).rejects.toThrow(ObjectNotFoundError)
      await object.close()
    })
  })
}
