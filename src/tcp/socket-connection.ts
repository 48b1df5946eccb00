/** A libp2p connection on a TCP socket that can go over to TLS on the way. */
import { once } from 'node:events'
import { Socket } from 'node:net'
import {
  type AbortOptions,
  type MultiaddrConnection,
  type StreamCloseEvent,
  TimeoutError
} from '@libp2p/interface'
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { GATHERED_BYTES, GATHERED_PIECES } from './constants.ts'
import { UnsupportedLibp2pError } from './errors.ts'
import type { ReusedReads } from './reused-reads.ts'
import { SharedTurns } from './shared-turns.ts'

const NOTHING = new Uint8Array(0)

/** Of the process: all its connections share one event loop. */
const sharedTurns = new SharedTurns()

/**
 * Takes the place of the connection that @libp2p/tcp has made of its socket. That one goes on looking after the socket's life,
 * until TLS has it. Bytes go past it: first those of the socket, and those of TLS from `useTls` on.
 */
export class SocketConnection extends AbstractMultiaddrConnection {
  /** Why it could not be secured. libp2p keeps only the message. */
  securityError: Error | undefined
  readonly #carrier: MultiaddrConnection
  /** What bytes are read from and written to. */
  #socket: Socket
  #isTaken = false
  #isTls = false
  #isLending = false
  #dispatchScheduled = false
  /** Records since something was handed out. */
  #records = 0
  #isGathering = false
  #isDispatching = false

