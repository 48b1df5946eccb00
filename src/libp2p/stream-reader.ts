/**
 * Reads a libp2p stream at the consumer's pace.
 *
 * Why not `for await (const bytes of stream)`: it queues without bound, and it never ends when the peer closed its
 * side before the loop began. Why not `byteStream`: it aborts the stream once 4 MiB wait. This reader queues a
 * little, then pauses the stream, so that the peer's window runs out and the peer has to wait.
 */
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { nextTurn } from '../protocol/fair-turns.ts'
import { IdleTimer } from './idle-timer.ts'
import { resetErrorOf, StreamIdleTimeoutError, UnexpectedBytesError } from './stream-errors.ts'
import { boundReadAhead, grantInBulk } from './yamux-options.ts'

/**
 * Bytes queued before the stream is paused. Raising it costs memory per stream, lowering it costs a pause whenever
 * the consumer is late for as long as that many bytes take to arrive.
 */
export const DEFAULT_MAX_BUFFERED_BYTES = 1024 * 1024

/**
 * Bytes that a paused stream gathers before the peer is answered, as long as more arrive in each turn of the event loop. Half of
 * the first window of a yamux stream, so that the peer need not stop; an answer is a message of its own through the whole
 * connection, on both sides.
 */
const ANSWER_BYTES = 128 * 1024

/**
 * Bytes at the beginning of a stream for which it is not paused: a small response is read in the turn in which it arrives.
 */
const UNPAUSED_BYTES = 32 * 1024

/** For so many turns at most: where turns take long, a slow peer is answered in time. */
const ANSWER_TURNS = 4

/** The stream resumes when the queue is down to this part of its maximum: late enough to rest, early enough not to run dry. */
const RESUME_BELOW = 1 / 4

export interface StreamReaderOptions {
  /** Ends the reading: the waiting `next()` is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Longest wait for the next byte in ms, counted only while the consumer waits. Without it, no limit. */
  readonly idleTimeoutMs?: number | undefined
  /** Bytes that must come first, and are not handed to the consumer: the peer's consent to an offered protocol. */
  readonly expected?: Uint8Array | undefined
  /**
   * Queue size in bytes from which the stream is paused.
   *
   * @default 1_048_576
   */
  readonly maxBufferedBytes?: number
}

/** The bytes of a stream in order, in pieces as they arrived: never empty, never copied. */
export interface StreamReader extends AsyncIterableIterator<Uint8Array, undefined, undefined> {
  /** Bytes handed to the consumer so far. */
  readonly bytesRead: number
  /** Bytes waiting in the reader's own queue. The stream holds more in `readBufferLength`. */
  readonly bufferedBytes: number
  /** For how long the consumer has been waiting for the next byte, in ms; 0 when it does not wait. */
  readonly waitedMs: number
  /** Whether all that must come first has. */
  readonly isAsExpected: boolean
  next(): Promise<IteratorResult<Uint8Array, undefined>>
  /**
   * Waits until there is something to read, and leaves it there.
   *
   * @returns whether there is; not when the peer has closed its side
   * @throws what `next()` would throw
   */
  arrival(): Promise<boolean>
  /** What `next()` would resolve with, if it is here already. */
  takeNow(): Uint8Array | undefined
  /** Stops listening, drops what is queued and leaves the stream paused. The stream stays open: see `streamReader`. */
  return(): Promise<IteratorResult<Uint8Array, undefined>>
  [Symbol.asyncIterator](): StreamReader
}

/**
 * Starts to listen at once: bytes and the peer's close that come before the first `next()` are not lost. Make the
 * reader before the first await after getting the stream, and only one per stream: on a stream that is closed already
 * a lost connection looks like the peer's clean close.
 *
 * A clean close is no proof that everything was sent: a js-libp2p node that is stopped closes its streams cleanly in
 * mid-transfer. What the bytes say must decide.
 *
 * Memory: at most one receive window waits in the stream, and one in the queue beside its own maximum, see
 * `MAX_STREAM_WINDOW_BYTES`.
 *
 * Iterating ends when the peer has closed its side and every byte was handed over. Bytes that arrived before a failure
 * are handed over before the failure is thrown, except after `signal`. Who stops early, by `break`, by an error or by
 * the signal, still owns the stream and must `abort()` it (or, to go on writing, `closeRead()` it): until then the
 * peer can fill one more window.
 *
 * @throws StreamResetError from `next()`: reset by the peer, aborted, or the connection was lost
 * @throws StreamIdleTimeoutError from `next()`
 * @throws UnexpectedBytesError from `next()`: other bytes came than must come first
 */
