/** Answers the requests that come in on libp2p streams. */
import type { Connection, Logger, PeerId, Stream } from '@libp2p/interface'
import { ENCODE_BATCH_BYTES } from '../bao/encoder.ts'
import { BLOBS_PROTOCOL } from '../protocol/constants.ts'
import { BusyError } from '../protocol/errors.ts'
import type { Request } from '../protocol/request.ts'
import { type ReceivedPush, respond } from '../protocol/respond.ts'
import { encodeStatus } from '../protocol/status.ts'
import type { BlobStore } from '../store/index.ts'
import { closeStream } from './close-stream.ts'
import { MAX_SPARE_STREAMS_PER_PEER, RESPONSE_MEMORY_BYTES } from './constants.ts'
import { deadline } from './deadline.ts'
import type { BlobsLimits } from './limits.ts'
import { type Guest, StreamLimits } from './stream-limits.ts'
import { type StreamReader, streamReader } from './stream-reader.ts'
import { streamWriter, writePieceBytes } from './stream-writer.ts'
import { Turns } from './turns.ts'

/** A request that was answered, or could not be. */
export interface ServedRequest {
  readonly peer: PeerId
  readonly protocol: string
  /** Undefined when the request could not be read. */
  readonly request: Request | undefined
  /** Bytes sent. */
  readonly bytes: number
  /** From the first byte of the request to the end of the stream, in ms. */
  readonly ms: number
  /** Why the answer is not all that was asked for. */
  readonly error: unknown
}

/** A push that has been received in full. */
export interface PushedBlobs extends ReceivedPush {
  readonly peer: PeerId
}

export interface ProviderInit {
  readonly store: BlobStore
  readonly limits: BlobsLimits
  readonly log: Logger
  readonly acceptPush: (peer: PeerId) => boolean | Promise<boolean>
  readonly authorize?: ((asked: { peer: PeerId; request: Request }) => boolean | Promise<boolean>) | undefined
  readonly onServed: (served: ServedRequest) => void
  /** Waited for before the pusher is told that all went well. */
  readonly onPushed: (pushed: PushedBlobs) => Promise<void>
}

/** The peer took too long to send its request, or to take the response. */
export class RequestTimeoutError extends Error {
  override readonly name = 'RequestTimeoutError'
  readonly code = 'ERR_REQUEST_TIMEOUT'
}

/** The peer does not take its response, or does not send what it pushes, while others wait for its place. */
export class SlowPeerError extends Error {
  override readonly name = 'SlowPeerError'
  readonly code = 'ERR_SLOW_PEER'

  constructor() {
    super('the peer did not take its response, or not send what it pushes, and another one needed the place')
  }
}

/** An Observe rests most of the time. */
const RESTING: Guest = { isIdle: () => false, onLost: () => undefined }

export class Provider {
  readonly #init: ProviderInit
  /** Those whose request has not come in full. They take no place of those who have asked. */
  readonly #unread: StreamLimits
  readonly #streams: StreamLimits
  readonly #observers: StreamLimits
  readonly #stopping = new AbortController()
  /** One for each request: putting signals together costs more than all else that is done for one. */
  readonly #endings = new Set<AbortController>()
  readonly #serving = new Set<Promise<void>>()
  readonly #turns = new Turns()
  /** How many of those that are served want data: not who is turned away, has not asked yet, or observes. */
  #responses = 0

  constructor(init: ProviderInit) {
    this.#init = init
    const { maxStreamsPerPeer, maxStreams, maxObserversPerPeer, maxObservers } = init.limits
    this.#unread = new StreamLimits(maxStreamsPerPeer + MAX_SPARE_STREAMS_PER_PEER, maxStreams)
    this.#streams = new StreamLimits(maxStreamsPerPeer, maxStreams)
    this.#observers = new StreamLimits(maxObserversPerPeer, maxObservers)
  }

