/**
 * The blobs service for a libp2p node: serves what is in a store, and fetches into it.
 *
 * @packageDocumentation
 *
 * @example Two nodes
 *
 * ```ts
 * import { noise } from '@chainsafe/libp2p-noise'
 * import { yamux } from '@chainsafe/libp2p-yamux'
 * import { tcp } from '@libp2p/tcp'
 * import { createLibp2p } from 'libp2p'
 * import { blobs, boundedFrames, MemoryStore, YAMUX_OPTIONS } from 'libp2p-blobs'
 *
 * const start = (store: MemoryStore) =>
 *   createLibp2p({
 *     addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
 *     transports: [tcp()],
 *     connectionEncrypters: [noise()],
 *     streamMuxers: [boundedFrames(yamux(YAMUX_OPTIONS))],
 *     services: { blobs: blobs({ store }) }
 *   })
 *
 * const library = new MemoryStore()
 * const { hash } = await library.addBytes(new TextEncoder().encode('hello'))
 * const provider = await start(library)
 * const getter = await start(new MemoryStore())
 *
 * const { size } = await getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs() })
 * console.log(size) // 5
 * ```
 */
import type { ComponentLogger, PeerId, TypedEventTarget } from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'
import type { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import type { ObserveItem } from '../protocol/observe-item.ts'
import type { Request } from '../protocol/request.ts'
import type { BlobFormat, BlobStore } from '../store/index.ts'
import { BlobsService } from './blobs.ts'
import type { FetchProgress, FetchResult } from './fetch/progress.ts'
import type { FetchManyProgress, FetchManyResult } from './fetch-many.ts'
import type { BlobsLimits } from './limits.ts'
import type { PushedBlobs, ServedRequest } from './provider.ts'
import type { ProviderList } from './provider-address.ts'
import type { PushProgress, PushResult } from './push.ts'
import type { AcceptPush } from './push-policy.ts'

export interface BlobsInit {
  /** What is served, and where fetched blobs go. It is not closed with the node. */
  readonly store: BlobStore
  /**
   * Decides whether a request is answered, before the store is looked at.
   *
   * @default every request is answered, but for pushes, which `acceptPush` allows
   */
  readonly authorize?: (asked: { peer: PeerId; request: Request }) => boolean | Promise<boolean>
  /**
   * Whether peers may push blobs into the store: all, those in a list of ids, or those for whom a function says so.
   *
   * @default false
   */
  readonly acceptPush?: AcceptPush | undefined
  /**
   * Told of what has been pushed when all of it is stored, and waited for before the pusher is told so: the place to tag it.
   * What it throws, the pusher sees as a failure.
   */
  readonly onPushed?: ((pushed: PushedBlobs) => void | Promise<void>) | undefined
  /** Limits other than the defaults. */
  readonly limits?: Partial<BlobsLimits>
  /**
   * Whether to serve over connections of limited time or data, such as through a relay.
   *
   * @default false
   */
  readonly runOnLimitedConnection?: boolean
}

/** What the service needs of a libp2p node. */
export interface BlobsComponents {
  readonly connectionManager: ConnectionManager
  readonly registrar: Registrar
  readonly logger: ComponentLogger
}

export interface PeerOptions {
  /**
   * Whom to ask. Among several peers {@link Blobs.fetch} shares out what is missing, by their speed; the other methods ask the
   * first.
   */
  readonly from: ProviderList
  readonly signal?: AbortSignal | undefined
}

export interface FetchOptions extends PeerOptions {
  /**
   * `hash_seq` fetches the blobs that the blob links to as well.
   *
   * @default 'raw'
   */
  readonly format?: BlobFormat | undefined
  /**
   * Chunks wanted of a raw blob, widened to whole groups of 16.
   *
   * @default all
   */
  readonly ranges?: ChunkRanges | undefined
  /**
   * Whether to ask for the sizes of a hash sequence's children first, so that progress has a total. Costs one round trip and
   * at most 1 KiB and a few hashes per child.
   *
   * @default false
   */
  readonly askSizes?: boolean | undefined
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined
}

export interface PushOptions {
  /** Whom to push to; of several peers the first. */
  readonly to: ProviderList
  /**
   * `hash_seq` pushes the blobs that the blob links to as well.
   *
   * @default 'raw'
   */
  readonly format?: BlobFormat | undefined
  /**
   * Chunks to push of a raw blob, widened to whole groups of 16.
   *
   * @default all
   */
  readonly ranges?: ChunkRanges | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: PushProgress) => void) | undefined
}

export interface StreamOptions extends PeerOptions {
  /**
   * First byte wanted.
   *
   * @default 0
   */
  readonly offset?: number | undefined
  /**
   * Number of bytes wanted. Fewer come when the blob ends before.
   *
   * @default up to the end
   */
  readonly length?: number | undefined
}

/** What a peer says of a blob. */
export type RemoteStatus =
  | { readonly state: 'absent' }
  | {
      readonly state: 'available'
      /** Bytes. */
      readonly size: number
      /** Whether the peer has proven the size, by the blob's last chunk. A peer that holds only a part may not be able to. */
      readonly isSizeProven: boolean
    }

