/** Waiting for the disk, shared by all who wait: those that come while it is going on are served by the next time, all at once. */

export class SharedSync {
  readonly #action: () => Promise<void>
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  /** @param action puts on disk what has happened when it begins */
  constructor(action: () => Promise<void>) {
    this.#action = action
  }

  /** Waits until what has happened so far is on disk. */
  async sync(): Promise<void> {
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
    const running = this.#action()
    this.#running = running
    try {
      await running
    } finally {
      if (this.#running === running) this.#running = undefined
    }
  }
}
