/** What a piece of work takes of the process that does it. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { resourceUsage, threadCpuUsage } from 'node:process'

export interface Spent {
  readonly seconds: number
  /** User and system time of all threads, in seconds. */
  readonly cpuSeconds: number
  /** Longest time that the event loop did not come round, in ms. */
  readonly heldMs: number
  /** The most that its thread ran between two looks, in ms: what is held for longer waits for a processor. 0 if nobody looked. */
  readonly heldCpuMs: number
  /** Largest resident set of the process so far, in MiB. */
  readonly peakRssMib: number
}

/** How often the event loop is looked at, in ms. */
const LOOK_MS = 2

/** Begins to measure; `stop` tells. */
export class Meter {
  readonly #loop = monitorEventLoopDelay({ resolution: LOOK_MS })
  readonly #looks: NodeJS.Timeout | undefined
  #heldCpuMs = 0
  readonly #cpu: NodeJS.CpuUsage
  readonly #start: number

  /** @param looksAtThread whether to look for how long its thread runs as well, which takes a hundredth of the thread */
  constructor(looksAtThread = false) {
    this.#loop.enable()
    this.#cpu = process.cpuUsage()
    this.#start = performance.now()
    if (looksAtThread) this.#looks = this.#lookAtThread()
  }

  #lookAtThread(): NodeJS.Timeout {
    let last = threadCpuUsage()
    const look = (): void => {
      const now = threadCpuUsage()
      this.#heldCpuMs = Math.max(this.#heldCpuMs, (now.user + now.system - last.user - last.system) / 1000)
      last = now
    }
    return setInterval(look, LOOK_MS).unref()
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
