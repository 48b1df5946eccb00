/**
 * Streams that are opened ahead of the requests that will use them.
 *
 * One stream carries one request, and to open one costs both sides more than to send the request: the provider has to agree to the
 * protocol, and libp2p notes of the peer that it speaks it, before anybody looks at the request. So where requests follow one another,
 * the stream for the next is offered to the provider in the same breath as one is sent: that takes no message of its own, and the
 * provider is done with it while the getter is busy with the response. What the getter has to do for a stream is done before, while it
 * waits for a response. On the wire each stream is what it would be else; only its request comes later.
 */
import type { Connection, Logger, Stream } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { nextTurn } from '../protocol/fair-turns.ts'
import { REQUESTS_BEFORE_SPARE, REQUESTS_FOLLOW_MS, SPARE_STREAM_MS } from './constants.ts'
import { deadline } from './deadline.ts'
import { openEarly } from './early-stream.ts'
import { grantInBulk, openSilently } from './yamux-options.ts'

/** A stream on which nothing has been asked. */
export interface SpareStream {
  readonly stream: Stream
  /** What is sent first, and comes back when the peer agrees. */
  readonly offer: Uint8Array
}

interface Held extends SpareStream {
  /** Ends looking after it. */
  readonly letGo: () => void
}

/** The requests of a connection that follow one another. */
interface Line {
  /** How many are under way. */
  active: number
  /** How many there were without a pause. */
  length: number
  endedAt: number
  /** For the next request: the peer knows of it. */
  spare: Held | undefined
  /** To be the spare stream after that: the peer does not know of it yet. */
  coming: Held | undefined
}

export class SpareStreams {
  readonly #registrar: Registrar
  readonly #log: Logger
  readonly #lines = new WeakMap<Connection, Line>()
  readonly #open = new Set<Held>()
  /** Without one, libp2p makes a signal with a timer for each stream. */
  readonly #untimed = new AbortController().signal

  constructor(registrar: Registrar, log: Logger) {
    this.#registrar = registrar
    this.#log = log
  }

  /**
   * A request has just been sent on the connection: opens the stream for the next, if one is likely.
   *
   * @returns to be called when the request has ended
   */
  follow(connection: Connection, protocol: string): () => void {
    const line = this.#lineOf(connection)
    if (line.active++ === 0) {
      line.length = performance.now() - line.endedAt < REQUESTS_FOLLOW_MS ? line.length + 1 : 1
    }
    // Where several are under way at a time, nobody waits for a stream.
    const isLikely = line.active === 1 && line.length >= REQUESTS_BEFORE_SPARE
    if (isLikely && connection.limits === undefined && this.#isPlain(protocol)) {
      this.#offer(line)
      // When the request has left.
      nextTurn(() => {
        if (line.active > 0 && line.coming === undefined) this.#prepare(connection, protocol, line)
      })
    }
    return () => {
      line.active--
      line.endedAt = performance.now()
    }
  }

  /** The stream that is ready for a request, if there is one. */
  take(connection: Connection): SpareStream | undefined {
    const spare = this.#lines.get(connection)?.spare
    if (spare === undefined) return undefined
    const { status, writeStatus, protocol } = spare.stream
    if (status !== 'open' || writeStatus !== 'writable' || !this.#isPlain(protocol)) {
      drop(spare)
      return undefined
    }
    spare.letGo()
    return spare
  }

  /** Closes what is open ahead on the connection: another stream is to be opened, which it could be in the way of. */
  drop(connection: Connection): void {
    const line = this.#lines.get(connection)
    drop(line?.spare)
    drop(line?.coming)
  }

  dropAll(): void {
    for (const held of this.#open) drop(held)
  }

  #offer(line: Line): void {
    const { spare, coming } = line
    if (spare !== undefined || coming === undefined) return
    line.spare = coming
    line.coming = undefined
    try {
      coming.stream.send(coming.offer)
    } catch (error) {
      this.#log.trace('no stream could be opened ahead: %e', error)
      drop(coming)
    }
  }

  #prepare(connection: Connection, protocol: string, line: Line): void {
    const { stream, offer, opened } = openEarly(connection, protocol, { signal: this.#untimed })
    opened.then(
      opened => {
        // It has been negotiated: a muxer that does so by itself needs no stream ahead.
        if (stream === undefined) opened.abort(notNeeded())
      },
      error => this.#log.trace('no stream could be opened ahead: %e', error)
    )
    if (stream === undefined) return
    grantInBulk(stream)
    openSilently(stream)
    const onEnd = (): void => drop(held)
    stream.addEventListener('close', onEnd)
    stream.addEventListener('remoteCloseWrite', onEnd)
    const isUsed = deadline(SPARE_STREAM_MS, onEnd)
    const held: Held = {
      stream,
      offer,
      letGo: () => {
        isUsed()
        stream.removeEventListener('close', onEnd)
        stream.removeEventListener('remoteCloseWrite', onEnd)
        if (line.spare === held) line.spare = undefined
        if (line.coming === held) line.coming = undefined
        this.#open.delete(held)
      }
    }
    line.coming = held
    this.#open.add(held)
  }

  /** Middleware of the application may do something for each stream, and has a say in what is sent. */
  #isPlain(protocol: string): boolean {
    return this.#registrar.getMiddleware(protocol).length === 0
  }

  #lineOf(connection: Connection): Line {
    let line = this.#lines.get(connection)
    if (line === undefined) {
      line = { active: 0, length: 0, endedAt: 0, spare: undefined, coming: undefined }
      this.#lines.set(connection, line)
    }
    return line
  }
}

function drop(held: Held | undefined): void {
  held?.letGo()
  held?.stream.abort(notNeeded())
}

function notNeeded(): Error {
  return new Error('no further request has come')
}
