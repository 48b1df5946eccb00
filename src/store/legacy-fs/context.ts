/** What all parts of one open store share. */

import type { FolderSync } from '../folder-sync.ts'
import type { KeyedMutex } from '../mutex.ts'
import type { TempFolder } from '../temp.ts'
import type { Layout } from './layout.ts'
import type { Journals } from './small/journals.ts'

export interface FsContext {
  readonly layout: Layout
  readonly temp: TempFolder
  /** Whether to wait until what is written is on disk. */
  readonly isSynced: boolean
  readonly dataSync: FolderSync
  readonly journals: Journals
  /** Held, by a blob's hash, by whoever makes, removes or renames its files. Says nothing to other processes. */
  readonly mutex: KeyedMutex
  /** Tells the user, once, of something that is not as it should be. */
  readonly notice: (text: string) => void
}
