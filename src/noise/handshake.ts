/** The handshake, which is left to @chainsafe/libp2p-noise, and the keys that both sides have after it. */
import {
  type ICryptoInterface,
  type NoiseComponents,
  type NoiseExtensions,
  type NoiseInit,
  noise
} from '@chainsafe/libp2p-noise'
import { defaultCrypto } from '@chainsafe/libp2p-noise/crypto'
import type { MessageStream, SecureConnectionOptions, SecuredConnection } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { CipherState } from './cipher-state.ts'
import { UnsupportedNoiseError } from './errors.ts'
import { HandshakeStream } from './handshake-stream.ts'

export interface HandshakeOptions {
  readonly isInitiator: boolean
  readonly init: Omit<NoiseInit, 'crypto'>
  readonly components: NoiseComponents
  readonly secure: SecureConnectionOptions | undefined
}

/** Both directions of a connection, beginning behind the handshake. */
export interface Session {
  readonly sending: CipherState
  readonly receiving: CipherState
  /** What the peer has sent after it, as far as that has come. */
  readonly arrived: Uint8ArrayList
}

export interface NewSession extends Session {
  /** What the handshake has told of the peer. */
  readonly about: Omit<SecuredConnection<NoiseExtensions>, 'connection'>
}

/**
 * @throws what @chainsafe/libp2p-noise throws
 * @throws UnsupportedNoiseError
 */
export async function handshake(connection: MessageStream, options: HandshakeOptions): Promise<NewSession> {
  const { isInitiator, init, components, secure } = options
  const stream = new HandshakeStream(connection)
  let keys: readonly [CipherState, CipherState] | undefined
  const crypto: ICryptoInterface = {
    ...defaultCrypto,
    getHKDF(chainingKey, input) {
      const derived = defaultCrypto.getHKDF(chainingKey, input)
      // Noise protocol, section 5.2, Split(): only what derives the two keys for all that follows has an input of zero bytes.
      if (input.byteLength === 0) {
        keys = [new CipherState(derived[0]), new CipherState(derived[1])]
        // What follows is for us.
        stream.pause()
      }
      return derived
    }
  }
  try {
    const encrypter = noise({ ...init, crypto })(components)
    const { connection: _, ...about } = await (isInitiator
      ? encrypter.secureOutbound(stream, secure)
      : encrypter.secureInbound(stream, secure))
    if (keys === undefined) throw new UnsupportedNoiseError('@chainsafe/libp2p-noise does not show its keys')
    const [first, second] = keys
    // Section 5.2 as well: the first key is for what the initiator sends.
    const [sending, receiving] = isInitiator ? [first, second] : [second, first]
    return { sending, receiving, about, arrived: stream.release() }
  } catch (error) {
    stream.release()
    throw error
  }
}
