/**
 * Writes to a libp2p stream at the peer's pace.
 *
 * Why not `if (!stream.send(bytes)) await stream.onDrain()`: its promise is made once, so from the second time on it
 * does not wait and everything ends up in the stream's buffer. This writer waits for the `drain` event itself, and for
 * as long as the stream says that it needs draining: a drain of the connection reaches every stream, also one whose own
 * window is still used up.
 */
import type { Connection, Stream, StreamCloseEvent } from '@libp2p/interface'
import { IdleTimer } from './idle-timer.ts'
import {
  resetErrorOf,
  StreamBusyError,
  StreamEndedError,
  StreamIdleTimeoutError,
  StreamNotReadError
} from './stream-errors.ts'
import type { Turns } from './turns.ts'
import { closesAtOnce } from './yamux-options.ts'

/**
 * Bytes handed to the stream at a time, and so the most that waits in its write buffer, by default.
 *
 * A drain says that the socket is empty, not what the connection has queued behind it, so the piece is also about what
 * is queued there unseen: 0.12 MiB at 60 KiB, 1 MiB at 1 MiB. 60 KiB with its yamux header still fits into one noise message
 * (65519 bytes), so noise is no faster with more; lower costs CPU, a fifth more at 32 KiB.
 */
export const WRITE_PIECE_BYTES = 60 * 1024

/** The same on connections whose encryption does not take it apart message by message: a drain is waited for less often. */
export const LARGE_WRITE_PIECE_BYTES = 240 * 1024

const NOISE = '/noise'

/** How much to hand to a stream of this connection at a time, in bytes. */
export function writePieceBytes({ encryption }: Pick<Connection, 'encryption'>): number {
  return encryption === NOISE ? WRITE_PIECE_BYTES : LARGE_WRITE_PIECE_BYTES
}

/** How long `end()` waits for the last bytes to be taken when no `idleTimeoutMs` is given, in ms. */
export const DEFAULT_END_TIMEOUT_MS = 30_000

export interface StreamWriterOptions {
  /** Ends the writing: what waits is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Longest wait in ms for the peer to take a piece. Without it, no limit but that of `end()`. */
  readonly idleTimeoutMs?: number | undefined
  /**
   * Bytes handed to the stream at a time: see `writePieceBytes`.
   *
   * @default 61_440
   */
  readonly pieceBytes?: number
  /** Shared by those who write at the same time: after the first piece of a write, none is handed over before there is time for it. */
  readonly turns?: Turns
}

/**
 * One call at a time: await each `write()`.
 *
 * After an error the stream is of no more use for writing; who owns it calls `abort()`.
 */
export interface StreamWriter {
  /** Bytes given to the stream so far: sent, or in its write buffer. */
  readonly bytesWritten: number
  /** For how long the peer has been waited for to take what was given last, in ms; 0 when nobody waits. */
  readonly waitedMs: number
  /**
   * Resolves when the stream can take more. The bytes must not be modified afterwards: the connection may still refer
   * to them.
   *
   * @throws StreamResetError reset by the peer, aborted, or the connection was lost
   * @throws StreamNotReadError the peer closed its reading side
   * @throws StreamIdleTimeoutError
   * @throws StreamEndedError after `end()`
   * @throws StreamBusyError another write is still waiting
   */
  write(bytes: Uint8Array): Promise<void>
  /**
   * Closes our side; the peer's side stays open. Resolves when the close was handed to the connection. The stream is
   * aborted when that fails, as it could never be closed again. Once ended, does nothing.
   *
   * @throws StreamResetError, StreamIdleTimeoutError, StreamBusyError
   */
  end(): Promise<void>
  /** Gives the stream up, both directions: the peer sees a reset. */
  abort(err: Error): void
}

/** Make it before the first await after getting the stream, so that no failure is missed. */
export function streamWriter(stream: Stream, options: StreamWriterOptions = {}): StreamWriter {
  return new Writer(stream, options)
}

/**
 * Writes all of `source`, then closes our side. Whatever fails, the source included, aborts the stream.
 *
 * @returns bytes written
 * @throws what `source`, `StreamWriter.write` or `StreamWriter.end` throws
 */
export async function writeAll(
  stream: Stream,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: StreamWriterOptions = {}
): Promise<number> {
  const writer = streamWriter(stream, options)
  try {
    for await (const bytes of source) await writer.write(bytes)
    await writer.end()
  } catch (err) {
    writer.abort(err instanceof Error ? err : new Error(String(err)))
    throw err
  }
  return writer.bytesWritten
}

class Writer implements StreamWriter {
  bytesWritten = 0

  readonly #stream: Stream
  readonly #signal: AbortSignal | undefined
  readonly #idleTimeoutMs: number | undefined
  readonly #pieceBytes: number
  readonly #turns: Turns | undefined
  #closeError: Error | undefined
  #busy = false
  #ended = false
  /** Since when the peer is waited for, if it is, by the clock of `performance`. */
  #waitsSince: number | undefined
  /** Whether it is told of what it may wait for. */
  #isListening = false
  #wake: (() => void) | undefined
  readonly #idle: IdleTimer | undefined
  #idleError: StreamIdleTimeoutError | undefined

