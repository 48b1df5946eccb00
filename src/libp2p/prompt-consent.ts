/**
 * Agrees to the protocol of a new stream as soon as it is offered.
 *
 * libp2p reads an offer line by line, and answers each, by a dozen promises. Most offers are a single message, and known word for
 * word: so their answer leaves at once. What comes for streams that are open has been dealt with when a stream is new on which nothing
 * is asked yet. On the wire nothing changes: it is the answer of multistream-select.
 *
 * When hundreds of peers offer something within one turn of the event loop, a few streams begin in each of the next ones.
 */
import { type Stream, StreamMessageEvent, type StreamMuxer, type StreamMuxerFactory } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { nextTurn } from '../protocol/fair-turns.ts'
import { CONSENT_WAIT_MS } from './constants.ts'
import { deadline } from './deadline.ts'
import { MULTISTREAM, multistreamLine } from './multistream.ts'
import { Turns } from './turns.ts'
import { openSilently } from './yamux-options.ts'

const HEADER = multistreamLine(MULTISTREAM)

/** Leaves nothing out: names are compared as they are. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** A line as long as this needs more than one byte for its length. */
const LONG_LINE = 128

export interface ConsentComponents {
  readonly registrar: Pick<Registrar, 'getHandler'>
}

/**
 * The same muxers, whose new streams are agreed on at once where the peer offers a protocol that the node speaks. Whatever else comes is
 * left to libp2p. For `yamux(...)`.
 */
export function promptConsent<C extends ConsentComponents>(
  create: (components: C) => StreamMuxerFactory
): (components: C) => StreamMuxerFactory {
  return components => {
    const factory = create(components)
    const createMuxer = factory.createStreamMuxer.bind(factory)
    const turns = new Turns()
    factory.createStreamMuxer = connection => prompt(createMuxer(connection), components, turns)
    return factory
  }
}

function prompt(muxer: StreamMuxer, components: ConsentComponents, turns: Turns): StreamMuxer {
  const dispatch = muxer.safeDispatchEvent.bind(muxer)
  const postponed = new Postponed(muxer)
  muxer.safeDispatchEvent = (type, init: CustomEventInit = {}) => {
    if (type !== 'stream') return dispatch(type, init)
    agree(init.detail, components, postponed, turns, () => dispatch(type, init))
    return true
  }
  return muxer
}

/** What a muxer of @libp2p/utils has beside what its type says. */
interface Sending {
  send(data: unknown): unknown
}

/**
 * Consents for which nobody has asked anything yet. They leave with what is sent next on the connection, at the latest in the next turn
 * of the event loop: until then, what has come for other streams is dealt with, so that a request to a store far away leaves before.
 * Where a request has come in the same breath, its response is waited for a little longer: the peer waits for that, and a message of
 * its own would wake it up before, and take the processor from who answers.
 */
class Postponed {
  #consents: (() => void)[] = []
  #isScheduled = false
  /** Whether all of a request has come in this turn of the event loop. */
  #isAsked = false
  #endWait: (() => void) | undefined

  constructor(muxer: StreamMuxer) {
    if (!isSending(muxer)) return
    const send = muxer.send.bind(muxer)
    muxer.send = data => {
      this.sendAll()
      return send(data)
    }
  }

