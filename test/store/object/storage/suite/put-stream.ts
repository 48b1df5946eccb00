import { expect } from 'vitest'
import type { ObjectStorage, Upload } from '../../../../../src/store/object/storage/index.ts'
import {
  putStream,
  type StreamOptions,
  uploadStream
} from '../../../../../src/store/object/storage/put-stream.ts'
import { bytes, expectNone, expectObject, keysOf, MIB, streamOf, type Test } from './support.ts'

const SIZES = [0, 1, 100_000, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 18 * MIB + 5]

const reason = new Error('no longer wanted')

type Way = (
  storage: ObjectStorage,
  source: AsyncIterable<Uint8Array>,
  size: number,
  options?: StreamOptions
) => Promise<number>

/** Both ways in: with the size known and without. */
const WAYS: Record<string, Way> = {
  putStream: async (storage, source, size, options) => {
    await putStream(storage, 'a/b', size, source, options)
    return size
  },
  uploadStream: async (storage, source, _size, options) => await uploadStream(storage, 'a/b', source, options)
}

/** The same storage, whose uploads are watched. */
function watched(storage: ObjectStorage, onPut: (number: number) => Promise<void> | void): ObjectStorage {
  const upload = async (...args: Parameters<ObjectStorage['upload']>): Promise<Upload> => {
    const real = await storage.upload(...args)
    return {
      put: async (number, pieces, options) => {
        await onPut(number)
        await real.put(number, pieces, options)
      },
      copy: async (...rest) => await real.copy(...rest),
      complete: async (...rest) => await real.complete(...rest),
      abort: async () => await real.abort()
    }
  }
  return new Proxy(storage, {
    get: (target, name) => {
      if (name === 'upload') return upload
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

export function putStreamTests(test: Test): void {
  for (const [way, write] of Object.entries(WAYS)) {
    for (const size of SIZES) {
      test(`${way} keeps ${size} bytes`, async storage => {
        const content = bytes(size, 1)
        const told: number[] = []
        const onProgress = (taken: number) => told.push(taken)
        expect(await write(storage, streamOf(content), size, { onProgress })).toBe(size)
        await expectObject(storage, 'a/b', content)
        expect(told).toEqual(told.toSorted((a, b) => a - b))
        expect(told.at(-1) ?? 0).toBe(size)
        expect(await keysOf(storage)).toEqual(['a/b'])
      })
    }

    test(`${way} takes pieces of all lengths, from a buffer that is used again`, async storage => {
      const content = bytes(17 * MIB, 2)
      const source = async function* () {
        const buffer = new Uint8Array(12 * MIB)
        for (let at = 0, i = 0; at < content.length; i++) {
          const piece = content.subarray(at, at + [0, 1, 70_000, 9 * MIB, 300_001][i % 5]!)
          buffer.set(piece)
          yield buffer.subarray(0, piece.length)
          buffer.fill(0)
          at += piece.length
        }
      }
      await write(storage, source(), content.length)
      await expectObject(storage, 'a/b', content)
    })

    test(`${way} has no more parts on their way than it may, of the length it is told`, async storage => {
      const content = bytes(18 * MIB, 3)
      for (const inFlight of [1, 2, 3]) {
        let now = 0
        let most = 0
        const gate = Promise.withResolvers<void>()
        const slow = watched(storage, async () => {
          most = Math.max(most, ++now)
          if (now === inFlight) gate.resolve()
          await gate.promise
          await new Promise(resolve => setTimeout(resolve, 1))
          now--
        })
        await write(slow, streamOf(content), content.length, { partBytes: 5 * MIB, inFlight })
        expect(most).toBe(inFlight)
        await expectObject(storage, 'a/b', content)
      }
    })

    test(`${way} leaves nothing when the source fails, and what was there stays`, async storage => {
      for (const size of [10, 8 * MIB, 18 * MIB]) {
        const source = async function* () {
          yield* streamOf(bytes(size - 1))
          throw reason
        }
        await expect(write(storage, source(), size)).rejects.toBe(reason)
        await expectNone(storage, 'a/b')
      }
      await storage.put('a/b', [bytes(5)])
      const failing = async function* () {
        yield bytes(9 * MIB)
        throw reason
      }
      await expect(write(storage, failing(), 9 * MIB)).rejects.toBe(reason)
      await expectObject(storage, 'a/b', bytes(5))
    })

    test(`${way} gives up when a part fails, though the source is silent, and tells it to end`, async storage => {
      let isTold = false
      const source = {
        [Symbol.asyncIterator]: () => {
          const pieces = streamOf(bytes(18 * MIB), 3 * MIB)
          return {
            next: async () => {
              const next = await pieces.next()
              return next.done === true ? await new Promise<never>(() => undefined) : next
            },
            return: async () => {
              isTold = true
              return { done: true as const, value: undefined }
            }
          }
        }
      }
      const failing = watched(storage, number => {
        if (number === 1) throw reason
      })
      await expect(write(failing, source, 20 * MIB)).rejects.toBe(reason)
      expect(isTold).toBe(true)
      await expectNone(storage, 'a/b')
    })

    test(`${way} ends when the signal aborts, though the source is silent`, async storage => {
      for (const size of [10, 18 * MIB]) {
        const stop = new AbortController()
        const source = async function* () {
          yield bytes(size)
          setTimeout(() => stop.abort(reason), 5)
          await new Promise(() => undefined)
        }
        await expect(write(storage, source(), size + 1, { signal: stop.signal })).rejects.toBe(reason)
        await expectNone(storage, 'a/b')
      }
    })

    test(`${way} waits for what is on its way before it fails`, async storage => {
      let now = 0
      const slow = watched(storage, async () => {
        now++
        await new Promise(resolve => setTimeout(resolve, 20))
        now--
      })
      const source = async function* () {
        yield bytes(18 * MIB)
        throw reason
      }
      await expect(write(slow, source(), 20 * MIB)).rejects.toBe(reason)
      expect(now).toBe(0)
    })
  }

  test('putStream refuses a source that has another number of bytes', async storage => {
    for (const size of [0, 100, 8 * MIB, 18 * MIB]) {
      const more = putStream(storage, 'a', size, streamOf(bytes(size + 1)))
      await expect(more).rejects.toMatchObject({ name: 'StorageError', message: /announced, but more came/ })
      if (size === 0) continue
      const fewer = putStream(storage, 'a', size, streamOf(bytes(size - 1)))
      await expect(fewer).rejects.toMatchObject({
        name: 'StorageError',
        message: /announced, but only \d+ came/
      })
    }
    await expectNone(storage, 'a')
    for (const size of [-1, 0.5, Number.NaN]) {
      await expect(putStream(storage, 'a', size, streamOf(bytes(1)))).rejects.toMatchObject({
        code: 'ERR_STORAGE'
      })
    }
  })
}
