/** Gathers what is asked for one by one into batches, as long as those before are being worked on. */

interface Waiting<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

export interface BatchesInit<Item, Result> {
  /** Items in a batch. */
  readonly most: number
  /** The results in the order of the items. Called anew before the one before has ended, but for two at most. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>
}

/** One is worked on, and one waits for its turn, so that there is no pause between them. */
const MOST_UNDER_WAY = 2

export class Batches<Item, Result> {
  readonly #init: BatchesInit<Item, Result>
  #waiting: Waiting<Item, Result>[] = []
  #underWay = 0
  #isScheduled = false

  constructor(init: BatchesInit<Item, Result>) {
    this.#init = init
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      this.#schedule()
    })
  }

  /** What comes in the same turn of the event loop goes together. */
  #schedule(): void {
    if (this.#isScheduled || this.#underWay >= MOST_UNDER_WAY || this.#waiting.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      void this.#runNext()
      this.#schedule()
    })
  }

  async #runNext(): Promise<void> {
    const batch = this.#waiting.splice(0, this.#init.most)
    this.#underWay++
    try {
      const results = await this.#init.run(batch.map(({ item }) => item))
      for (const [i, { resolve }] of batch.entries()) resolve(results[i]!)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      this.#underWay--
      this.#schedule()
    }
  }
}