  /** To be called when the peer has said all that it has to say on a stream. */
  readonly onAsked = (): void => {
    if (this.#isAsked) return
    this.#isAsked = true
    nextTurn(() => {
      this.#isAsked = false
    })
  }

  push(consent: () => void): void {
    this.#consents.push(consent)
    if (this.#isAsked) {
      this.#endWait ??= deadline(CONSENT_WAIT_MS, () => this.sendAll())
      return
    }
    if (this.#isScheduled) return
    this.#isScheduled = true
    nextTurn(() => {
      this.#isScheduled = false
      this.sendAll()
    })
  }

  sendAll(): void {
    this.#endWait?.()
    this.#endWait = undefined
    if (this.#consents.length === 0) return
    const consents = this.#consents
    this.#consents = []
    for (const consent of consents) consent()
  }
}

function isSending(muxer: object): muxer is StreamMuxer & Sending {
  return 'send' in muxer && typeof muxer.send === 'function'
}

/** @param tell has libp2p look after the stream */
function agree(
  stream: Stream,
  components: ConsentComponents,
  postponed: Postponed,
  turns: Turns,
  tell: () => void
): void {
  // Muxers that do without multistream-select have a protocol from the start.
  if (stream.protocol !== '') {
    tell()
    return
  }
  stream.addEventListener('remoteCloseWrite', postponed.onAsked)
  let hasCome = false
  const onFirst = ({ data }: StreamMessageEvent): void => {
    hasCome = true
    stream.removeEventListener('message', onFirst)
    answer(stream, data.subarray(), components, postponed, turns, tell)
  }
  stream.addEventListener('message', onFirst)
  // What comes in the same breath has come by then.
  queueMicrotask(() => {
    if (hasCome) return
    stream.removeEventListener('message', onFirst)
    tell()
  })
}

function answer(
  stream: Stream,
  bytes: Uint8Array,
  { registrar }: ConsentComponents,
  postponed: Postponed,
  turns: Turns,
  tell: () => void
): void {
  const protocol = offeredBy(bytes)
  if (protocol === undefined || !isSpoken(registrar, protocol)) {
    tell()
    // Now, as if nobody had looked at it: libp2p cannot put back what it has read too far once it knows that nothing more comes.
    if (stream.listenerCount('message') > 0) stream.dispatchEvent(new StreamMessageEvent(bytes))
    else stream.unshift(bytes)
    return
  }
  const end = HEADER.length + 1 + bytes[HEADER.length]!
  const consent = (): boolean => {
    try {
      stream.send(bytes.subarray(0, end))
      return true
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      return false
    }
  }
  // Not before: libp2p counts the streams of a protocol.
  const tellAgreed = (): void => {
    stream.protocol = protocol
    tell()
  }
  const tellInTurn = (): void => {
    const turn = turns.enter()
    if (turn === undefined) tellAgreed()
    else void turn.then(tellAgreed)
  }
  if (bytes.length > end || stream.remoteWriteStatus === 'closed') {
    if (bytes.length > end) stream.unshift(bytes.subarray(end))
    const begin = (): void => {
      if (consent()) tellAgreed()
    }
    const turn = turns.enter()
    if (turn === undefined) {
      begin()
    } else {
      openSilently(stream)
      void turn.then(begin)
    }
  } else {
    openSilently(stream)
    // Who asks on it does not wait any longer, whatever else is waited for.
    let more: Uint8Array | undefined
    const onMore = ({ data }: StreamMessageEvent): void => {
      more = data.subarray()
      postponed.sendAll()
    }
    stream.addEventListener('message', onMore)
    postponed.push(() => {
      stream.removeEventListener('message', onMore)
      if (!consent()) return
      if (more === undefined) {
        nextTurn(tellInTurn)
      } else {
        stream.unshift(more)
        tellInTurn()
      }
    })
  }
}

/** The protocol, if both lines of an offer are there. */
function offeredBy(bytes: Uint8Array): string | undefined {
  const length = bytes[HEADER.length] ?? LONG_LINE
  const end = HEADER.length + 1 + length
  if (length >= LONG_LINE || bytes.length < end || !HEADER.every((byte, i) => byte === bytes[i]))
    return undefined
  const line = utf8.decode(bytes.subarray(HEADER.length + 1, end))
  return line.endsWith('\n') ? line.slice(0, -1) : undefined
}

function isSpoken(registrar: ConsentComponents['registrar'], protocol: string): boolean {
  try {
    registrar.getHandler(protocol)
    return true
  } catch {
    return false
  }
}
