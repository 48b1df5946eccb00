/**
 * Opens a stream without waiting until the peer has agreed to its protocol, which is known of it: the protocol is offered, as
 * multistream-select has it, and what is to be sent follows at once. That saves a turn to the peer and back, for small blobs half
 * of what they take. libp2p's own way to do so (`negotiateFully: false`) is still in its interface, but does nothing since version 3.
 */
import type { Connection, NewStreamOptions, Stream } from '@libp2p/interface'
import { concat } from '../protocol/concat.ts'
import { MULTISTREAM, multistreamLine } from './multistream.ts'

export interface EarlyStream {
  /** Undefined where it cannot be had before it is negotiated: then nothing is to be offered. */
  readonly stream: Stream | undefined
  /** Settles when libp2p has done what it does for each new stream; rejects when that does not work, with the stream aborted. */
  readonly opened: Promise<Stream>
  /** To be sent first. A peer that agrees begins its answer with the very same bytes. */
  readonly offer: Uint8Array
}

export function openEarly(connection: Connection, protocol: string, options: NewStreamOptions): EarlyStream {
  const offer = offerOf(protocol)
  const before = connection.streams.length
  const opened = connection.newStream(protocol, options)
  // Other muxers than yamux ask the peer before they have a stream.
  const stream = connection.streams[before]
  if (stream?.protocol !== '') return { stream: undefined, opened, offer }
  // libp2p negotiates only for streams that have no protocol yet: those of some muxers begin with one.
  stream.protocol = protocol
  // Whoever opens it may fail before he comes to wait for this.
  opened.catch(() => undefined)
  return { stream, opened, offer }
}

const offers = new Map<string, Uint8Array>()

/** The same for each stream; there are two protocols. */
function offerOf(protocol: string): Uint8Array {
  const known = offers.get(protocol)
  if (known !== undefined) return known
  const offer = concat([MULTISTREAM, protocol].map(multistreamLine))
  offers.set(protocol, offer)
  return offer
}
