/** What a piece of work takes of the process that does it. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { resourceUsage, threadCpuUsage } from 'node:process'

export interface Spent {
  readonly seconds: number
  /** User and system time of all threads, in seconds. */
  readonly cpuSeconds: number
  /** Longest time that the event loop did not come round, in ms. */
  readonly heldMs: number
  /** The most that its thread ran between two looks, in ms: what is held for longer waits for a processor. */
  readonly heldCpuMs: number
  /** Largest resident set of the process so far, in MiB. */
  readonly peakRssMib: number
}

/** How often the event loop is looked at, in ms. */
const LOOK_MS = 2

/** Begins to measure; `stop` tells. */
export class Meter {
  readonly #loop = monitorEventLoopDelay({ resolution: LOOK_MS })
  readonly #looks: NodeJS.Timeout
  #heldCpuMs = 0
  readonly #cpu: NodeJS.CpuUsage
  readonly #start: number

  constructor() {
    this.#loop.enable()
    this.#cpu = process.cpuUsage()
    this.#start = performance.now()
    let last = threadCpuUsage()
    this.#looks = setInterval(() => {
      const { user, system } = threadCpuUsage(last)
      this.#heldCpuMs = Math.max(this.#heldCpuMs, (user + system) / 1000)
      last = threadCpuUsage()
    }, LOOK_MS).unref()
  }

  stop(): Spent {
    const seconds = (performance.now() - this.#start) / 1000
    const { user, system } = process.cpuUsage(this.#cpu)
    this.#loop.disable()
    clearInterval(this.#looks)
    return {
      seconds,
      cpuSeconds: (user + system) / 1e6,
      // A look that comes in time is LOOK_MS after the one before.
      heldMs: Math.max(0, this.#loop.max / 1e6 - LOOK_MS),
      heldCpuMs: this.#heldCpuMs,
      peakRssMib: resourceUsage().maxRSS / 1024
    }
  }
}