  /**
   * @param reads of the carrier's socket, if it was opened with them
   * @throws UnsupportedLibp2pError
   */
  constructor(carrier: MultiaddrConnection, reads?: ReusedReads) {
    super({
      log: carrier.log,
      remoteAddr: carrier.remoteAddr,
      direction: carrier.direction,
      inactivityTimeout: carrier.inactivityTimeout
    })
    this.#carrier = carrier
    this.#socket = socketOf(carrier)
    // The carrier's own: it was made a moment ago, so nobody else listens yet.
    this.#socket.removeAllListeners('data')
    this.#socket.on('data', this.#onData)
    this.#socket.on('drain', this.#onDrain)
    reads?.takenBy(this.#onReused)
    carrier.addEventListener('close', this.#onCarrierClose)
  }

  /**
   * From now on, bytes of `message` events may be overwritten as soon as the listeners have returned. For who copies or decrypts
   * them at once.
   */
  lend(): void {
    this.#isLending = true
  }

  /**
   * Gives the socket away: nothing is read from it here, what was read too far has been put back, and what was written has
   * been handed to the system. To be followed by `useTls`, or by nothing.
   *
   * @param signal destroys the socket when it aborts before that
   */
  async takeSocket(signal: AbortSignal): Promise<Socket> {
    const socket = this.#socket
    this.#isTaken = true
    socket.off('data', this.#onData)
    socket.off('drain', this.#onDrain)
    // The carrier would reset a socket that TLS is shutting down, which fails and leaves it open for ever.
    socket.removeAllListeners('timeout')
    socket.once('timeout', () => this.cutOff(new TimeoutError('nothing was sent or received for too long')))
    socket.pause()
    const tooFar = this.readBuffer.subarray()
    this.readBuffer.consume(tooFar.length)
    if (tooFar.length > 0 && !socket.readableEnded) socket.unshift(tooFar)
    // TLS writes to the handle below the socket, and would overtake what waits in it.
    await flushed(socket, signal)
    return socket
  }

  /** Goes on with what comes out of TLS on the socket that was taken. */
  useTls(socket: Socket): void {
    this.#isTls = true
    this.#socket = socket
    const onEnd = (): void => {
      this.dispatchReadBuffer()
      this.onTransportClosed()
    }
    socket.once('end', onEnd)
    socket.once('close', onEnd)
    socket.on('error', error => {
      this.dispatchReadBuffer()
      this.abort(error)
    })
    socket.on('data', this.#onRecord)
    socket.on('drain', this.#onDrain)
    this.#takePushed(socket)
    if (socket.destroyed) onEnd()
  }

  /**
   * A stream of Node's makes a tick for whatever is pushed, to see whether it should read more. TLS pushes 32 thousand records for half a
   * gigabyte, and those ticks take as long as decrypting them does. So what would go to `data` listeners at once goes there by itself.
   */
  #takePushed(socket: Socket): void {
    const push = socket.push.bind(socket)
    socket.push = (chunk: unknown, encoding?: BufferEncoding) => {
      const isForNow = chunk instanceof Uint8Array && socket.readableFlowing && socket.readableLength === 0
      if (!isForNow) return push(chunk, encoding)
      this.#onRecord(chunk)
      return true
    }
  }

  /** Ends it now, also when it was closed already and its socket still has something to send, as to a peer that does not read. */
  cutOff(reason: Error): void {
    this.abort(reason)
    this.#socket.destroy()
  }

  override sendData(data: Uint8ArrayList): SendResult {
    this.#gather(this.#socket)
    for (const bytes of data) this.#socket.write(bytes)
    return { sentBytes: data.byteLength, canSendMore: !this.#socket.writableNeedDrain }
  }

  /**
   * One write, and so as few TLS records as possible, for all that is sent at a time: a frame's header and its content, a request
   * and its end, a response and what follows. Each write may have to wake up the other side, which costs more than all else.
   */
  #gather(socket: Socket): void {
    if (this.#isGathering) return
    this.#isGathering = true
    socket.cork()
    const send = (): void => {
      this.#isGathering = false
      socket.uncork()
    }
    // What answers the bytes that are being handed out: with all that this leads to. Else with what is sent in the same breath.
    if (this.#isDispatching) queueMicrotask(() => process.nextTick(send))
    else process.nextTick(queueMicrotask, send)
  }

  override dispatchReadBuffer(): void {
    this.#isDispatching = true
    this.#records = 0
    try {
      super.dispatchReadBuffer()
    } finally {
      this.#isDispatching = false
    }
  }

  override async sendClose(options?: AbortOptions): Promise<void> {
    if (this.#socket.destroyed) return
    const closed = once(this.#socket, 'close', options)
    this.#socket.destroySoon()
    try {
      await closed
    } catch (error) {
      // A peer that does not read would keep it open for ever.
      this.#socket.destroy()
      throw error
    }
  }

  override sendReset(error: Error): void {
    // A socket that is being shut down cannot be reset any more, and of TLS one does not know.
    if (this.#isTls || this.#socket.writableEnded) this.#socket.destroy()
    else this.#carrier.abort(error)
  }

  override sendPause(): void {
    this.#socket.pause()
  }

  override sendResume(): void {
    this.#socket.resume()
  }

  readonly #onData = (bytes: Uint8Array): void => this.onData(bytes)

  readonly #onReused = (bytes: Uint8Array): void => {
    // Whoever has the socket now reads it from there.
    if (this.#isTaken) this.#socket.push(Buffer.from(bytes))
    // While it is paused, bytes stay.
    else this.onData(this.#isLending && this.readStatus === 'readable' ? bytes : Buffer.from(bytes))
  }

  /**
   * TLS hands out records of 16 KiB at most, and each event costs the muxer as much as its bytes do. So what comes in one turn of
   * the event loop goes up together.
   */
  readonly #onRecord = (bytes: Uint8Array): void => {
    this.readBuffer.append(bytes)
    const isMuch = ++this.#records >= GATHERED_PIECES || this.readBuffer.byteLength >= GATHERED_BYTES
    if (isMuch) this.dispatchReadBuffer()
    else this.#dispatchSoon()
  }

  #dispatchSoon(): void {
    if (this.#dispatchScheduled) return
    this.#dispatchScheduled = true
    sharedTurns.soon(this.#dispatchNow)
  }

  readonly #dispatchNow = (): void => {
    this.#dispatchScheduled = false
    this.dispatchReadBuffer()
  }

  readonly #onDrain = (): void => {
    this.safeDispatchEvent('drain')
  }

  readonly #onCarrierClose = ({ error, local }: StreamCloseEvent): void => {
    if (error === undefined) this.onTransportClosed()
    else if (local === true) this.abort(error)
    else this.onRemoteReset()
  }
}

/** Resolves when nothing waits in the socket any more, or it is destroyed: by the signal, if the peer does not read. */
async function flushed(socket: Socket, signal: AbortSignal): Promise<void> {
  const giveUp = (): Socket => socket.destroy()
  signal.addEventListener('abort', giveUp)
  if (signal.aborted) giveUp()
  await new Promise(resolve => socket.write(NOTHING, resolve))
  signal.removeEventListener('abort', giveUp)
}

function socketOf(connection: MultiaddrConnection): Socket {
  const socket = 'socket' in connection ? connection.socket : undefined
  if (!(socket instanceof Socket)) {
    throw new UnsupportedLibp2pError('the connections of @libp2p/tcp do not show their socket')
  }
  return socket
}
