/** Calls in any order, and a Map that says what must come of them. */
import fc from 'fast-check'
import { expect } from 'vitest'
import type { ObjectStorage } from '../../../../../src/store/object/storage/index.ts'
import { bytes, expectSame, keysOf, MIB, NOT_FOUND, readAll, type Test } from './support.ts'

type Model = Map<string, Uint8Array>

/** No key is a folder of another one. */
const KEYS = ['a', 'b/c', 'b/c-d/e', 'b/c.d', 'b-e', 'b.f', 'b0', 'g/h/i/j', 'g/h/i/k', 'g/h-i']

const key = fc.constantFrom(...KEYS)
const content = fc
  .tuple(fc.oneof(fc.nat(20), fc.nat(300_000)), fc.nat(50))
  .map(([size, seed]) => bytes(size, seed))
const prefix = fc.constantFrom('', 'a', 'b', 'b/', 'b/c', 'b/c-', 'g/h', 'g/h/', 'none/')
const portion = fc.tuple(fc.nat(1000), fc.nat(1000))

/** Some of `content`: not nothing, if there is anything. */
function part(whole: Uint8Array, [from, length]: readonly [number, number]) {
  const offset = whole.length === 0 ? 0 : from % whole.length
  const most = whole.length - offset
  return { offset, length: most === 0 ? 0 : 1 + (length % most) }
}

type Step = (storage: ObjectStorage, model: Model) => Promise<void>

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(key, content).map(
    ([at, data]): Step =>
      async (storage, model) => {
        await storage.put(at, [data])
        model.set(at, data)
      }
  ),
  fc.tuple(key, content).map(
    ([at, data]): Step =>
      async (storage, model) => {
        const upload = await storage.upload(at, 5 * MIB)
        const last = data.length > 0 ? data : bytes(1)
        await upload.put(0, [last])
        await upload.complete(last.length)
        model.set(at, last)
      }
  ),
  fc.tuple(key, content).map(
    ([at, data]): Step =>
      async storage => {
        const upload = await storage.upload(at, 5 * MIB)
        await upload.put(0, [data])
        await upload.abort()
      }
  ),
  fc.array(key, { maxLength: 4 }).map(
    (keys): Step =>
      async (storage, model) => {
        await storage.delete(keys)
        for (const at of keys) model.delete(at)
      }
  ),
  fc.tuple(key, key).map(
    ([from, to]): Step =>
      async (storage, model) => {
        const moved = model.get(from)
        if (moved === undefined) return await expect(storage.move(from, to)).rejects.toMatchObject(NOT_FOUND)
        await storage.move(from, to)
        model.delete(from)
        model.set(to, moved)
      }
  ),
  fc.tuple(key, key, portion).map(
    ([from, to, some]): Step =>
      async (storage, model) => {
        const source = model.get(from)
        const slice = { key: from, ...part(source ?? bytes(1), some) }
        if (slice.length === 0) return
        if (source === undefined) {
          return await expect(storage.compose(to, [slice])).rejects.toMatchObject(NOT_FOUND)
        }
        await storage.compose(to, [slice])
        model.set(to, source.subarray(slice.offset, slice.offset + slice.length))
      }
  ),
  fc.tuple(key, portion).map(
    ([at, some]): Step =>
      async (storage, model) => {
        const whole = model.get(at)
        expect((await storage.stat(at))?.size).toBe(whole?.length)
        const slice = { key: at, ...part(whole ?? bytes(1), some) }
        if (whole === undefined) return await expect(readAll(storage, slice)).rejects.toMatchObject(NOT_FOUND)
        expectSame(await readAll(storage, slice), whole.subarray(slice.offset, slice.offset + slice.length))
      }
  ),
  fc.tuple(prefix, fc.option(key, { nil: '' })).map(
    ([begin, after]): Step =>
      async (storage, model) => {
        const expected = [...model.keys()].filter(at => at.startsWith(begin) && at > after).sort()
        expect(await keysOf(storage, { prefix: begin, after })).toEqual(expected)
      }
  )
)

export function modelTests(test: Test): void {
  test('is as a Map would be', async storage => {
    const run = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async steps => {
      await storage.delete(KEYS)
      const model: Model = new Map()
      for (const take of steps) await take(storage, model)
      expect(await keysOf(storage)).toEqual([...model.keys()].sort())
      for (const [at, data] of model) {
        expectSame(await readAll(storage, { key: at, offset: 0, length: data.length }), data)
      }
    })
    await fc.assert(run, { numRuns: 40 })
  })
}
