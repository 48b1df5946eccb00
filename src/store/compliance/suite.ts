/** What the parts of the compliance suite share. */
import type { BlobStore } from '../index.ts'

/** The part of a test framework that is needed: vitest's, mocha's and node:test's functions all fit. */
export interface TestFramework {
  readonly describe: (name: string, body: () => void) => unknown
  readonly it: (name: string, body: () => Promise<void>) => unknown
}

export interface StoreCapabilities {
  /** Whether blobs, partial blobs and tags are there again when the store is closed and opened again. */
  readonly persistent: boolean
  /** Whether `addPath` and `exportPath` work. */
  readonly paths: boolean
}

export interface StoreUnderTest<S extends BlobStore = BlobStore> {
  readonly name: string
  readonly capabilities: StoreCapabilities
  /** Makes a store without blobs and tags. */
  readonly setup: () => Promise<S>
  /** Closes a store and removes what it kept. Called once for each `setup`, whatever became of the test. */
  readonly teardown: (store: S) => Promise<void>
  /** Opens what a store kept that has just been closed. Needed when `capabilities.persistent`. */
  readonly reopen?: ((store: S) => Promise<S>) | undefined
}

export interface Suite {
  readonly describe: TestFramework['describe']
  /** A test with a new store. `reopen` closes the store and opens it again. */
  readonly test: (name: string, body: (store: BlobStore, reopen: Reopen) => Promise<void>) => unknown
  readonly capabilities: StoreCapabilities
}

export type Reopen = () => Promise<BlobStore>

export function createSuite<S extends BlobStore>(
  { describe, it }: TestFramework,
  { setup, teardown, reopen, capabilities }: StoreUnderTest<S>
): Suite {
  return {
    describe,
    capabilities,
    test: (name, body) =>
      it(name, async () => {
        let store = await setup()
        try {
          await body(store, async () => {
            if (reopen === undefined) throw new Error('a persistent store needs `reopen` to be tested')
            await store.close()
            store = await reopen(store)
            return store
          })
        } finally {
          await teardown(store)
        }
      })
  }
}
