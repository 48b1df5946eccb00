/** What the parts of an object store share. */
import type { Hash } from '../../hash.ts'
import type { KeyedMutex } from '../mutex.ts'
import type { Metadata } from './metadata/index.ts'
import type { PartMemory } from './part-memory.ts'
import type { OutboardCache, ReadBudget } from './reading/index.ts'
import type { ObjectStorage } from './storage/index.ts'

export interface ObjectContext {
  readonly storage: ObjectStorage
  readonly metadata: Metadata
  readonly memory: PartMemory
  readonly cache: OutboardCache
  readonly budget: ReadBudget
  /** Whoever makes, completes or deletes a blob's objects does it under the blob's own. */
  readonly mutex: KeyedMutex
  /** Whether nothing in the storage is swept, mended, set aside or put together. */
  readonly leaveAsIs?: boolean | undefined
  /** Tells of what is not as it should be. */
  readonly notice: (message: string) => void
  /** To be told when more or less is held of a blob. */
  readonly changed: (hash: Hash) => void
}