export function streamReader(stream: Stream, options: StreamReaderOptions = {}): StreamReader {
  return new Reader(stream, options)
}

const NOTHING = new Uint8Array(0)

class Reader implements StreamReader {
  bytesRead = 0
  bufferedBytes = 0

  readonly #stream: Stream
  readonly #signal: AbortSignal | undefined
  readonly #idle: IdleTimer | undefined
  readonly #pauseAt: number
  readonly #resumeAt: number
  /** What of it has not come yet. */
  #expected: Uint8Array
  #queue: Uint8Array[] = []
  #queueHead = 0
  #resuming = false
  #resumeScheduled = false
  /** What the paused stream held a turn ago. */
  #heldBefore = 0
  /** Turns since then in which more has come. */
  #turns = 0
  /** The peer closed its side; the stream may still hold bytes. */
  #remoteEnded: boolean
  /** The peer closed its side and the stream has handed us its last byte: no later failure can take that back. */
  #complete = false
  #closeError: Error | undefined
  /** What every `next()` throws from now on. */
  #failure: { readonly error: unknown } | undefined
  #stopped = false
  #waiting: { readonly since: number; readonly promise: Promise<void>; readonly wake: () => void } | undefined

  constructor(stream: Stream, options: StreamReaderOptions) {
    this.#stream = stream
    this.#signal = options.signal
    const { idleTimeoutMs } = options
    if (idleTimeoutMs !== undefined) {
      this.#idle = new IdleTimer(idleTimeoutMs, () =>
        this.#fail(new StreamIdleTimeoutError(idleTimeoutMs, 'read', this.bytesRead))
      )
    }
    this.#pauseAt = options.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES
    this.#resumeAt = this.#pauseAt * RESUME_BELOW
    this.#expected = options.expected ?? NOTHING
    // A reset or an abort marks the peer's side as closed too, without the peer having closed it.
    const broken = stream.status === 'reset' || stream.status === 'aborted'
    this.#remoteEnded = stream.remoteWriteStatus === 'closed' && !broken
    this.#noteIfComplete()
    if (this.#signal?.aborted === true) {
      this.#onAbort()
      return
    }
    boundReadAhead(stream)
    grantInBulk(stream)
    stream.addEventListener('message', this.#onMessage)
    stream.addEventListener('remoteCloseWrite', this.#onRemoteCloseWrite)
    stream.addEventListener('end', this.#onEnd)
    stream.addEventListener('close', this.#onClose)
    this.#signal?.addEventListener('abort', this.#onAbort)
  }

  get waitedMs(): number {
    return this.#waiting === undefined ? 0 : performance.now() - this.#waiting.since
  }

  get isAsExpected(): boolean {
    return this.#expected.length === 0
  }

  [Symbol.asyncIterator](): StreamReader {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      const piece = this.takeNow()
      if (piece !== undefined) return { done: false, value: piece }
      if (this.#isOver()) return { done: true, value: undefined }
      await this.#arrival()
    }
  }

  async arrival(): Promise<boolean> {
    while (this.#queue.length === 0) {
      if (this.#isOver()) return false
      await this.#arrival()
    }
    return true
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#stop()
    return { done: true, value: undefined }
  }

  takeNow(): Uint8Array | undefined {
    const piece = this.#queue[this.#queueHead]
    if (piece === undefined) return undefined
    this.#queueHead++
    if (this.#queueHead === this.#queue.length) {
      this.#queue = []
      this.#queueHead = 0
    }
    this.bufferedBytes -= piece.length
    this.bytesRead += piece.length
    this.#resumeSoon()
    return piece
  }

  /** @throws what the stream failed with */
  #isOver(): boolean {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#stopped) return true
    if (this.#complete) {
      this.#stop()
      return true
    }
    // What the stream still holds comes first: it is dispatched in a moment, by `#resumeSoon` or because we listen now.
    if (this.#stream.readBufferLength > 0) return false
    const error = resetErrorOf(this.#stream, 'read', this.bytesRead, this.#closeError)
    if (error !== undefined) {
      this.#fail(error)
      throw error
    }
    // The owner called closeRead().
    return this.#stream.readStatus === 'closing' || this.#stream.readStatus === 'closed'
  }

  /** Resolves when the state may have changed. */
  #arrival(): Promise<void> {
    if (this.#waiting === undefined) {
      this.#idle?.begin()
      let wake: () => void = () => undefined
      const promise = new Promise<void>(resolve => {
        wake = () => {
          this.#idle?.end()
          this.#waiting = undefined
          resolve()
        }
      })
      this.#waiting = { since: performance.now(), promise, wake }
    }
    return this.#waiting.promise
  }

  readonly #onMessage = (event: StreamMessageEvent): void => {
    for (const arrived of event.data instanceof Uint8Array ? [event.data] : event.data) {
      const piece = this.#expected.length === 0 ? arrived : this.#withoutExpected(arrived)
      if (this.#stopped) return
      if (piece.length === 0) continue
      this.#queue.push(piece)
      this.bufferedBytes += piece.length
    }
    this.#noteIfComplete()
    // `resume()` dispatches what the stream held, and un-pauses the muxer after that, whatever a listener did meanwhile:
    // the stream would look paused, and the peer would be told to go on.
    if (!this.#resuming && this.bytesRead + this.bufferedBytes > UNPAUSED_BYTES) this.#pause()
    this.#waiting?.wake()
  }

  #withoutExpected(piece: Uint8Array): Uint8Array {
    const expected = this.#expected.subarray(0, piece.length)
    if (!expected.every((byte, i) => byte === piece[i])) {
      this.#fail(new UnexpectedBytesError())
      return NOTHING
    }
    this.#expected = this.#expected.subarray(expected.length)
    return piece.subarray(expected.length)
  }

  readonly #onRemoteCloseWrite = (): void => {
    this.#remoteEnded = true
    this.#noteIfComplete()
    this.#waiting?.wake()
  }

  readonly #onEnd = (): void => {
    this.#waiting?.wake()
  }

  readonly #onClose = (event: StreamCloseEvent): void => {
    this.#closeError = event.error
    this.#waiting?.wake()
  }

  readonly #onAbort = (): void => {
    this.#fail(this.#signal?.reason)
  }

