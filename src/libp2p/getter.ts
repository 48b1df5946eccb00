/** Sends requests to providers, and carries their responses. */
import type { Connection, Logger, PeerId, Stream } from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'
import type { Pieces } from '../protocol/byte-reader.ts'
import { concat } from '../protocol/concat.ts'
import { BLOBS_PROTOCOL, IROH_PROTOCOL } from '../protocol/constants.ts'
import { RefusedError } from '../protocol/errors.ts'
import { nextTurn } from '../protocol/fair-turns.ts'
import { encodeRequest, type Request } from '../protocol/request.ts'
import { closeStream } from './close-stream.ts'
import { AGREE_TIMEOUT_PART, MAX_BUSY_RETRIES, MAX_RETRY_AFTER_MS } from './constants.ts'
import { deadline } from './deadline.ts'
import { openEarly } from './early-stream.ts'
import type { BlobsLimits } from './limits.ts'
import { idOf, nameOf, type ProviderAddress } from './provider-address.ts'
import { SpareStreams } from './spare-streams.ts'
import { StreamIdleTimeoutError, StreamResetError } from './stream-errors.ts'
import { type StreamReader, streamReader } from './stream-reader.ts'
import { type StreamWriter, streamWriter, writePieceBytes } from './stream-writer.ts'

/** No connection, or no stream, to the provider could be had. */
export class ProviderUnreachableError extends Error {
  override readonly name = 'ProviderUnreachableError'
  readonly code = 'ERR_PROVIDER_UNREACHABLE'

  constructor(provider: ProviderAddress, cause: unknown) {
    super(`${nameOf(provider)} cannot be reached: ${reasonOf(cause)}`, {
      cause
    })
  }
}

/** libp2p sometimes rejects with the event that it was waiting against. */
function reasonOf(cause: unknown): string {
  if (cause instanceof Error) return cause.message
  return cause instanceof Event ? `the connection reported "${cause.type}"` : String(cause)
}

/** A connection that takes no stream any more counts as open until its last stream has ended, or for some turns of the event loop. */
function isEnding(error: unknown): boolean {
  return (
    error instanceof Error && (error.name === 'ConnectionClosedError' || error.name === 'MuxerClosedError')
  )
}

/** A response, on its way. */
export interface Exchange {
  /** Who answers. */
  readonly peer: PeerId
  readonly response: Pieces
  /** Whether the response begins with a status. */
  readonly hasStatus: boolean
  /** For what follows the request: a push's data. Our side is closed already when the request has none. */
  readonly writer: StreamWriter
}

export interface AskOptions {
  readonly signal?: AbortSignal | undefined
  /** Whether the response may rest for any time, as that to an Observe does. */
  readonly isQuiet?: boolean | undefined
  /**
   * Longest time without a byte, in ms.
   *
   * @default that of the limits
   */
  readonly idleTimeoutMs?: number | undefined
}

/** The peer does not agree to the protocol that it has agreed to before. Then it is asked anew, and waited for. */
class DeclinedError extends Error {
  override readonly name = 'DeclinedError'
}

/** The stream that was open for the request had been given up, and nothing has come back on it. Then it is asked on a new one. */
class SpareStreamLostError extends Error {
  override readonly name = 'SpareStreamLostError'
}

/** A request that is on its way. */
interface Asked {
  readonly stream: Stream
  readonly connection: Connection
  readonly response: StreamReader
  readonly writer: StreamWriter
  /** Settles when the request has been handed to the connection, and libp2p is done with opening the stream. */
  readonly sent: Promise<unknown>
  /** Whether the stream was open before. */
  readonly isSpare?: boolean
}

/**
 * Sends a request.
 *
 * @param offer what is to be sent before it, and to come back, where the peer has still to agree
 * @param isOffered whether that has been sent
 */
type Send = (stream: Stream, connection: Connection, offer?: Uint8Array, isOffered?: boolean) => Asked

interface ReachOptions {
  readonly signal: AbortSignal
  readonly maxOutboundStreams: number
  readonly runOnLimitedConnection: boolean
  /** Whether a connection that is open will not do. */
  readonly force?: boolean
}

export interface GetterComponents {
  readonly connectionManager: ConnectionManager
  readonly registrar: Registrar
}

export class Getter {
  readonly #connectionManager: ConnectionManager
  readonly #registrar: Registrar
  readonly #limits: BlobsLimits
  readonly #log: Logger
  /**
   * A libp2p node closes a connection on which more than ten streams arrive before it has set the connection up. So the
   * first stream goes alone: once it is negotiated, the other side is ready.
   */
  readonly #firstStreams = new WeakMap<Connection, Promise<void>>()
  /** The protocol that the peer has agreed to; undefined when it did not agree again. */
  readonly #agreed = new WeakMap<Connection, string | undefined>()
  /** Connections that are open, by the peer's id: to have libp2p find one takes longer than to send a request on it. */
  readonly #open = new Map<string, Connection>()
  readonly #spares: SpareStreams

