/**
 * Bounds what a muxer holds of a frame that has not all come.
 *
 * js-yamux looks at a frame's length when all of the frame is there: a peer that announces 4 GiB can have them all kept in memory.
 */
import type { StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { MAX_STREAM_WINDOW_BYTES } from './yamux-options.ts'

const HEADER_BYTES = 12

/** A peer has begun a frame that is larger than any that it may send. */
export class FrameTooLargeError extends Error {
  override readonly name = 'FrameTooLargeError'
  readonly code = 'ERR_FRAME_TOO_LARGE'

  constructor() {
    super(`the peer sends a frame of more than ${MAX_STREAM_WINDOW_BYTES} bytes, the largest window it has`)
  }
}

/**
 * The same muxers, which end a connection with {@link FrameTooLargeError}. For `yamux(YAMUX_OPTIONS)`, whose windows no frame may
 * exceed.
 */
export function boundedFrames(create: () => StreamMuxerFactory): () => StreamMuxerFactory {
  return () => {
    const factory = create()
    const createMuxer = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = connection => bounded(createMuxer(connection))
    return factory
  }
}

/** What js-yamux has beside what its type says. */
interface Decoding {
  onData(data: Uint8Array | Uint8ArrayList): void
  /** Its buffer begins with the frame that has not all come. */
  readonly decoder: { readonly buffer: Uint8ArrayList }
}

/** A muxer that is built in another way is left as it is. */
function bounded(muxer: StreamMuxer): StreamMuxer {
  if (!isDecoding(muxer)) return muxer
  const onData = muxer.onData.bind(muxer)
  muxer.onData = data => {
    onData(data)
    // Who calls it ends the connection.
    if (muxer.decoder.buffer.byteLength > HEADER_BYTES + MAX_STREAM_WINDOW_BYTES)
      throw new FrameTooLargeError()
  }
  return muxer
}

function isDecoding(muxer: object): muxer is StreamMuxer & Decoding {
  return 'onData' in muxer && 'decoder' in muxer
}
