/** What the parts of the compliance suite share. */
import type { Hash } from '../../hash.ts'
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
  /**
   * Whether `exportPath` can link, which a temporary folder has to be able to. A store that cannot says so.
   *
   * @default false
   */
  readonly links?: boolean | undefined
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
  /**
   * Makes a byte of a blob's data wrong, where it is stored, behind the store's back. Without it nothing is tested of damage.
   *
   * @param offset of the byte in the blob; a partial blob holds it
   */
  readonly damage?: ((store: S, hash: Hash, offset: number) => Promise<void>) | undefined
}

export interface Suite {
  readonly describe: TestFramework['describe']
  /** A test with a new store. `reopen` closes the store and opens it again. */
  readonly test: (name: string, body: (store: BlobStore, reopen: Reopen) => Promise<void>) => unknown
  readonly capabilities: StoreCapabilities
  /** As the store under test has it, for the store of a test. */
  readonly damage: (store: BlobStore, hash: Hash, offset: number) => Promise<void>
}

export type Reopen = () => Promise<BlobStore>

export function createSuite<S extends BlobStore>(
  { describe, it }: TestFramework,
  { setup, teardown, reopen, damage, capabilities }: StoreUnderTest<S>
): Suite {
  return {
    describe,
    capabilities,
    damage: async (store, hash, offset) => {
      if (damage === undefined) throw new Error('`damage` is needed to test what a store makes of it')
      // The tests of a suite know its stores only as what `setup` and `reopen` have made.
      await damage(store as S, hash, offset)
    },
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
