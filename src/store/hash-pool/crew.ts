/** Hashing threads that are started together, share their work, and end together. */
import { availableParallelism } from 'node:os'
import { StoreError } from '../errors.ts'
import { JOBS_PER_THREAD, MOST_THREADS } from './constants.ts'
import { HashThread, type JobResult } from './hash-thread.ts'
import type { HashJob } from './messages.ts'

interface WaitingJob {
  readonly job: HashJob
  readonly answer: PromiseWithResolvers<JobResult>
}

export class Crew {
  readonly #threads: readonly HashThread[]
  readonly #waiting: WaitingJob[] = []
  readonly #onEnd: (couldNotStart: boolean) => void
  #ending: Promise<void> | undefined
  #failure: StoreError | undefined

  /**
   * @param onEnd called once when it is to be used no more, with whether a thread could not start
   * @throws when threads are forbidden
   */
  constructor(
    onEnd: (couldNotStart: boolean) => void,
    threads = Math.min(availableParallelism(), MOST_THREADS)
  ) {
    this.#onEnd = onEnd
    const onThreadEnd = (why: Error): void => {
      void this.#end(`a thread that was hashing has ended (${why.message})`, !this.isReady)
    }
    this.#threads = Array.from({ length: threads }, () => new HashThread(onThreadEnd))
  }

  /** Jobs that keep all threads at work. */
  get width(): number {
    return this.#threads.length * JOBS_PER_THREAD
  }

  /** Whether it can take jobs. */
  get isReady(): boolean {
    return this.#failure === undefined && this.#threads.every(thread => thread.isReady)
  }

  /**
   * Has a job done, after those that came before.
   *
   * @throws StoreError when a thread has ended. None is at work any more then: the job's files may be closed
   */
  async run(job: HashJob): Promise<JobResult> {
    if (this.#failure !== undefined) {
      await this.#ending
      throw this.#failure
    }
    const answer = Promise.withResolvers<JobResult>()
    this.#waiting.push({ job, answer })
    this.#handOut()
    return await answer.promise
  }

  /** Ends all threads. Jobs that are not done fail. */
  async end(): Promise<void> {
    await this.#end('the threads that hash were told to end', false)
  }

  #handOut(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#threads.reduce((least, other) => (other.load < least.load ? other : least))
      if (thread.load >= JOBS_PER_THREAD) return
      const { job, answer } = this.#waiting.shift()!
      const done = thread.run(job)
      done.then(answer.resolve, answer.reject)
      done.then(
        () => this.#handOut(),
        () => undefined
      )
    }
  }

  async #end(why: string, couldNotStart: boolean): Promise<void> {
    this.#ending ??= this.#endAll(why, couldNotStart)
    await this.#ending
  }

  async #endAll(why: string, couldNotStart: boolean): Promise<void> {
    this.#failure = new StoreError(`${why}; try again`)
    this.#onEnd(couldNotStart)
    // Files may be closed when a job has failed, and their numbers go to others: nobody may be writing by then.
    await Promise.all(this.#threads.map(thread => thread.end()))
    for (const thread of this.#threads) thread.giveUp(this.#failure)
    for (const { answer } of this.#waiting.splice(0)) answer.reject(this.#failure)
  }
}