  constructor(stream: Stream, options: StreamWriterOptions) {
    this.#stream = stream
    this.#signal = options.signal
    this.#idleTimeoutMs = options.idleTimeoutMs
    this.#pieceBytes = options.pieceBytes ?? WRITE_PIECE_BYTES
    this.#turns = options.turns
    const { idleTimeoutMs } = options
    if (idleTimeoutMs !== undefined) {
      this.#idle = new IdleTimer(idleTimeoutMs, () => {
        this.#idleError = new StreamIdleTimeoutError(idleTimeoutMs, 'written', this.bytesWritten)
        this.#wake?.()
      })
    }
    stream.addEventListener('close', this.#onClose)
  }

  get waitedMs(): number {
    return this.#waitsSince === undefined ? 0 : performance.now() - this.#waitsSince
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#begin()
    try {
      this.#throwIfUnusable()
      for (let at = 0; at < bytes.length; at += this.#pieceBytes) {
        // Without turns no piece waits for anything but the stream: who sees that it takes more knows that all has been handed over.
        if (at > 0 && this.#turns !== undefined) await this.#turns.enter()
        this.#send(bytes.subarray(at, at + this.#pieceBytes))
        if (this.#stream.writableNeedsDrain) await this.#drained()
      }
    } finally {
      this.#busy = false
    }
  }

  async end(): Promise<void> {
    this.#begin()
    try {
      if (this.#ended) return
      this.#throwIfUnusable()
      this.#ended = true
      await this.#closeWrite()
    } finally {
      this.#busy = false
    }
  }

  abort(err: Error): void {
    this.#stream.abort(err)
    this.#release()
  }

  #begin(): void {
    if (this.#busy) throw new StreamBusyError(this.bytesWritten)
    this.#busy = true
  }

  #send(piece: Uint8Array): void {
    try {
      this.#stream.send(piece)
    } catch (err) {
      // The stream has aborted itself, or was closed: say that rather than what it tripped over.
      this.#throwIfUnusable()
      throw err
    }
    this.bytesWritten += piece.length
  }

  /**
   * Resolves when the piece is out of the stream's buffer and the connection takes more. The time limit is for the
   * piece: a drain is no sign of progress, other streams of the connection cause it too.
   */
  async #drained(): Promise<void> {
    this.#listen()
    this.#idle?.begin()
    this.#waitsSince = performance.now()
    try {
      for (;;) {
        // Also before the first wait: what has happened since the last look, as while others had their turn, wakes nobody any more.
        this.#throwIfUnusable()
        if (!this.#stream.writableNeedsDrain) return
        if (this.#idleError !== undefined) throw this.#idleError
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      }
    } finally {
      this.#idle?.end()
      this.#waitsSince = undefined
      this.#idleError = undefined
      this.#wake = undefined
    }
  }

  /** Most streams are over before there is anything to wait for. */
  #listen(): void {
    if (this.#isListening) return
    this.#isListening = true
    this.#stream.addEventListener('drain', this.#onChange)
    // A peer that stops reading gets our buffer emptied: idle, but never a drain.
    this.#stream.addEventListener('idle', this.#onChange)
    this.#signal?.addEventListener('abort', this.#onChange)
  }

  /** `stream.close` waits for events that may never come, and a second call does nothing: so once, with a time limit. */
  async #closeWrite(): Promise<void> {
    if (closesAtOnce(this.#stream)) return await this.#closeNow()
    const timeoutMs = this.#idleTimeoutMs ?? DEFAULT_END_TIMEOUT_MS
    this.#waitsSince = performance.now()
    const giveUp = new AbortController()
    const timer = setTimeout(
      () => giveUp.abort(new StreamIdleTimeoutError(timeoutMs, 'written', this.bytesWritten)),
      timeoutMs
    )
    const onAbort = () => giveUp.abort(this.#signal?.reason)
    this.#signal?.addEventListener('abort', onAbort)
    try {
      await this.#stream.close({ signal: giveUp.signal })
      this.#throwIfBroken()
    } catch (err) {
      this.#throwIfBroken()
      const reason: unknown = giveUp.signal.aborted ? giveUp.signal.reason : err
      this.#stream.abort(reason instanceof Error ? reason : new Error(String(reason)))
      throw reason
    } finally {
      this.#waitsSince = undefined
      clearTimeout(timer)
      this.#signal?.removeEventListener('abort', onAbort)
      this.#release()
    }
  }

  async #closeNow(): Promise<void> {
    try {
      await this.#stream.close()
      this.#throwIfBroken()
    } catch (err) {
      this.#throwIfBroken()
      this.#stream.abort(err instanceof Error ? err : new Error(String(err)))
      throw err
    } finally {
      this.#release()
    }
  }

  #throwIfUnusable(): void {
    this.#signal?.throwIfAborted()
    if (this.#ended) throw new StreamEndedError(this.bytesWritten)
    const error = resetErrorOf(this.#stream, 'written', this.bytesWritten, this.#closeError)
    if (error !== undefined) throw error
    if (this.#stream.writeStatus !== 'writable') throw new StreamEndedError(this.bytesWritten)
    if (this.#stream.remoteReadStatus !== 'readable') throw new StreamNotReadError(this.bytesWritten)
  }

  /** Unlike a closed stream, which is what `end()` is for. */
  #throwIfBroken(): void {
    if (this.#stream.status === 'closed') return
    const error = resetErrorOf(this.#stream, 'written', this.bytesWritten, this.#closeError)
    if (error !== undefined) throw error
  }

  readonly #onChange = (): void => {
    this.#wake?.()
  }

  readonly #onClose = (event: StreamCloseEvent): void => {
    this.#closeError = event.error
    this.#release()
  }

  #release(): void {
    this.#stream.removeEventListener('close', this.#onClose)
    if (this.#isListening) {
      this.#stream.removeEventListener('drain', this.#onChange)
      this.#stream.removeEventListener('idle', this.#onChange)
      this.#signal?.removeEventListener('abort', this.#onChange)
    }
    this.#idle?.stop()
    this.#wake?.()
  }
}
