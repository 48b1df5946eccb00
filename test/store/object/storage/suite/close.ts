import { expect } from 'vitest'
import { bytes, expectNone, expectObject, FAILED, keysOf, MIB, type Test } from './support.ts'

export function closeTests(test: Test, canReopen: boolean): void {
  test('may be said twice', async storage => {
    await storage.put('a', [bytes(10)])
    await storage.close()
    await storage.close()
  })

  test('gives up what is being uploaded', async storage => {
    const upload = await storage.upload('a', 5 * MIB)
    await upload.put(0, [bytes(100)])
    await storage.close()
    await expect(upload.complete(100)).rejects.toMatchObject(FAILED)
    await upload.abort()
  })

  test('is waited for by nobody who has left a loop', async storage => {
    await storage.put('a', [bytes(9 * MIB)])
    for await (const _piece of storage.read({ key: 'a', offset: 0, length: 9 * MIB })) break
    for await (const _info of storage.list()) break
    const reading = storage.read({ key: 'a', offset: 0, length: 9 * MIB })[Symbol.asyncIterator]()
    await reading.next()
    await storage.close()
    await reading.return?.()
  })

  if (!canReopen) return

  test('keeps the objects for whoever opens it again', async (storage, { reopen }) => {
    await storage.put('a', [bytes(0)])
    await storage.put('b/c', [bytes(6 * MIB, 1)])
    const upload = await storage.upload('d', 5 * MIB)
    await upload.put(0, [bytes(100)])
    const again = await reopen()
    await expectObject(again, 'a', bytes(0))
    await expectObject(again, 'b/c', bytes(6 * MIB, 1))
    await expectNone(again, 'd')
    expect(await keysOf(again)).toEqual(['a', 'b/c'])
    await again.put('d', [bytes(50)])
    await expectObject(again, 'd', bytes(50))
  })
}
