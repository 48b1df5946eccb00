/**
 * How much a peer may send on one stream before we have read it.
 *
 * A yamux receiver grants the sender a window of bytes, and js-yamux doubles that window, up to 16 MiB, for as long as
 * bytes arrive within four round trips. A paused stream takes no more grants, but whatever was granted before still
 * arrives, and the stream aborts itself when that exceeds its `maxReadBufferLength` (4 MiB by default). So the window
 * has to stay below the buffer. Two ways, for two cases: a node that we configure gets `YAMUX_OPTIONS`; in a node that
 * somebody else configured, `boundReadAhead` does the same for one stream.
 */
import type { Stream } from '@libp2p/interface'

/**
 * Largest receive window of a stream, in bytes.
 *
 * A slow reader holds two of them at worst: one that `resume()` has just handed over, one that `resume()` has granted
 * anew. Raising it costs that memory per stream; lowering it costs speed over distance, which is at most one window per
 * round trip: 3 MiB give 105 MB/s at 30 ms, 31 MB/s at 100 ms.
 */
export const MAX_STREAM_WINDOW_BYTES = 3 * 1024 * 1024

/**
 * What a paused stream may hold in bytes before it aborts itself, where the window could not be bounded: js-yamux's
 * and go-yamux's largest window. Never reached when it could.
 */
export const MAX_READ_BUFFER_BYTES = 16 * 1024 * 1024

/**
 * Recommended for `yamux(...)` of @chainsafe/libp2p-yamux and @libp2p/yamux.
 *
 * `initialStreamWindowSize` is left alone on purpose: the yamux specification fixes it at 256 KiB, and js-yamux takes
 * it for the peer's window too, so a larger one would overrun a peer that kept to the specification.
 */
export const YAMUX_OPTIONS: {
  readonly streamOptions: { readonly maxStreamWindowSize: number; readonly maxReadBufferLength: number }
} = {
  streamOptions: {
    maxStreamWindowSize: MAX_STREAM_WINDOW_BYTES,
    maxReadBufferLength: 4 * 1024 * 1024
  }
}

/**
 * Makes a stream of any libp2p node safe to pause: bounds its window if it is a js-yamux stream, and in every case
 * lets it hold a whole default window rather than abort.
 *
 * js-yamux has no public setting for the window of a single stream. The field is private to its types only and is read
 * anew at each grant; a muxer without it is left as it is, and then needs `MAX_READ_BUFFER_BYTES`.
 */
export function boundReadAhead(stream: Stream): void {
  if ('maxStreamWindowSize' in stream && typeof stream.maxStreamWindowSize === 'number') {
    stream.maxStreamWindowSize = Math.min(stream.maxStreamWindowSize, MAX_STREAM_WINDOW_BYTES)
  }
  stream.maxReadBufferLength = Math.max(stream.maxReadBufferLength, MAX_READ_BUFFER_BYTES)
}

/** Bytes of a stream that have come before the peer is granted more: well below the first window, so that no peer waits for it. */
const LEAST_GRANT_BYTES = 32 * 1024

/**
 * Has a js-yamux stream grant the peer nothing anew for a few bytes. js-yamux answers every frame, with a message of its own
 * through the whole connection; a small response is over before the peer could use it.
 *
 * A muxer that works in another way is left as it is.
 */
export function grantInBulk(stream: Stream): void {
  if (!isYamuxStream(stream)) return
  const grant = stream.sendWindowUpdate
  stream.sendWindowUpdate = () => {
    // js-yamux opens a stream with a grant, in a microtask. What is sent before that may find that the connection is gone: then the
    // grant would throw where nobody can catch it, and end the process.
    if (stream.status === 'aborted' || stream.status === 'reset' || stream.status === 'closed') return
    const owed = stream.recvWindow - stream.recvWindowCapacity
    // With nothing owed, it is about opening the stream.
    if (owed === 0 || owed >= LEAST_GRANT_BYTES) grant.call(stream)
  }
}

/**
 * Has a js-yamux stream that was opened in this turn tell the peer of it with its first bytes, instead of at once by a message of its
 * own. A muxer that works in another way is left as it is.
 */
export function openSilently(stream: Stream): void {
  if (!isYamuxStream(stream)) return
  const grant = stream.sendWindowUpdate
  stream.sendWindowUpdate = () => {
    stream.sendWindowUpdate = grant
  }
}

/** Whether closing our side of the stream waits for nothing: js-yamux sends a frame, as soon as all before it has been sent. */
export function closesAtOnce(stream: Stream): boolean {
  return isYamuxStream(stream) && stream.writeBufferLength === 0 && !stream.writableNeedsDrain
}

/** What is private to the types of js-yamux only. */
interface YamuxStream {
  readonly recvWindow: number
  readonly recvWindowCapacity: number
  sendWindowUpdate: () => void
}

function isYamuxStream(stream: Stream): stream is Stream & YamuxStream {
  return (
    'recvWindow' in stream &&
    typeof stream.recvWindow === 'number' &&
    'recvWindowCapacity' in stream &&
    typeof stream.recvWindowCapacity === 'number' &&
    'sendWindowUpdate' in stream &&
    typeof stream.sendWindowUpdate === 'function'
  )
}
