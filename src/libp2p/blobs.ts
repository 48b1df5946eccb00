/** The service: what `index.ts` promises. */
import type { Logger, PeerId, Startable } from '@libp2p/interface'
import { TypedEventEmitter } from 'main-event'
import type { Piece } from '../bao/decoder.ts'
import { TruncatedEncodingError } from '../bao/errors.ts'
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { concat } from '../protocol/concat.ts'
import { BLOBS_PROTOCOL, IROH_PROTOCOL } from '../protocol/constants.ts'
import { NotAvailableError } from '../protocol/errors.ts'
import type { ObserveItem } from '../protocol/observe-item.ts'
import { RangesSeq } from '../protocol/ranges-seq.ts'
import { type BlobSink, type ReceiveSink, receive } from '../protocol/receive.ts'
import type { GetRequest } from '../protocol/request.ts'
import type { BlobFormat } from '../store/index.ts'
import { Channel } from './channel.ts'
import { observeAt, proveSize } from './fetch/ask-about.ts'
import { AllProvidersFailedError } from './fetch/errors.ts'
import type { FetchResult } from './fetch/progress.ts'
import { Transfers } from './fetch/transfers.ts'
import { type FetchManyResult, fetchMany } from './fetch-many.ts'
import { Getter } from './getter.ts'
import type {
  Blobs,
  BlobsComponents,
  BlobsEvents,
  BlobsInit,
  FetchManyOptions,
  FetchOptions,
  PeerOptions,
  PushOptions,
  RemoteStatus,
  StreamOptions
} from './index.ts'
import { type BlobsLimits, withDefaults } from './limits.ts'
import { Misbehaviour } from './misbehaviour.ts'
import { Provider } from './provider.ts'
import { type ProviderList, providersOf } from './provider-address.ts'
import { Push, type PushResult } from './push.ts'
import { pushPolicy } from './push-policy.ts'

const PROTOCOLS = [BLOBS_PROTOCOL, IROH_PROTOCOL]

export class BlobsService extends TypedEventEmitter<BlobsEvents> implements Blobs, Startable {
  readonly [Symbol.toStringTag] = 'libp2p-blobs'
  readonly #components: BlobsComponents
  readonly #init: BlobsInit
  readonly #limits: BlobsLimits
  readonly #log: Logger
  readonly #getter: Getter
  readonly #acceptPush: ReturnType<typeof pushPolicy>
  readonly #misbehaviour = new Misbehaviour()
  readonly #transfers: Transfers
  #provider: Provider | undefined

