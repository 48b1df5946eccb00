/** Starts a thread that looks at files of a long list, where there can be one. Where not, the list takes longer. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Page } from './page.ts'

/** The thread runs what this module runs as: TypeScript in the sources, JavaScript where it was built. */
const PROGRAM = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)

/** MiB for its objects, all of which are short-lived. */
const YOUNG_MIB = 4

/** One thread is enough for a process: who lists at the same time does so alone. */
let isTaken = false

export class SecondLook {
  readonly #worker: Worker

  private constructor(worker: Worker) {
    this.#worker = worker
  }

  /** @returns undefined where there can be no thread, or it would be of no use */
  static start(dataFolder: string): SecondLook | undefined {
    if (isTaken || availableParallelism() < 2) return undefined
    try {
      const worker = new Worker(PROGRAM, {
        workerData: dataFolder,
        name: 'listing',
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB }
      })
      worker.unref()
      // All that it does is done without it as well.
      worker.on('error', () => undefined)
      worker.on('exit', () => {
        isTaken = false
      })
      isTaken = true
      return new SecondLook(worker)
    } catch {
      // Forbidden by Node's permissions, or by the system.
      return undefined
    }
  }

  /** Has it look at a page that will soon be listed. */
  take(page: Page): void {
    this.#worker.postMessage(page.shared)
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}
