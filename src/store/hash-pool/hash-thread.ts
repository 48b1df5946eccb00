/** One hashing thread, as the main thread sees it. */
import { Worker } from 'node:worker_threads'
import { kernelModule } from '../../bao/kernel/index.ts'
import type { FailedJob, FromThread, HashedJob, HashJob } from './messages.ts'

/** V8's own memory: what a thread hashes is outside of it. */
const LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 }

export type JobResult = HashedJob | FailedJob

export class HashThread {
  readonly #worker: Worker
  readonly #answers: PromiseWithResolvers<JobResult>[] = []
  #isReady = false

  /**
   * @param onEnd called once when the thread has ended, of whatever. Jobs that it had are still open then: {@link giveUp}
   * @throws when threads are forbidden
   */
  constructor(onEnd: (why: Error) => void) {
    // Beside this file, as the source or as what was built of it.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    this.#worker = new Worker(new URL(`./hashing-thread.${extension}`, import.meta.url), {
      resourceLimits: LIMITS,
      workerData: kernelModule
    })
    let why = new Error('it was told to')
    this.#worker.on('message', (message: FromThread) => {
      if (message === 'ready') this.#isReady = true
      else this.#answers.shift()?.resolve(message)
      // The process does not go on for the sake of a thread that has nothing to do.
      if (this.#answers.length === 0) this.#worker.unref()
    })
    this.#worker.on('error', error => {
      why = error
    })
    this.#worker.on('exit', () => {
      onEnd(why)
    })
    // Nobody waits for it to start.
    this.#worker.unref()
  }

  /** Jobs that it has. */
  get load(): number {
    return this.#answers.length
  }

  /** Whether it has started. */
  get isReady(): boolean {
    return this.#isReady
  }

  async run(job: HashJob): Promise<JobResult> {
    const answer = Promise.withResolvers<JobResult>()
    this.#answers.push(answer)
    this.#worker.ref()
    this.#worker.postMessage(job)
    return await answer.promise
  }

  /** Ends it. What it is at is cut off, but no call into the system. */
  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  /** Fails the jobs that it has. To be called when it has ended. */
  giveUp(error: Error): void {
    for (const answer of this.#answers.splice(0)) answer.reject(error)
  }
}