  /** Handles one inbound stream. Never rejects: what goes wrong concerns this stream only. */
  async handle(stream: Stream, connection: Connection): Promise<void> {
    const serving = this.#handle(stream, connection).finally(() => {
      this.#serving.delete(serving)
    })
    this.#serving.add(serving)
    await serving
  }

  /** A stream counts as a request when that has come in full. */
  async #handle(stream: Stream, connection: Connection): Promise<void> {
    const { limits } = this.#init
    const ending = new AbortController()
    this.#endings.add(ending)
    if (this.#stopping.signal.aborted) ending.abort(this.#stopping.signal.reason)
    const reader = streamReader(stream, { signal: ending.signal, idleTimeoutMs: limits.idleTimeoutMs })
    const isAsked = stream.readBufferLength > 0
    const leave = this.#unread.enter(connection.remotePeer.toString(), {
      isIdle: () => true,
      onLost: () => ending.abort(new BusyError(limits.retryAfterMs))
    })
    try {
      if (leave === undefined) await this.#refuse(stream)
      else if (isAsked || (await this.#untilAsked(stream, reader, ending)))
        await this.#serve(stream, connection, reader, ending, leave)
    } finally {
      leave?.()
      await reader.return()
      this.#endings.delete(ending)
    }
  }

  /**
   * Getters that ask for one thing after the other open the next stream ahead, and may not need it. So nothing is wrong with one that
   * ends without a word, and nobody is told of it.
   *
   * @returns whether a request has begun
   */
  async #untilAsked(stream: Stream, reader: StreamReader, ending: AbortController): Promise<boolean> {
    const { requestTimeoutMs } = this.#init.limits
    const inTime = abortAfter(ending, requestTimeoutMs, 'the request did not begin within')
    try {
      if (await reader.arrival()) return true
      await stream.close({ signal: ending.signal })
    } catch (error) {
      this.#init.log.trace('a stream has ended without a request: %e', error)
      stream.abort(toError(error))
    } finally {
      inTime()
    }
    return false
  }

  /** Resets all streams and waits until they are done. */
  async stop(): Promise<void> {
    const reason = new Error('the node is stopping')
    this.#stopping.abort(reason)
    for (const ending of this.#endings) ending.abort(reason)
    await Promise.all(this.#serving)
  }

  /**
   * What a response may read at a time, as long as there are no more and no fewer of them. It holds up to six such pieces: two read,
   * four on their way. A power of two, so that it seldom changes: then buffers are made anew.
   */
  readonly #batchBytes = (): number => {
    const share = RESPONSE_MEMORY_BYTES / 6 / this.#responses
    return Math.min(ENCODE_BATCH_BYTES, 2 ** Math.floor(Math.log2(share)))
  }

  #enterResponses(): () => void {
    this.#responses++
    return () => {
      this.#responses--
    }
  }

  async #refuse(stream: Stream): Promise<void> {
    const { limits, log } = this.#init
    if (stream.protocol !== BLOBS_PROTOCOL) {
      stream.abort(new Error('too many requests at the same time'))
      return
    }
    const writer = streamWriter(stream, {
      idleTimeoutMs: limits.requestTimeoutMs,
      signal: this.#stopping.signal
    })
    try {
      await writer.write(encodeStatus({ type: 'busy', retryAfterMs: limits.retryAfterMs }))
      await writer.end()
      await closeStream(stream)
    } catch (error) {
      log('could not tell a peer to wait: %e', error)
      writer.abort(toError(error))
    }
  }

  async #serve(
    stream: Stream,
    connection: Connection,
    reader: StreamReader,
    ending: AbortController,
    leaveUnread: () => void
  ): Promise<void> {
    const { store, limits, log, acceptPush, authorize, onServed, onPushed } = this.#init
    const peer = connection.remotePeer
    const startedAt = performance.now()
    const { signal } = ending
    const requestHasCome = abortAfter(ending, limits.requestTimeoutMs, 'the request did not come within')
    const streamHasEnded = abortAfter(ending, limits.streamTimeoutMs, 'the stream was open for')
    const onClose = (): void => ending.abort(new Error('the stream was closed'))
    stream.addEventListener('close', onClose)
    const writer = streamWriter(stream, {
      signal,
      idleTimeoutMs: limits.idleTimeoutMs,
      pieceBytes: writePieceBytes(connection),
      turns: this.#turns
    })
    const guest: Guest = {
      isIdle: () => Math.max(writer.waitedMs, reader.waitedMs) > limits.stallTimeoutMs,
      onLost: () => ending.abort(new SlowPeerError())
    }
    let request: Request | undefined
    let failure: unknown
    const places: ((() => void) | undefined)[] = []
    try {
      const response = respond(reader, store, {
        signal,
        hasStatus: stream.protocol === BLOBS_PROTOCOL,
        acceptPush: () => acceptPush(peer),
        onPushed: pushed => onPushed({ peer, ...pushed }),
        maxBlobBytes: limits.maxBlobBytes,
        // The writer waits until a piece has left the stream: what the connection still holds of it is less than the next three.
        encode: { batchBytes: this.#batchBytes, reuseBuffers: true, turn: () => this.#turns.enter() },
        authorize: authorize && (request => authorize({ peer, request })),
        onRequest: received => {
          request = received
          requestHasCome()
          leaveUnread()
          const isObserve = received.type === 'observe'
          places.push(this.#streams.enter(peer.toString(), guest))
          places.push(isObserve ? this.#observers.enter(peer.toString(), RESTING) : this.#enterResponses())
          if (places.includes(undefined)) throw new BusyError(limits.retryAfterMs)
        },
        onFailure: error => {
          failure = error
        }
      })
      for await (const piece of response) await writer.write(piece)
      await writer.end()
      // As it is about to be.
      stream.removeEventListener('close', onClose)
      await closeStream(stream)
    } catch (error) {
      failure ??= error
      // Who has lost the place before it had asked is told to come again.
      if (error instanceof BusyError) await this.#refuse(stream)
      else writer.abort(toError(error))
    } finally {
      for (const leave of places) leave?.()
      stream.removeEventListener('close', onClose)
      requestHasCome()
      streamHasEnded()
    }
    if (failure !== undefined) log('a request of %p was not answered in full: %e', peer, failure)
    const ms = performance.now() - startedAt
    onServed({ peer, protocol: stream.protocol, request, bytes: writer.bytesWritten, ms, error: failure })
  }
}

/** @returns to be called when what it waits for has happened */
function abortAfter(controller: AbortController, ms: number, text: string): () => void {
  return deadline(ms, () => controller.abort(new RequestTimeoutError(`${text} ${ms} ms`)))
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
