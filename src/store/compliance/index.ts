/**
 * The suite that holds every store to what `BlobStore` promises. `libp2p-blobs/store/compliance`.
 *
 * ```ts
 * import { describe, it } from 'vitest'
 * import { testStore } from 'libp2p-blobs/store/compliance'
 *
 * testStore({ describe, it }, {
 *   name: 'MyStore',
 *   capabilities: { persistent: false, paths: true },
 *   setup: async () => new MyStore(),
 *   teardown: async store => await store.close()
 * })
 * ```
 *
 * @packageDocumentation
 */
import type { BlobStore } from '../index.ts'
import { abortTests } from './abort.ts'
import { addTests } from './add.ts'
import { closeTests } from './close.ts'
import { damageTests } from './damage.ts'
import { deleteTests } from './delete.ts'
import { exportTests } from './export.ts'
import { keepingTests } from './keeping.ts'
import { listTests } from './list.ts'
import { observeTests } from './observe.ts'
import { persistenceTests } from './persistence.ts'
import { readTests } from './read.ts'
import { stateTests } from './states.ts'
import { createSuite, type StoreUnderTest, type TestFramework } from './suite.ts'
import { tagTests } from './tags.ts'
import { writeTests } from './write.ts'
import { writersTests } from './writers.ts'

export { INTERESTING_SIZES } from './samples.ts'
export type { StoreCapabilities, StoreUnderTest, TestFramework } from './suite.ts'

/** Declares the tests of one store. */
export function testStore<S extends BlobStore>(framework: TestFramework, store: StoreUnderTest<S>): void {
  const suite = createSuite(framework, store)
  framework.describe(`${store.name} keeps the promises of a blob store`, () => {
    addTests(suite)
    readTests(suite)
    writeTests(suite)
    writersTests(suite)
    listTests(suite)
    deleteTests(suite)
    observeTests(suite)
    tagTests(suite)
    keepingTests(suite)
    stateTests(suite)
    abortTests(suite)
    closeTests(suite)
    if (store.capabilities.paths) exportTests(suite)
    if (store.capabilities.persistent) persistenceTests(suite)
    if (store.damage !== undefined) damageTests(suite)
  })
}
