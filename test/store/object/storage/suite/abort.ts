import { expect } from 'vitest'
import type { ObjectStorage } from '../../../../../src/store/object/storage/index.ts'
import { putStream, uploadStream } from '../../../../../src/store/object/storage/put-stream.ts'
import { bytes, expectNone, expectObject, keysOf, MIB, streamOf, type Test } from './support.ts'

const reason = new Error('no longer wanted')

export function abortTests(test: Test): void {
  const signal = AbortSignal.abort(reason)
  const calls: Record<string, (storage: ObjectStorage) => Promise<unknown>> = {
    put: storage => storage.put('b', [bytes(10)], { signal }),
    upload: storage => storage.upload('b', 5 * MIB, { signal }),
    read: storage => Array.fromAsync(storage.read({ key: 'a', offset: 0, length: 10 }, { signal })),
    stat: storage => storage.stat('a', { signal }),
    list: storage => Array.fromAsync(storage.list({ signal })),
    'list of nothing': storage => Array.fromAsync(storage.list({ prefix: 'none', signal })),
    delete: storage => storage.delete(['a'], { signal }),
    compose: storage => storage.compose('b', [{ key: 'a', offset: 0, length: 10 }], { signal }),
    move: storage => storage.move('a', 'b', { signal }),
    sweepUploads: storage => storage.sweepUploads(0, { signal }),
    putStream: storage => putStream(storage, 'b', 10, streamOf(bytes(10)), { signal }),
    uploadStream: storage => uploadStream(storage, 'b', streamOf(bytes(10)), { signal })
  }

  for (const [name, call] of Object.entries(calls)) {
    test(`that have aborted keep ${name} from doing anything`, async storage => {
      await storage.put('a', [bytes(10)])
      await expect(call(storage)).rejects.toBe(reason)
      expect(await keysOf(storage)).toEqual(['a'])
    })
  }

  test('that have aborted keep parts out, and an upload from completing', async storage => {
    const upload = await storage.upload('a', 5 * MIB)
    await upload.put(0, [bytes(100)])
    await expect(upload.put(1, [bytes(100)], { signal })).rejects.toBe(reason)
    await expect(upload.complete(100, { signal })).rejects.toBe(reason)
    await expectNone(storage, 'a')
    await upload.abort()
  })

  test('end a read between two pieces', async storage => {
    await storage.put('a', [bytes(9 * MIB)])
    const stop = new AbortController()
    let pieces = 0
    const reading = (async () => {
      for await (const _piece of storage.read(
        { key: 'a', offset: 0, length: 9 * MIB },
        { signal: stop.signal }
      )) {
        pieces++
        stop.abort(reason)
      }
    })()
    await expect(reading).rejects.toBe(reason)
    expect(pieces).toBe(1)
  })

  test('end a list between two objects', async storage => {
    for (const key of ['a', 'b', 'c/d']) await storage.put(key, [bytes(1)])
    const stop = new AbortController()
    const listing = (async () => {
      for await (const _info of storage.list({ signal: stop.signal })) stop.abort(reason)
    })()
    await expect(listing).rejects.toBe(reason)
  })

  test('in the middle of writing leave all or nothing', async storage => {
    const content = bytes(16 * MIB)
    for (let delay = 0; delay < 10; delay++) {
      const key = `a/${delay}`
      const stop = new AbortController()
      const putting = storage.put(key, [content], { signal: stop.signal }).then(
        () => true,
        error => {
          expect(error).toBe(reason)
          return false
        }
      )
      setTimeout(() => stop.abort(reason), delay)
      if (await putting) await expectObject(storage, key, content)
      else expect([undefined, content.length]).toContain((await storage.stat(key))?.size)
    }
  })

  test('in the middle of composing leave all or nothing', async storage => {
    await storage.put('a', [bytes(8 * MIB)])
    const slices = Array.from({ length: 4 }, () => ({ key: 'a', offset: 0, length: 8 * MIB }))
    for (let delay = 0; delay < 10; delay++) {
      const stop = new AbortController()
      const composing = storage.compose(`b/${delay}`, slices, { signal: stop.signal }).catch(error => {
        expect(error).toBe(reason)
      })
      setTimeout(() => stop.abort(reason), delay * 3)
      await composing
      expect([undefined, 32 * MIB]).toContain((await storage.stat(`b/${delay}`))?.size)
    }
  })

  test('do not hinder the next call', async storage => {
    const stop = new AbortController()
    await storage.put('a', [bytes(10)], { signal: stop.signal })
    stop.abort(reason)
    await expectObject(storage, 'a', bytes(10))
  })
}
