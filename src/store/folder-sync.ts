/** Makes renames in one folder last. Those that come while one is under way are done by the next, all at once. */
import { syncFolder } from './folders.ts'

export class FolderSync {
  readonly #folder: string
  readonly #isWanted: boolean
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  /** @param isWanted false: nothing is done */
  constructor(folder: string, isWanted: boolean) {
    this.#folder = folder
    this.#isWanted = isWanted
  }

  /** Waits until what has happened so far is on disk. */
  async sync(): Promise<void> {
    if (!this.#isWanted) return
    if (this.#running === undefined) return await this.#start()
    // The one under way may have begun before what we wait for.
    const before = this.#running.catch(() => undefined)
    this.#next ??= before.then(() => {
      this.#next = undefined
      return this.#start()
    })
    await this.#next
  }

  async #start(): Promise<void> {
    const running = syncFolder(this.#folder)
    this.#running = running
    try {
      await running
    } finally {
      if (this.#running === running) this.#running = undefined
    }
  }
}
