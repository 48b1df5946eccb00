/** `/noise`, with messages carried by us. */
import { randomBytes } from 'node:crypto'
import type { NoiseComponents, NoiseExtensions } from '@chainsafe/libp2p-noise'
import {
  type ConnectionEncrypter,
  type MessageStream,
  type SecureConnectionOptions,
  type SecuredConnection,
  serviceCapabilities
} from '@libp2p/interface'
import { handshake } from './handshake.ts'
import type { NoiseInit } from './index.ts'
import { NoiseStream } from './noise-stream.ts'

const STATIC_KEY_BYTES = 32

export class NoiseEncrypter implements ConnectionEncrypter<NoiseExtensions> {
  readonly protocol = '/noise'
  readonly [Symbol.toStringTag] = 'libp2p-blobs/noise'
  readonly [serviceCapabilities] = ['@libp2p/connection-encryption']
  readonly #components: NoiseComponents
  readonly #init: NoiseInit

  constructor(components: NoiseComponents, init: NoiseInit) {
    this.#components = components
    // One for all handshakes of the node, as @chainsafe/libp2p-noise has it.
    this.#init = { staticNoiseKey: randomBytes(STATIC_KEY_BYTES), ...init }
  }

  async secureInbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection<NoiseExtensions>> {
    return await this.#secure(connection, false, options)
  }

  async secureOutbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection<NoiseExtensions>> {
    return await this.#secure(connection, true, options)
  }

  async #secure(
    connection: MessageStream,
    isInitiator: boolean,
    secure: SecureConnectionOptions | undefined
  ): Promise<SecuredConnection<NoiseExtensions>> {
    const { peerId, privateKey, logger, upgrader } = this.#components
    const session = await handshake(connection, {
      isInitiator,
      init: this.#init,
      // Without metrics, which each handshake would register anew.
      components: { peerId, privateKey, logger, upgrader },
      secure
    })
    return { ...session.about, connection: new NoiseStream(connection, session) }
  }
}
