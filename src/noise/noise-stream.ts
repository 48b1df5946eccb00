/** A connection after the handshake. */
import type { AbortOptions, MessageStream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { AbstractMessageStream, type SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { SocketConnection } from '../tcp/socket-connection.ts'
import type { CipherState } from './cipher-state.ts'
import { GATHERED_BYTES } from './constants.ts'
import type { Session } from './handshake.ts'
import { inFewPieces, Opener } from './opener.ts'
import { seal } from './sealer.ts'

export class NoiseStream extends AbstractMessageStream {
  readonly #connection: MessageStream
  readonly #sending: CipherState
  readonly #receiving: CipherState
  readonly #opener: Opener
  #dispatchScheduled = false

  constructor(connection: MessageStream, { sending, receiving, arrived }: Session) {
    super({
      log: connection.log,
      direction: connection.direction,
      inactivityTimeout: connection.inactivityTimeout,
      maxReadBufferLength: connection.maxReadBufferLength
    })
    this.#connection = connection
    this.#sending = sending
    this.#receiving = receiving
    this.#opener = new Opener(receiving)
    this.addEventListener('close', this.#dropKeys)
    connection.addEventListener('message', this.#onMessage)
    connection.addEventListener('drain', this.#onDrain)
    connection.addEventListener('remoteCloseWrite', this.#onRemoteCloseWrite)
    connection.addEventListener('close', this.#onClose)
    // What comes in is decrypted before `#onMessage` returns.
    if (connection instanceof SocketConnection) connection.lend()
    this.#open(arrived)
  }

  async close(options?: AbortOptions): Promise<void> {
    await this.#connection.close(options)
  }

  override sendData(data: Uint8ArrayList): SendResult {
    const sentBytes = data.byteLength
    return { sentBytes, canSendMore: this.#connection.send(seal(this.#sending, data)) }
  }

  override sendReset(error: Error): void {
    this.#connection.abort(error)
  }

  override sendPause(): void {
    this.#connection.pause()
  }

  override sendResume(): void {
    this.#connection.resume()
  }

  readonly #onMessage = ({ data }: StreamMessageEvent): void => this.#open(data)

  /** Each event costs the muxer as much as its bytes do. So what comes in one turn of the event loop goes up together. */
  #open(data: Uint8Array | Uint8ArrayList): void {
    try {
      for (const bytes of data instanceof Uint8Array ? [data] : data) {
        this.#append(bytes)
        if (this.readBuffer.byteLength >= GATHERED_BYTES) this.dispatchReadBuffer()
      }
    } catch (error) {
      this.dispatchReadBuffer()
      this.abort(error instanceof Error ? error : new Error(String(error)))
    }
    if (this.readBuffer.byteLength > 0) this.#dispatchSoon()
  }

  /** @throws NoiseMessageError, NoiseKeyError, with what comes before it appended */
  #append(bytes: Uint8Array): void {
    const opened: Uint8Array[] = []
    try {
      this.#opener.open(bytes, opened)
    } finally {
      this.readBuffer.appendAll(inFewPieces(opened))
    }
  }

  #dispatchSoon(): void {
    if (this.#dispatchScheduled) return
    this.#dispatchScheduled = true
    setImmediate(() => {
      this.#dispatchScheduled = false
      this.dispatchReadBuffer()
    })
  }

  readonly #onDrain = (): void => {
    this.safeDispatchEvent('drain')
  }

  readonly #onRemoteCloseWrite = (): void => {
    this.dispatchReadBuffer()
    this.onRemoteCloseWrite()
  }

  readonly #onClose = ({ error, local }: StreamCloseEvent): void => {
    this.dispatchReadBuffer()
    if (error === undefined) this.onTransportClosed()
    else if (local === true) this.abort(error)
    else this.onRemoteReset()
  }

  readonly #dropKeys = (): void => {
    this.#sending.forget()
    this.#receiving.forget()
    this.#opener.forget()
  }
}