export interface BlobsEvents {
  /** A request has been answered, or could not be. */
  request: CustomEvent<ServedRequest>
  /** A push of a peer has been received in full. A hash sequence of thousands of blobs comes in several pushes. */
  pushed: CustomEvent<PushedBlobs>
  /** A fetch has been completed. */
  fetched: CustomEvent<FetchResult & { readonly ms: number }>
  /** A peer has sent bytes that are not the blob's. None of them was kept, and the fetch asks that peer for nothing more. */
  misbehaved: CustomEvent<{ readonly peer: PeerId; readonly hash: Hash; readonly error: Error }>
  /** A fetch has failed, with the reason of each provider that was asked. One that was aborted is not told of. */
  failed: CustomEvent<{ readonly hash: Hash; readonly errors: readonly unknown[] }>
}

export interface FetchManyOptions extends PeerOptions {
  /**
   * Whether there are others to ask: then the provider is given up when it sends nothing for `stallTimeoutMs`.
   *
   * @default false
   */
  readonly hasOthers?: boolean | undefined
  readonly onProgress?: ((progress: FetchManyProgress) => void) | undefined
}

export interface Blobs extends TypedEventTarget<BlobsEvents> {
  /**
   * Fetches a blob into the store: asks for what the store lacks, checks it while it arrives.
   *
   * Of several providers at most `maxProvidersPerFetch` are asked at a time, each for pieces of at least 1 MiB. What one does
   * not bring, because it fails, stalls (`stallTimeoutMs`), lacks data or sends wrong bytes, the others are asked for; one that
   * holds a part is asked for that part, and for more when it has more. One that cannot be reached, or is cut off, is tried
   * three times in all.
   *
   * What is wanted twice at the same time is fetched once, from the providers of both callers; a caller's signal ends its own
   * wait, and the transfer when nobody else waits. At most `maxFetches` run at a time, in the order in which they were begun.
   *
   * @throws NotAvailableError, ProviderUnreachableError, HashMismatchError, TruncatedEncodingError, RefusedError,
   *   StreamResetError, StreamIdleTimeoutError, StoreError; AllProvidersFailedError when several were asked, with the reason
   *   of each. What had been proven by then stays in the store as a partial blob.
   */
  fetch(hash: Hash, options: FetchOptions): Promise<FetchResult>

  /** Fetches a list of blobs, in one request where the provider can. */
  fetchMany(hashes: readonly Hash[], options: FetchManyOptions): Promise<FetchManyResult>

  /**
   * Sends a blob to a peer: asks what the peer has of it, sends the rest, and waits until the peer says that it is stored. What
   * arrived before a failure stays at the peer, and is not sent again the next time.
   *
   * Children below 64 KiB are sent without asking. A peer that does not tell what it has gets everything.
   *
   * @throws RefusedError when the peer takes no pushes from this node, is full, or finds fault with what it gets
   * @throws BlobNotFoundError when the store lacks some of it, before anything is sent; NotAHashSequenceError
   * @throws PushNotKeptError, ProviderUnreachableError, StreamResetError, StreamIdleTimeoutError, CorruptSourceError, StoreError
   */
  push(hash: Hash, options: PushOptions): Promise<PushResult>

  /**
   * The bytes of a blob, or of a part of it, as they arrive and are proven, in pieces of up to 1 MiB that are the caller's to keep.
   * Nothing is stored. Stop iterating to stop the transfer.
   */
  stream(hash: Hash, options: StreamOptions): AsyncGenerator<Uint8Array, void, undefined>

  /** What a peer holds of a blob, now and whenever it changes, until the signal aborts or the loop is left. */
  observe(hash: Hash, options: PeerOptions): AsyncGenerator<ObserveItem, void, undefined>

  /** What a peer holds of a blob now; undefined when it does not know this question. */
  observeOnce(hash: Hash, options: PeerOptions): Promise<ObserveItem | undefined>

  /** Whether a peer has a blob, and how large it is. */
  status(hash: Hash, options: PeerOptions): Promise<RemoteStatus>
}

/**
 * The service, in the shape of libp2p's own: `createLibp2p({ services: { blobs: blobs({ store }) } })`.
 *
 * @throws InvalidLimitError when the node is created with a limit that is none; InvalidPeerIdError when `acceptPush` lists one
 */
export function blobs(init: BlobsInit): (components: BlobsComponents) => Blobs {
  return components => new BlobsService(components, init)
}

export { boundedFrames, FrameTooLargeError } from './bounded-frames.ts'
export { AllProvidersFailedError } from './fetch/errors.ts'
export type { FetchProgress, FetchResult } from './fetch/progress.ts'
export type { FetchManyProgress, FetchManyResult } from './fetch-many.ts'
export { ProviderUnreachableError } from './getter.ts'
export { type BlobsLimits, DEFAULT_LIMITS, InvalidLimitError } from './limits.ts'
export { promptConsent } from './prompt-consent.ts'
export { type PushedBlobs, RequestTimeoutError, type ServedRequest, SlowPeerError } from './provider.ts'
export type { ProviderAddress, ProviderList } from './provider-address.ts'
export { PushNotKeptError, type PushProgress, type PushResult } from './push.ts'
export { type AcceptPush, InvalidPeerIdError } from './push-policy.ts'
export * from './stream-errors.ts'
export { YAMUX_OPTIONS } from './yamux-options.ts'
