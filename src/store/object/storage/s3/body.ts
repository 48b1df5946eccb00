/** The body of an answer, taken piece by piece. */
import type { IncomingMessage } from 'node:http'
import { PARK_MS, QUEUE_BYTES } from './constants.ts'
import { cutFailure, foreignAnswer, S3Failure, timeoutFailure } from './failure.ts'

export class Body {
  readonly #answer: IncomingMessage
  readonly #signal: AbortSignal
  readonly #patienceMs: number
  readonly #parkMs: number
  readonly #queue: Uint8Array[] = []
  #queuedBytes = 0
  #isComplete = false
  #failure: S3Failure | undefined
  #wake: (() => void) | undefined
  #parking: NodeJS.Timeout | undefined

  /**
   * @param patienceMs how long the server may send nothing while it is waited for
   * @param parkMs after how long the socket is given up when the consumer takes nothing
   */
  constructor(answer: IncomingMessage, signal: AbortSignal, patienceMs: number, parkMs = PARK_MS) {
    this.#answer = answer
    this.#signal = signal
    this.#patienceMs = patienceMs
    this.#parkMs = parkMs
    answer.on('data', this.#onData)
    answer.once('end', this.#onEnd)
    answer.on('error', this.#onCut)
    answer.once('close', this.#onCut)
    signal.addEventListener('abort', this.#onAbort, { once: true })
    // May have aborted since the answer came.
    if (signal.aborted) this.#onAbort()
  }

  /**
   * The next piece; undefined at the end. The time that the consumer takes between two calls is not counted as the server's.
   *
   * @throws S3Failure, or the signal's reason
   */
  async next(): Promise<Uint8Array | undefined> {
    clearTimeout(this.#parking)
    while (true) {
      this.#signal.throwIfAborted()
      const piece = this.#queue.shift()
      if (piece !== undefined) {
        this.#queuedBytes -= piece.length
        if (this.#queuedBytes < QUEUE_BYTES / 2) this.#answer.resume()
        else this.#park()
        return piece
      }
      if (this.#isComplete) return undefined
      if (this.#failure !== undefined) throw this.#failure
      await this.#wait()
    }
  }

  /** All of it as text, if it is not longer than that. */
  async text(maxBytes: number): Promise<string> {
    const { text, isWhole } = await this.beginning(maxBytes)
    if (!isWhole) throw foreignAnswer(`the answer has more than ${maxBytes} bytes`)
    return text
  }

  /** Its beginning as text. The rest is not read. */
  async beginning(maxBytes: number): Promise<{ text: string; isWhole: boolean }> {
    const pieces: Uint8Array[] = []
    let bytes = 0
    try {
      while (bytes <= maxBytes) {
        const piece = await this.next()
        if (piece === undefined) return { text: decode(pieces), isWhole: true }
        pieces.push(piece)
        bytes += piece.length
      }
      return { text: decode(pieces), isWhole: false }
    } finally {
      this.close()
    }
  }

  /** Ends reading. The socket is used again when the body was read to its end. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    clearTimeout(this.#parking)
    this.#queue.length = 0
    if (this.#isComplete) return
    this.#failure ??= cutFailure('the answer is not read any more')
    this.#answer.destroy()
  }

  async #wait(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      this.#failure = timeoutFailure(`the server sent nothing for ${this.#patienceMs / 1000} s`)
      this.#answer.destroy()
      resolve()
    }, this.#patienceMs)
    this.#wake = resolve
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#wake = undefined
    }
  }

  /** The consumer does something else. If that takes long, the socket is better used by others. */
  #park(): void {
    if (this.#isComplete || !this.#answer.isPaused()) return
    this.#parking = setTimeout(() => {
      this.#failure = new S3Failure('network', 'the reading was interrupted', {
        code: 'PARKED',
        isStale: true
      })
      this.#answer.destroy()
    }, this.#parkMs)
    this.#parking.unref()
  }

  readonly #onData = (piece: Uint8Array): void => {
    // Nobody takes it any more.
    if (this.#failure !== undefined) return
    this.#queue.push(piece)
    this.#queuedBytes += piece.length
    if (this.#queuedBytes >= QUEUE_BYTES) {
      this.#answer.pause()
      if (this.#wake === undefined) this.#park()
    }
    this.#wake?.()
  }

  readonly #onEnd = (): void => {
    this.#isComplete = true
    clearTimeout(this.#parking)
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#wake?.()
  }

  readonly #onCut = (): void => {
    if (this.#isComplete) return
    this.#failure ??= cutFailure('the connection ended in the middle of the answer')
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#wake?.()
  }

  readonly #onAbort = (): void => {
    this.#answer.destroy()
    this.#wake?.()
  }
}

function decode(pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString('utf8')
}
