/** Makes what happened in many folders last. */
import { FolderSync } from '../../../folder-sync.ts'
import { isNotFound } from '../../../fs-errors.ts'

export class FolderSyncs {
  readonly #isWanted: boolean
  readonly #syncs = new Map<string, { readonly sync: FolderSync; users: number }>()

  /** @param isWanted false: nothing is done */
  constructor(isWanted: boolean) {
    this.#isWanted = isWanted
  }

  /** Waits until what has happened in these folders so far is on disk. */
  async sync(folders: Iterable<string>): Promise<void> {
    if (!this.#isWanted) return
    await Promise.all(Array.from(folders, folder => this.#sync(folder)))
  }

  async #sync(folder: string): Promise<void> {
    // Shared by all who wait for the same folder.
    const entry = this.#syncs.get(folder) ?? { sync: new FolderSync(folder, true), users: 0 }
    this.#syncs.set(folder, entry)
    entry.users++
    try {
      await entry.sync.sync()
    } catch (error) {
      // Removed, because all that was in it has been deleted.
      if (!isNotFound(error)) throw error
    } finally {
      if (--entry.users === 0) this.#syncs.delete(folder)
    }
  }
}
