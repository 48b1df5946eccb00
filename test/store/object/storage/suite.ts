/**
 * The suite that holds every backend to what `ObjectStorage` promises.
 *
 * ```ts
 * testStorage({ name: 'MemoryStorage', setup: async () => new MemoryStorage(), teardown: async storage => await storage.close() })
 * ```
 */
import { describe } from 'vitest'
import type { ObjectStorage } from '../../../../src/store/object/storage/index.ts'
import { abortTests } from './suite/abort.ts'
import { closeTests } from './suite/close.ts'
import { composeTests } from './suite/compose.ts'
import { deleteTests } from './suite/delete.ts'
import { keyTests } from './suite/keys.ts'
import { listTests } from './suite/list.ts'
import { modelTests } from './suite/model.ts'
import { moveTests } from './suite/move.ts'
import { putTests } from './suite/put.ts'
import { putStreamTests } from './suite/put-stream.ts'
import { readTests } from './suite/read.ts'
import { createTest, type StorageUnderTest } from './suite/support.ts'
import { uploadTests } from './suite/upload.ts'

export type { StorageUnderTest } from './suite/support.ts'

/** Declares the tests of one backend. */
export function testStorage<S extends ObjectStorage>(storage: StorageUnderTest<S>): void {
  const test = createTest(storage)
  describe(`${storage.name} keeps the promises of an object storage`, () => {
    describe('keys', () => keyTests(test))
    describe('put', () => putTests(test))
    describe('upload', () => uploadTests(test))
    describe('read', () => readTests(test))
    describe('list', () => listTests(test))
    describe('delete', () => deleteTests(test))
    describe('compose', () => composeTests(test))
    describe('move', () => moveTests(test))
    describe('signals', () => abortTests(test))
    describe('streams', () => putStreamTests(test))
    describe('close', () => closeTests(test, storage.reopen !== undefined))
    describe('anything in any order', () => modelTests(test))
  })
}
