/** What the tests of all backends share. */
import { expect, it } from 'vitest'
import type { ObjectInfo, ObjectStorage, Slice } from '../../../../../src/store/object/storage/index.ts'
import { randomData } from '../../../../helpers/data.ts'

export const MIB = 1024 * 1024

export interface StorageUnderTest<S extends ObjectStorage> {
  readonly name: string
  /** An empty one. */
  setup(): Promise<S>
  /** Closes it and removes what the test left. */
  teardown(storage: S): Promise<void>
  /** Opens what has just been closed. Without it, that is not tested. */
  reopen?(storage: S): Promise<S>
  /** Most milliseconds that one test may take. */
  readonly timeoutMs?: number
}

export interface TestContext {
  /** Closes the storage and opens it again. */
  reopen(): Promise<ObjectStorage>
}

/** Declares a test, which gets an empty storage of its own. */
export type Test = (
  name: string,
  body: (storage: ObjectStorage, context: TestContext) => Promise<void>
) => void

export function createTest<S extends ObjectStorage>(tested: StorageUnderTest<S>): Test {
  return (name, body) => {
    it(name, { timeout: tested.timeoutMs ?? 120_000 }, async () => {
      let storage = await tested.setup()
      const reopen = async () => {
        if (tested.reopen === undefined) throw new Error(`${tested.name} cannot be reopened`)
        await storage.close()
        storage = await tested.reopen(storage)
        return storage
      }
      try {
        await body(storage, { reopen })
      } finally {
        await tested.teardown(storage)
      }
    })
  }
}

let noise: Uint8Array | undefined

/** Bytes that do not repeat, other ones for another seed. Not to be changed: they are shared. */
export function bytes(size: number, seed = 0): Uint8Array {
  noise ??= randomData(20 * MIB, 7)
  const start = seed * 4099
  return noise.subarray(start, start + size)
}

export async function* streamOf(data: Uint8Array, pieceBytes = 100_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += pieceBytes) yield data.subarray(at, at + pieceBytes)
}

export async function readAll(storage: ObjectStorage, slice: Slice): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(storage.read(slice)))
}

/** The object is there, with this content: in its stat, in the list and when it is read. */
export async function expectObject(storage: ObjectStorage, key: string, content: Uint8Array): Promise<void> {
  const info = await storage.stat(key)
  expectInfo(info, key, content.length)
  const listed = (await Array.fromAsync(storage.list({ prefix: key }))).find(found => found.key === key)
  expectInfo(listed, key, content.length)
  expectSame(await readAll(storage, { key, offset: 0, length: content.length }), content)
}

function expectInfo(info: ObjectInfo | undefined, key: string, size: number): void {
  expect(info).toEqual({ key, size, modifiedAt: expect.any(Number) })
  // Not a test of clocks, but of the unit.
  expect(Math.abs(info!.modifiedAt - Date.now())).toBeLessThan(24 * 60 * 60 * 1000)
}

/** Bytes are compared without printing them. */
export function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length)
  expect(Buffer.compare(actual, expected)).toBe(0)
}

/** There is no object of this key, whichever way one looks. */
export async function expectNone(storage: ObjectStorage, key: string): Promise<void> {
  expect(await storage.stat(key)).toBeUndefined()
  expect(await keysOf(storage, { prefix: key })).not.toContain(key)
  await expect(readAll(storage, { key, offset: 0, length: 1 })).rejects.toMatchObject(NOT_FOUND)
}

export async function keysOf(
  storage: ObjectStorage,
  options?: { prefix?: string; after?: string }
): Promise<string[]> {
  return (await Array.fromAsync(storage.list(options))).map(info => info.key)
}

export const NOT_FOUND = { name: 'ObjectNotFoundError', code: 'ERR_OBJECT_NOT_FOUND' }

/** Any of the storage's own errors. */
export const FAILED = { code: expect.stringMatching(/^ERR_(STORAGE|STORE|OBJECT_TOO_SHORT)/) }

/** Does something with each item, so many at a time. */
export async function inParallel<T>(
  items: readonly T[],
  most: number,
  action: (item: T) => Promise<unknown>
): Promise<void> {
  const rest = items.values()
  const lane = async () => {
    for (const item of rest) await action(item)
  }
  await Promise.all(Array.from({ length: most }, lane))
}
