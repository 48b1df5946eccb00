/**
 * Brings what is in the write-ahead log into the database, in a thread of its own: the disk has to be waited for, and SQLite
 * waits for it in the middle of a call, for up to a tenth of a second when many rows have changed. The thread is started when
 * there is enough to do, which most commands never reach.
 */
import { Worker } from 'node:worker_threads'

/**
 * After so many changed rows. Each changes one or two pages of 4 KiB, so the log stays at a few MiB; fewer would wait for the
 * disk more often than needed.
 */
const ROWS = 1000

export class Checkpointer {
  readonly #path: string
  readonly #onBroken: () => void
  #worker: Worker | undefined
  #isAtWork = false
  #isBroken = false
  /** Changed rows in all, and how many of them there were when the thread was last told. */
  #changed = 0
  #told = 0

  /**
   * @param path the database's file
   * @param onBroken called when there can be no such thread; nothing more will come of it
   */
  constructor(path: string, onBroken: () => void) {
    this.#path = path
    this.#onBroken = onBroken
  }

  /** Whether it may be holding the database's lock for checkpoints. */
  get isAtWork(): boolean {
    return this.#isAtWork
  }

  /** Something was written. @param changed rows in all since the database was opened */
  wrote(changed: number): void {
    this.#changed = changed
    if (this.#isAtWork || this.#isBroken || changed - this.#told < ROWS) return
    this.#told = changed
    this.#isAtWork = true
    this.#worker ??= this.#start()
    this.#worker.postMessage('checkpoint')
  }

  /** It ends when it has done what it is at. */
  close(): void {
    this.#worker?.postMessage('end')
  }

  #start(): Worker {
    // Beside this file, as the source or as what was built of it.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const script = new URL(`./checkpoint-thread.${extension}`, import.meta.url)
    const worker = new Worker(script, { workerData: this.#path })
    // Nothing is lost when the process ends before it: the log has it all.
    worker.unref()
    worker.on('message', () => {
      this.#isAtWork = false
      // Meanwhile more may have been written.
      this.wrote(this.#changed)
    })
    worker.on('error', () => {
      this.#isAtWork = false
      this.#isBroken = true
      this.#onBroken()
    })
    return worker
  }
}
