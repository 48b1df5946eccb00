/** A thread that does what takes many calls of the system for little work, asked by messages. */
import { Worker } from 'node:worker_threads'
import type { Answer, Request, ThreadData } from './messages.ts'
import { toError } from './messages.ts'

/** The thread runs what this module runs as: TypeScript in the sources, JavaScript where it was built. */
const PROGRAM = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)

/** MiB for its objects, of which it makes few. */
const YOUNG_MIB = 4

/** The thread has ended before it answered. What it was asked may have been done. */
export class HelperGoneError extends Error {
  override readonly name = 'HelperGoneError'
  readonly code = 'ERR_HELPER_GONE'

  constructor(cause: unknown) {
    super('the thread for small files has ended', { cause })
  }
}

export class HelperThread {
  readonly #worker: Worker
  readonly #asked = new Map<number, PromiseWithResolvers<Answer>>()
  readonly #onEnd: () => void
  #count = 0
  #isReady = false
  #isOver = false

  /**
   * @param onEnd told once, when it can be asked no more
   * @throws what the system or Node's permissions have against a thread
   */
  constructor(workerData: ThreadData, onEnd: () => void) {
    this.#onEnd = onEnd
    this.#worker = new Worker(PROGRAM, {
      workerData,
      name: 'small files',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB }
    })
    // It keeps the process alive only while it is being waited for.
    this.#worker.unref()
    this.#worker.on('online', () => {
      this.#isReady = true
    })
    this.#worker.on('message', ({ id, answer }: { id: number; answer: Answer }) => this.#take(id, answer))
    this.#worker.on('error', error => this.#fail(error))
    this.#worker.on('exit', code => this.#fail(new Error(`it ended with code ${code}`)))
  }

  /** Whether it has started. */
  get isReady(): boolean {
    return this.#isReady && !this.#isOver
  }

  get isBusy(): boolean {
    return this.#asked.size > 0
  }

  /** @throws HelperGoneError; what kept it from doing anything at all */
  async ask(request: Request): Promise<Answer> {
    if (this.#isOver) throw new HelperGoneError(undefined)
    const id = this.#count++
    const asked = Promise.withResolvers<Answer>()
    if (this.#asked.size === 0) this.#worker.ref()
    this.#asked.set(id, asked)
    this.#worker.postMessage({ id, request }, request.kind === 'write' ? [request.records.buffer] : [])
    const answer = await asked.promise
    if (answer.failure !== undefined) throw toError(answer.failure)
    return answer
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #take(id: number, answer: Answer): void {
    this.#asked.get(id)?.resolve(answer)
    this.#asked.delete(id)
    if (this.#asked.size === 0) this.#worker.unref()
  }

  #fail(cause: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const { reject } of this.#asked.values()) reject(new HelperGoneError(cause))
    this.#asked.clear()
    this.#onEnd()
  }
}
