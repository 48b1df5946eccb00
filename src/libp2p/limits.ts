/** The limits a service keeps, and their defaults. */
import { MAX_BLOB_BYTES } from '../bao/constants.ts'
import * as defaults from './constants.ts'

/** Times in ms, up to 2^31 - 1, which is 24 days. What raising and lowering each costs is told in `constants.ts`. */
export interface BlobsLimits {
  /**
   * Requests of one peer that are answered at the same time. A further one is told to come back later.
   *
   * @default 64
   */
  readonly maxStreamsPerPeer: number
  /**
   * Requests that are answered at the same time in all; and streams on which a request has not come in full. When there is no place left, a
   * peer that has fewer gets one of a peer that has more, and is waited for.
   *
   * @default 512
   */
  readonly maxStreams: number
  /**
   * Observe requests of one peer among these.
   *
   * @default 8
   */
  readonly maxObserversPerPeer: number
  /**
   * Observe requests among these in all.
   *
   * @default 64
   */
  readonly maxObservers: number
  /**
   * Streams that libp2p lets one connection open before it resets further ones.
   *
   * @default 256
   */
  readonly maxStreamsPerConnection: number
  /**
   * How long a peer that is turned away is told to wait.
   *
   * @default 500
   */
  readonly retryAfterMs: number
  /**
   * Within this time a stream's request must begin, and within the same time from then on it must have come in full.
   *
   * @default 30_000
   */
  readonly requestTimeoutMs: number
  /**
   * Longest time during which the peer takes, or sends, no byte.
   *
   * @default 60_000
   */
  readonly idleTimeoutMs: number
  /**
   * Longest time without a byte from a provider while there are others to ask; and for how long a peer may leave a piece of its response
   * untaken, or send nothing of a push, while others wait for its place.
   *
   * @default 10_000
   */
  readonly stallTimeoutMs: number
  /**
   * Longest time that one stream may take in all.
   *
   * @default 86_400_000
   */
  readonly streamTimeoutMs: number
  /**
   * How long to wait for a connection and a stream to a provider.
   *
   * @default 15_000
   */
  readonly dialTimeoutMs: number
  /**
   * Fetches at a time. Further ones wait in line.
   *
   * @default 16
   */
  readonly maxFetches: number
  /**
   * Providers that one fetch asks at a time. Further ones are asked when some fail.
   *
   * @default 8
   */
  readonly maxProvidersPerFetch: number
  /**
   * Most bytes that a blob may claim to have, fetched or pushed.
   *
   * @default 9_007_199_254_740_991
   */
  readonly maxBlobBytes: number
}

export const DEFAULT_LIMITS: BlobsLimits = {
  maxStreamsPerPeer: defaults.MAX_STREAMS_PER_PEER,
  maxStreams: defaults.MAX_STREAMS,
  maxObserversPerPeer: defaults.MAX_OBSERVERS_PER_PEER,
  maxObservers: defaults.MAX_OBSERVERS,
  maxStreamsPerConnection: defaults.MAX_STREAMS_PER_CONNECTION,
  retryAfterMs: defaults.RETRY_AFTER_MS,
  requestTimeoutMs: defaults.REQUEST_TIMEOUT_MS,
  idleTimeoutMs: defaults.IDLE_TIMEOUT_MS,
  stallTimeoutMs: defaults.STALL_TIMEOUT_MS,
  streamTimeoutMs: defaults.STREAM_TIMEOUT_MS,
  dialTimeoutMs: defaults.DIAL_TIMEOUT_MS,
  maxFetches: defaults.MAX_FETCHES,
  maxProvidersPerFetch: defaults.MAX_PROVIDERS_PER_FETCH,
  maxBlobBytes: MAX_BLOB_BYTES
}

/** A limit is no positive whole number, is a time that is too long for a timer, or has a name that is none of ours. */
export class InvalidLimitError extends Error {
  override readonly name = 'InvalidLimitError'
  readonly code = 'ERR_INVALID_LIMIT'
}

/** Whether that limit is a time in ms. */
export function isTime(name: string): boolean {
  return name.endsWith('Ms')
}

/**
 * The limits given, and the defaults of those that are not.
 *
 * @throws InvalidLimitError
 */
export function withDefaults(limits: Partial<BlobsLimits> = {}): BlobsLimits {
  const known = Object.keys(DEFAULT_LIMITS)
  for (const [name, value] of Object.entries(limits)) {
    if (!known.includes(name)) {
      throw new InvalidLimitError(`there is no limit "${name}"; there are ${known.join(', ')}`)
    }
    if (!Number.isSafeInteger(value) || value <= 0) {
      throw new InvalidLimitError(`${name} is ${value}: it must be a positive whole number`)
    }
    if (isTime(name) && value > defaults.LONGEST_LIMIT_MS) {
      throw new InvalidLimitError(
        `${name} is ${value}: it must be at most ${defaults.LONGEST_LIMIT_MS}, which is 24 days`
      )
    }
  }
  return { ...DEFAULT_LIMITS, ...limits }
}
