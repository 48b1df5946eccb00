/** How a connection over noise fails, beyond what @chainsafe/libp2p-noise says of a handshake. */

/** The message is not one that the peer has encrypted for us: damaged on the way, or somebody in between. */
export class NoiseMessageError extends Error {
  override readonly name = 'NoiseMessageError'
  readonly code = 'ERR_NOISE_MESSAGE'
  /** Which of the messages from the peer, the first one being 0. */
  readonly index: number

  constructor(index: number, problem: string, cause?: unknown) {
    super(`message ${index} from the peer ${problem}`, cause === undefined ? undefined : { cause })
    this.index = index
  }
}

/** The connection's keys are there no more: it is closed, or they were used as often as they may be. */
export class NoiseKeyError extends Error {
  override readonly name = 'NoiseKeyError'
  readonly code = 'ERR_NOISE_KEY'

  constructor(problem: string) {
    super(`nothing can be encrypted or decrypted any more: ${problem}`)
  }
}

/** The installed @chainsafe/libp2p-noise is built in another way than this module needs. */
export class UnsupportedNoiseError extends Error {
  override readonly name = 'UnsupportedNoiseError'
  readonly code = 'ERR_UNSUPPORTED_NOISE'

  constructor(what: string) {
    super(
      `${what}: use the version of @chainsafe/libp2p-noise that libp2p-blobs asks for, or its own noise()`
    )
  }
}