  constructor({ connectionManager, registrar }: GetterComponents, limits: BlobsLimits, log: Logger) {
    this.#connectionManager = connectionManager
    this.#registrar = registrar
    this.#limits = limits
    this.#log = log
    this.#spares = new SpareStreams(registrar, log)
  }

  /** Leaves nothing open for requests to come. */
  stop(): void {
    this.#spares.dropAll()
  }

  /**
   * Asks a provider, and lets `use` read the response; the stream is closed when it returns, reset when it throws.
   *
   * A provider that is busy is asked again later, as often as `MAX_BUSY_RETRIES` says; `use` is then called anew.
   *
   * @throws ProviderUnreachableError, what the stream throws, what `use` throws
   */
  async ask<T>(
    provider: ProviderAddress,
    request: Request,
    use: (exchange: Exchange) => Promise<T>,
    options: AskOptions = {}
  ): Promise<T> {
    let mayBeSpare = isGet(request)
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#askOnce(provider, request, use, options, mayBeSpare)
      } catch (error) {
        if (error instanceof DeclinedError) continue
        if (error instanceof SpareStreamLostError) {
          this.#log.trace('%s had given up the stream for the request: %e', nameOf(provider), error.cause)
          mayBeSpare = false
          continue
        }
        if (!(error instanceof RefusedError) || error.status.type !== 'busy' || attempt >= MAX_BUSY_RETRIES)
          throw error
        this.#log('%s is busy, asking again in %d ms', nameOf(provider), error.status.retryAfterMs)
        await pause(Math.min(error.status.retryAfterMs, MAX_RETRY_AFTER_MS), options.signal)
      }
    }
  }

  async #askOnce<T>(
    provider: ProviderAddress,
    request: Request,
    use: (exchange: Exchange) => Promise<T>,
    { signal, isQuiet, idleTimeoutMs = this.#limits.idleTimeoutMs }: AskOptions,
    mayBeSpare: boolean
  ): Promise<T> {
    const bytes = encodeRequest(request)
    const goesOn = request.type === 'push'
    const send: Send = (stream, connection, offer, isOffered) => {
      const readIdleMs = isQuiet ? undefined : idleTimeoutMs
      const response = streamReader(stream, { signal, idleTimeoutMs: readIdleMs, expected: offer })
      const writer = streamWriter(stream, { signal, idleTimeoutMs, pieceBytes: writePieceBytes(connection) })
      const written = writer.write(offer === undefined || isOffered ? bytes : concat([offer, bytes]))
      // The end leaves in the same turn as the request, if there is room for both.
      const ended = goesOn
        ? undefined
        : stream.writableNeedsDrain
          ? written.then(() => writer.end())
          : writer.end()
      return { stream, connection, response, writer, sent: Promise.all([written, ended]) }
    }
    const { stream, connection, response, writer, sent, isSpare } =
      (mayBeSpare ? this.#takeSpare(provider, send) : undefined) ??
      (await this.#openStream(provider, signal, send, request))
    // Old versions of js-libp2p may lose what comes with the offer: then nothing comes back.
    const undecided = response.isAsExpected
      ? undefined
      : deadline(idleTimeoutMs * AGREE_TIMEOUT_PART, () => {
          if (!response.isAsExpected) stream.abort(new DeclinedError('the peer does not answer to the offer'))
        })
    const isFollowed = isGet(request) && this.#agreed.get(connection) === stream.protocol
    const ended = isFollowed ? this.#spares.follow(connection, stream.protocol) : undefined
    try {
      await sent
      // It leaves at the end of this turn of the event loop. What is done to receive the response is done while it is on its way.
      await new Promise<void>(nextTurn)
      const result = await use({
        peer: connection.remotePeer,
        response,
        hasStatus: stream.protocol === BLOBS_PROTOCOL,
        writer
      })
      await writer.end()
      // The result does not wait for the peer's farewell.
      closeStream(stream).catch(error => this.#log('closing a stream failed: %e', error))
      return result
    } catch (error) {
      // Some providers give it up by closing it.
      const wasClosed = stream.remoteWriteStatus === 'closed' && stream.status !== 'aborted'
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      if (isSpare && response.bytesRead === 0 && !signal?.aborted && (wasClosed || isLost(error)))
        throw new SpareStreamLostError('the stream that was open for the request was lost', { cause: error })
      if (response.isAsExpected || signal?.aborted) throw error
      this.#agreed.set(connection, undefined)
      this.#spares.drop(connection)
      if (error instanceof StreamIdleTimeoutError) throw error
      throw new DeclinedError('the peer did not agree to the protocol', { cause: error })
    } finally {
      undecided?.()
      ended?.()
    }
  }

  #takeSpare(provider: ProviderAddress, send: Send): Asked | undefined {
    const connection = this.#connected(provider)
    const spare = connection && this.#spares.take(connection)
    return spare && { ...send(spare.stream, connection, spare.offer, true), isSpare: true }
  }

  /**
   * Makes sure that there is a connection to the provider.
   *
   * @returns who it is
   * @throws ProviderUnreachableError
   */
  async connect(provider: ProviderAddress, signal: AbortSignal | undefined): Promise<PeerId> {
    signal?.throwIfAborted()
    const known = this.#connected(provider)
    if (known !== undefined) return known.remotePeer
    return await this.#reach(provider, signal, async options => {
      const { remotePeer } = await this.#connection(provider, options)
      return remotePeer
    })
  }

  async #openStream(
    provider: ProviderAddress,
    signal: AbortSignal | undefined,
    send: Send,
    request: Request
  ): Promise<Asked> {
    return await this.#reach(provider, signal, async options => {
      const connection = await this.#connection(provider, options)
      try {
        return await this.#openOn(connection, options, send, request)
      } catch (error) {
        if (!isEnding(error)) throw error
        const another = await this.#connection(provider, { ...options, force: true })
        return await this.#openOn(another, options, send, request)
      }
    })
  }

  async #openOn(connection: Connection, options: ReachOptions, send: Send, request: Request): Promise<Asked> {
    // It could be one too many, and those whose place it takes do not use it.
    if (!isGet(request)) this.#spares.drop(connection)
    const first = this.#firstStreams.get(connection)
    if (first !== undefined) await first
    // A push goes on after its request, so that it could not be begun anew.
    const agreed = request.type === 'push' ? undefined : this.#agreed.get(connection)
    if (agreed !== undefined && this.#registrar.getMiddleware(agreed).length === 0) {
      return await inOwnTurn(() => {
        const { stream, offer, opened } = openEarly(connection, agreed, options)
        if (stream === undefined) return opened.then(stream => send(stream, connection))
        const asked = send(stream, connection, offer)
        return { ...asked, sent: Promise.all([asked.sent, opened]) }
      })
    }
    const opening = connection.newStream([BLOBS_PROTOCOL, IROH_PROTOCOL], options)
    if (first === undefined) {
      const isOpen = opening.then(
        () => undefined,
        () => undefined
      )
      this.#firstStreams.set(connection, isOpen)
    }
    const stream = await opening
    if (!this.#agreed.has(connection)) this.#agreed.set(connection, stream.protocol)
    return send(stream, connection)
  }

  /** The connection to it, if one is known. */
  #connected(provider: ProviderAddress): Connection | undefined {
    const id = idOf(provider)
    const connection = id === undefined ? undefined : this.#open.get(id)
    return connection?.status === 'open' ? connection : undefined
  }

  async #connection(provider: ProviderAddress, options: ReachOptions): Promise<Connection> {
    const known = options.force ? undefined : this.#connected(provider)
    if (known !== undefined) return known
    const id = idOf(provider)
    const connection = await this.#connectionManager.openConnection(provider, options)
    // One through a relay may be followed by a better one.
    if (id === undefined || connection.limits !== undefined) return connection
    this.#open.set(id, connection)
    connection.addEventListener('close', () => {
      if (this.#open.get(id) === connection) this.#open.delete(id)
    })
    return connection
  }

  /** @throws ProviderUnreachableError when `action` fails, or takes too long */
  async #reach<T>(
    provider: ProviderAddress,
    signal: AbortSignal | undefined,
    action: (options: ReachOptions) => Promise<T>
  ): Promise<T> {
    const timeout = AbortSignal.timeout(this.#limits.dialTimeoutMs)
    try {
      return await action({
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        maxOutboundStreams: this.#limits.maxStreams,
        runOnLimitedConnection: true
      })
    } catch (error) {
      signal?.throwIfAborted()
      if (timeout.aborted) {
        throw new ProviderUnreachableError(provider, `no answer within ${this.#limits.dialTimeoutMs} ms`)
      }
      throw new ProviderUnreachableError(provider, error)
    }
  }
}

/**
 * Does something that sends in a turn of the event loop of its own, at whose end it leaves: else it would wait for all that goes on
 * in this turn, such as what libp2p does for each new stream.
 */
function inOwnTurn<T>(action: () => T | Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    nextTurn(() => {
      try {
        resolve(action())
      } catch (error) {
        reject(error)
      }
    })
  })
}

/** Of others, one does not know whether another one like it will follow; a push could not be begun anew. */
function isGet({ type }: Request): boolean {
  return type === 'get' || type === 'get_many'
}

/** Whether the peer, or the connection to it, was gone. */
function isLost(error: unknown): boolean {
  return error instanceof StreamResetError && error.reason !== 'aborted'
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
  })
}
