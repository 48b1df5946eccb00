/** What a handshake takes for the connection. */
import type { AbortOptions, MessageStream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { AbstractMessageStream, type SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'

/**
 * Passes everything on, both ways, until `release`. What @chainsafe/libp2p-noise leaves listening to it when its handshake is over
 * hears nothing any more.
 */
export class HandshakeStream extends AbstractMessageStream {
  readonly #connection: MessageStream

  constructor(connection: MessageStream) {
    super({
      log: connection.log,
      direction: connection.direction,
      inactivityTimeout: connection.inactivityTimeout,
      maxReadBufferLength: connection.maxReadBufferLength
    })
    this.#connection = connection
    connection.addEventListener('message', this.#onMessage)
    connection.addEventListener('drain', this.#onDrain)
    connection.addEventListener('remoteCloseWrite', this.#onRemoteCloseWrite)
    connection.addEventListener('close', this.#onClose)
  }

  /** Lets go of the connection. @returns what was read and is not part of the handshake */
  release(): Uint8ArrayList {
    this.#connection.removeEventListener('message', this.#onMessage)
    this.#connection.removeEventListener('drain', this.#onDrain)
    this.#connection.removeEventListener('remoteCloseWrite', this.#onRemoteCloseWrite)
    this.#connection.removeEventListener('close', this.#onClose)
    const rest = this.readBuffer.sublist()
    this.readBuffer.consume(rest.byteLength)
    this.onTransportClosed()
    return rest
  }

  async close(options?: AbortOptions): Promise<void> {
    await this.#connection.close(options)
  }

  override sendData(data: Uint8ArrayList): SendResult {
    return { sentBytes: data.byteLength, canSendMore: this.#connection.send(data) }
  }

  override sendReset(error: Error): void {
    this.#connection.abort(error)
  }

  /** Only what comes through here stops; the connection is read on. */
  override sendPause(): void {}

  override sendResume(): void {}

  readonly #onMessage = ({ data }: StreamMessageEvent): void => this.onData(data)

  readonly #onDrain = (): void => {
    this.safeDispatchEvent('drain')
  }

  readonly #onRemoteCloseWrite = (): void => this.onRemoteCloseWrite()

  readonly #onClose = ({ error, local }: StreamCloseEvent): void => {
    if (error === undefined) this.onTransportClosed()
    else if (local === true) this.abort(error)
    else this.onRemoteReset()
  }
}