  #noteIfComplete(): void {
    if (this.#remoteEnded && this.#stream.readBufferLength === 0) this.#complete = true
  }

  /**
   * A stream that is not paused answers every frame with a grant for the next, each a message of its own through the
   * whole connection. So the stream is paused from one turn of the event loop to the next, or while `ANSWER_BYTES` come, and
   * answers all of that at once.
   */
  #pause(): void {
    if (this.#stream.readStatus === 'readable') this.#stream.pause()
    this.#resumeSoon()
  }

  #resumeSoon(): void {
    if (this.#resumeScheduled || this.bufferedBytes > this.#resumeAt || this.#stream.readStatus !== 'paused')
      return
    this.#resumeScheduled = true
    nextTurn(() => {
      this.#resumeScheduled = false
      const held = this.#stream.readBufferLength
      if (
        held > this.#heldBefore &&
        held < ANSWER_BYTES &&
        !this.#remoteEnded &&
        this.#turns++ < ANSWER_TURNS
      ) {
        this.#heldBefore = held
        this.#resumeSoon()
        return
      }
      this.#heldBefore = 0
      this.#turns = 0
      this.#resume()
    })
  }

  #resume(): void {
    // Nor when all has come: it would tell the peer that it may send more.
    if (this.#stopped || this.#complete || this.#stream.readStatus !== 'paused') return
    const held = this.#stream.readBufferLength
    this.#resuming = true
    try {
      this.#stream.resume()
    } catch (err) {
      // It dispatches first and then tells the peer. Where there is no peer to tell any more, the bytes still count,
      // and what became of the stream is reported behind them.
      if (this.#stream.status === 'open') this.#fail(err)
    } finally {
      this.#resuming = false
    }
    if (held > 0) this.#pause()
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#stop()
  }

  #stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#stream.removeEventListener('message', this.#onMessage)
    this.#stream.removeEventListener('remoteCloseWrite', this.#onRemoteCloseWrite)
    this.#stream.removeEventListener('end', this.#onEnd)
    this.#stream.removeEventListener('close', this.#onClose)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#queue = []
    this.#queueHead = 0
    this.bufferedBytes = 0
    // A stream without listeners still grants the peer more, until its buffer overflows.
    if (!this.#complete && this.#stream.status === 'open' && this.#stream.readStatus === 'readable') {
      this.#stream.pause()
    }
    this.#waiting?.wake()
    this.#idle?.stop()
  }
}
