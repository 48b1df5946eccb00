/** One GET of the read-ahead: its bytes are there as they arrive. */
import { StorageError } from '../storage/errors.ts'
import type { ObjectStorage } from '../storage/index.ts'
import type { ReadBuffer } from './read-budget.ts'

interface Waiter {
  /** Offset in the object. */
  readonly offset: number
  readonly target: Uint8Array
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Piece {
  /** Offset in the object. */
  readonly start: number
  readonly end: number
  /** Resolves, always, when the GET is over. */
  readonly ended: Promise<void>
  readonly #buffer: ReadBuffer
  readonly #controller = new AbortController()
  #waiters: Waiter[] = []
  #arrived: number
  #isDropped = false

  /** @param onFail called when the GET fails, and it was not dropped before */
  constructor(
    storage: ObjectStorage,
    key: string,
    start: number,
    buffer: ReadBuffer,
    onFail: (piece: Piece) => void
  ) {
    this.start = start
    this.end = start + buffer.length
    this.#buffer = buffer
    this.#arrived = start
    this.ended = this.#fetch(storage, key).catch(error => {
      if (this.#isDropped) return
      onFail(this)
      this.drop(error)
    })
  }

  get length(): number {
    return this.end - this.start
  }

  /**
   * Fills `target`, which lies in the piece and was not passed, as soon as its bytes have arrived.
   *
   * @throws what the GET fails with, and what the piece is dropped with
   */
  async read(offset: number, target: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { offset, target, resolve, reject }
    if (this.#serve(waiter)) return
    const onAbort = () => {
      this.#waiters = this.#waiters.filter(other => other !== waiter)
      reject(signal?.reason)
    }
    this.#waiters.push(waiter)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** What is below `offset` is not needed any more. */
  pass(offset: number): void {
    if (offset > this.start) this.#buffer.freeBelow(offset - this.start)
  }

  /** Ends the GET and frees the memory. Who still waits for bytes gets `reason`. */
  drop(reason: unknown): void {
    if (this.#isDropped) return
    this.#isDropped = true
    // A GET that has brought all its bytes ends by itself, and its connection can be used again.
    if (this.#arrived < this.end) this.#controller.abort(reason)
    this.#buffer.freeBelow(this.length)
    for (const waiter of this.#waiters) waiter.reject(reason)
    this.#waiters = []
  }

  async #fetch(storage: ObjectStorage, key: string): Promise<void> {
    const { signal } = this.#controller
    for await (const bytes of storage.read({ key, offset: this.start, length: this.length }, { signal })) {
      if (this.#isDropped && this.#arrived < this.end) return
      const taken = bytes.subarray(0, this.end - this.#arrived)
      this.#buffer.write(this.#arrived - this.start, taken)
      this.#arrived += taken.length
      if (this.#waiters.length > 0) this.#waiters = this.#waiters.filter(waiter => !this.#serve(waiter))
    }
    if (this.#arrived < this.end && !this.#isDropped) throw endsEarly(storage, key, this.#arrived)
  }

  /** Copies at once: the memory may be freed before who waits gets to run. */
  #serve({ offset, target, resolve }: Waiter): boolean {
    if (offset + target.length > this.#arrived) return false
    this.#buffer.copy(offset - this.start, target)
    resolve()
    return true
  }
}

/** For backends that end before they should without saying so. */
export function endsEarly(storage: ObjectStorage, key: string, offset: number): StorageError {
  return new StorageError(`object ${key} in ${storage.name} ended at byte ${offset}, before it should`)
}