  constructor(components: BlobsComponents, init: BlobsInit) {
    super()
    this.#components = components
    this.#init = init
    this.#limits = withDefaults(init.limits)
    this.#acceptPush = pushPolicy(init.acceptPush ?? false)
    this.#log = components.logger.forComponent('libp2p:blobs')
    this.#getter = new Getter(components, this.#limits, this.#log)
    this.#transfers = new Transfers({
      getter: this.#getter,
      store: init.store,
      limits: this.#limits,
      log: this.#log,
      misbehaviour: this.#misbehaviour,
      onMisbehaved: this.#tellMisbehaved,
      onFetched: (result, ms) => this.safeDispatchEvent('fetched', { detail: { ...result, ms } }),
      onFailed: (hash, error) => {
        this.#log('fetching %s failed: %e', hash, error)
        const errors = error instanceof AllProvidersFailedError ? error.errors : [error]
        this.safeDispatchEvent('failed', { detail: { hash, errors } })
      }
    })
  }

  isStarted(): boolean {
    return this.#provider !== undefined
  }

  async start(): Promise<void> {
    if (this.#provider !== undefined) return
    const provider = new Provider({
      store: this.#init.store,
      limits: this.#limits,
      log: this.#log,
      acceptPush: this.#acceptPush,
      authorize: this.#init.authorize,
      onPushed: async pushed => {
        await this.#init.onPushed?.(pushed)
        this.safeDispatchEvent('pushed', { detail: pushed })
      },
      onServed: served => this.safeDispatchEvent('request', { detail: served })
    })
    this.#provider = provider
    for (const protocol of PROTOCOLS) {
      await this.#components.registrar.handle(
        protocol,
        (stream, connection) => provider.handle(stream, connection),
        {
          maxInboundStreams: this.#limits.maxStreamsPerConnection,
          maxOutboundStreams: this.#limits.maxStreams,
          runOnLimitedConnection: this.#init.runOnLimitedConnection ?? false
        }
      )
    }
  }

  async stop(): Promise<void> {
    const provider = this.#provider
    if (provider === undefined) return
    this.#provider = undefined
    for (const protocol of PROTOCOLS) await this.#components.registrar.unhandle(protocol)
    this.#getter.stop()
    await Promise.all([provider.stop(), this.#transfers.stop(new Error('the node is stopping'))])
  }

  async fetch(hash: Hash, options: FetchOptions): Promise<FetchResult> {
    checkFormat('fetch', options.format)
    return await this.#fetch(hash, options)
  }

  /** @param idleTimeoutMs longest time without a byte from a provider that is alone; default: that of the limits */
  async #fetch(hash: Hash, options: FetchOptions, idleTimeoutMs?: number): Promise<FetchResult> {
    return await this.#transfers.fetch({
      hash,
      format: options.format ?? 'raw',
      ranges: options.ranges ?? ChunkRanges.all,
      askSizes: options.askSizes ?? false,
      providers: providersOf(options.from),
      idleTimeoutMs,
      signal: options.signal,
      onProgress: options.onProgress
    })
  }

  async fetchMany(hashes: readonly Hash[], options: FetchManyOptions): Promise<FetchManyResult> {
    const { maxBlobBytes, stallTimeoutMs } = this.#limits
    const idleTimeoutMs =
      options.hasOthers === true
        ? Math.min(this.#limits.idleTimeoutMs, stallTimeoutMs)
        : this.#limits.idleTimeoutMs
    const [provider] = providersOf(options.from)
    return fetchMany(this.#getter, this.#init.store, hashes, {
      provider: provider!,
      maxBlobBytes,
      idleTimeoutMs,
      signal: options.signal,
      onMisbehaved: (peer, hash, error) => {
        this.#misbehaviour.note(peer.toString())
        this.#tellMisbehaved(peer, hash, error)
      },
      onProgress: options.onProgress,
      fetch: hash => this.#fetch(hash, { from: options.from, signal: options.signal }, idleTimeoutMs)
    })
  }

  async push(hash: Hash, options: PushOptions): Promise<PushResult> {
    checkFormat('push', options.format)
    const { to, format, ranges, signal, onProgress } = options
    const push = new Push(this.#getter, this.#init.store, {
      hash,
      provider: providersOf(to)[0]!,
      format: format ?? 'raw',
      ranges: ranges ?? ChunkRanges.all,
      idleTimeoutMs: this.#limits.idleTimeoutMs,
      look: blob => this.observeOnce(blob, { from: to, signal }),
      signal,
      onProgress
    })
    return await push.run()
  }

  async *stream(hash: Hash, options: StreamOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const start = options.offset ?? 0
    const end = options.length === undefined ? Number.POSITIVE_INFINITY : start + options.length
    if (!(Number.isSafeInteger(start) && start >= 0 && end >= start)) {
      throw new RangeError(
        `stream: offset ${options.offset} and length ${options.length} must be whole numbers from 0`
      )
    }
    if (end === start) return
    const ranges = ChunkRanges.ofBytes(start, Number.isFinite(end) ? end : undefined)
    const leaving = new AbortController()
    const signal = options.signal ? AbortSignal.any([leaving.signal, options.signal]) : leaving.signal
    const channel = new Channel<Uint8Array>()
    const sink: BlobSink = {
      write: ({ leaves }) => channel.push(copyWithin(leaves, start, end)),
      close: async () => undefined
    }
    const request: GetRequest = { type: 'get', hash, ranges: RangesSeq.blob(ranges) }
    const pump = this.#receive(options.from, request, async () => sink, signal).then(
      () => channel.end(),
      error => channel.fail(error, signal.aborted)
    )
    try {
      for await (const piece of channel) {
        options.signal?.throwIfAborted()
        if (piece.length > 0) yield piece
      }
    } finally {
      leaving.abort(new Error('the consumer has left'))
      await pump
    }
  }

  observe(hash: Hash, options: PeerOptions): AsyncGenerator<ObserveItem, void, undefined> {
    return this.#observe(hash, options, true)
  }

  async observeOnce(hash: Hash, options: PeerOptions): Promise<ObserveItem | undefined> {
    for await (const item of this.#observe(hash, options, false)) return item
    return undefined
  }

  /** @param isQuiet whether the peer may say nothing for any time */
  async *#observe(
    hash: Hash,
    options: PeerOptions,
    isQuiet: boolean
  ): AsyncGenerator<ObserveItem, void, undefined> {
    const leaving = new AbortController()
    const signal = options.signal ? AbortSignal.any([leaving.signal, options.signal]) : leaving.signal
    const channel = new Channel<ObserveItem>()
    const [provider] = providersOf(options.from)
    const pump = observeAt(this.#getter, provider!, hash, item => channel.push(item), {
      signal,
      isQuiet
    }).then(
      () => channel.end(),
      error => channel.fail(error, signal.aborted)
    )
    try {
      yield* channel
    } finally {
      leaving.abort(new Error('the observer has left'))
      await pump
    }
  }

  async status(hash: Hash, options: PeerOptions): Promise<RemoteStatus> {
    let claimed = 0
    try {
      const { maxBlobBytes } = this.#limits
      const [provider] = providersOf(options.from)
      const size = await proveSize(this.#getter, provider!, hash, {
        maxBlobBytes,
        signal: options.signal,
        onClaim: size => {
          claimed = size
        }
      })
      return { state: 'available', size, isSizeProven: true }
    } catch (error) {
      if (error instanceof NotAvailableError) return { state: 'absent' }
      if (error instanceof TruncatedEncodingError)
        return { state: 'available', size: claimed, isSizeProven: false }
      throw error
    }
  }

  readonly #tellMisbehaved = (peer: PeerId, hash: Hash, error: Error): void => {
    this.#log.error('%p has sent wrong bytes of %s: %e', peer, hash, error)
    this.safeDispatchEvent('misbehaved', { detail: { peer, hash, error } })
  }

  /** From the first provider: what is not kept in the store cannot be gone on with elsewhere. */
  async #receive(
    from: ProviderList,
    request: GetRequest,
    open: ReceiveSink['open'],
    signal: AbortSignal | undefined
  ): Promise<void> {
    const sink: ReceiveSink = {
      open,
      links: root => Promise.reject(new Error(`blob ${root} is not asked for with its children`))
    }
    const { maxBlobBytes } = this.#limits
    await this.#getter.ask(
      providersOf(from)[0]!,
      request,
      async ({ response, hasStatus }) => {
        const progress = receive(request, response, sink, { hasStatus, maxBlobBytes, isAwaited: true })
        for await (const _ of progress) signal?.throwIfAborted()
      },
      { signal }
    )
  }
}

function checkFormat(method: string, format: BlobFormat | undefined): void {
  if (format !== undefined && !['raw', 'hash_seq'].includes(format)) {
    throw new TypeError(`${method}: format is "${format}", it must be "raw" or "hash_seq"`)
  }
}

/**
 * What of the leaves, which follow one another, lies within the bytes wanted: a request beyond the end brings the last chunk, and a
 * chunk may begin before the first byte wanted. In one piece of memory: one for each leaf costs more than all the rest.
 */
function copyWithin(leaves: readonly Piece[], start: number, end: number): Uint8Array {
  const wanted = leaves.map(({ offset, bytes }) =>
    bytes.subarray(Math.max(0, start - offset), Math.max(0, end - offset))
  )
  return concat(wanted)
}
