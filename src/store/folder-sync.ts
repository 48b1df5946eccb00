/** Makes renames in one folder last. Those that come while one is under way are done by the next, all at once. */
import { syncFolder } from './folders.ts'
import { SharedSync } from './shared-sync.ts'

export class FolderSync {
  readonly #isWanted: boolean
  readonly #shared: SharedSync

  /** @param isWanted false: nothing is done */
  constructor(folder: string, isWanted: boolean) {
    this.#isWanted = isWanted
    this.#shared = new SharedSync(() => syncFolder(folder))
  }

  /** Waits until what has happened so far is on disk. */
  async sync(): Promise<void> {
    if (this.#isWanted) await this.#shared.sync()
  }
}
