/**
 * The hashing threads of this process. They are started when the first large file comes, shared by all stores, and end when
 * there has been nothing to do for a while. A process that has nothing else to do does not wait for them.
 */
import { IDLE_MS } from './constants.ts'
import { Crew } from './crew.ts'

class HashPool {
  #crew: Crew | undefined
  #isImpossible = false
  #users = 0
  #idle: NodeJS.Timeout | undefined

  /**
   * Runs something that has jobs for the threads. They stay as long as it runs.
   *
   * @param action gets threads that may not have started yet, and never do where that fails: their script may be missing in
   *   what was bundled. Gets undefined where there can be none
   */
  async use<T>(action: (crew: Crew | undefined) => Promise<T>): Promise<T> {
    this.#users++
    clearTimeout(this.#idle)
    try {
      return await action(this.#take())
    } finally {
      this.#users--
      if (this.#users === 0) this.#idle = setTimeout(() => void this.#crew?.end(), IDLE_MS).unref()
    }
  }

  #take(): Crew | undefined {
    if (this.#isImpossible) return undefined
    try {
      this.#crew ??= this.#start()
      return this.#crew
    } catch {
      // They are forbidden, which is no error: the main thread does it.
      this.#isImpossible = true
      return undefined
    }
  }

  #start(): Crew {
    const crew: Crew = new Crew(couldNotStart => {
      if (this.#crew === crew) this.#crew = undefined
      // Threads that could not start will not the next time.
      if (couldNotStart) this.#isImpossible = true
    })
    return crew
  }
}

export const hashPool = new HashPool()
