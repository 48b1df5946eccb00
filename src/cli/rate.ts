/** How fast something goes, by what happened lately. */

/** Time that is looked back, in ms: long enough to be calm, short enough to follow. */
const WINDOW_MS = 5_000

interface Sample {
  readonly at: number
  readonly bytes: number
}

export class Rate {
  readonly #now: () => number
  #samples: Sample[] = []

  /** @param now a clock in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** @param bytes in all, so far */
  add(bytes: number): void {
    const at = this.#now()
    this.#samples.push({ at, bytes })
    // The last sample outside the window stays: it is where the window begins.
    const inside = this.#samples.findIndex(sample => sample.at >= at - WINDOW_MS)
    if (inside > 1) this.#samples = this.#samples.slice(inside - 1)
  }

  /** Undefined until there is something to tell. */
  get bytesPerSecond(): number | undefined {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.at === first.at) return undefined
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at)
  }

  /** Seconds until so many further bytes are there, as it goes now. */
  secondsFor(bytes: number): number | undefined {
    const rate = this.bytesPerSecond
    return rate === undefined || rate <= 0 ? undefined : bytes / rate
  }
}
