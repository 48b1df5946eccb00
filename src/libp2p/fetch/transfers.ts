/**
 * All fetches of a service: so many at a time, and what is wanted twice at the same time is fetched once.
 */
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import type { BlobFormat } from '../../store/index.ts'
import { Limiter } from '../../store/limiter.ts'
import { abortable } from '../../store/waiting.ts'
import type { ProviderAddress } from '../provider-address.ts'
import type { FetchProgress, FetchResult } from './progress.ts'
import { type FetchContext, Transfer } from './transfer.ts'

/** What somebody wants. */
export interface Wish {
  readonly hash: Hash
  readonly format: BlobFormat
  /** Chunks wanted of a raw blob. */
  readonly ranges: ChunkRanges
  readonly askSizes: boolean
  readonly providers: readonly ProviderAddress[]
  /** Longest time without a byte from a provider that is alone, in ms, for who begins the transfer. Default: that of the limits. */
  readonly idleTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined
}

export interface TransfersInit extends FetchContext {
  readonly onFetched: (result: FetchResult, ms: number) => void
  /** Not told of one that nobody wanted any more. */
  readonly onFailed: (hash: Hash, error: unknown) => void
}

/** One transfer, and those who wait for it. */
interface Shared {
  readonly transfer: Transfer
  readonly result: Promise<FetchResult>
  readonly callers: Set<Caller>
}

interface Caller {
  readonly onProgress: (progress: FetchProgress) => void
  /** Aborts when the caller does not wait any longer. */
  readonly leaving: AbortSignal | undefined
}

export class Transfers {
  readonly #init: TransfersInit
  readonly #limiter: Limiter
  readonly #shared = new Map<string, Shared>()

  constructor(init: TransfersInit) {
    this.#init = init
    this.#limiter = new Limiter(init.limits.maxFetches)
  }

  /**
   * Fetches, or joins who fetches the same already; the providers of all are asked then. The signal ends only the caller's
   * own wait, but when the last one has gone, the transfer.
   */
  async fetch(wish: Wish): Promise<FetchResult> {
    wish.signal?.throwIfAborted()
    const key = keyOf(wish)
    const shared = this.#shared.get(key) ?? this.#begin(key, wish)
    shared.transfer.addProviders(wish.providers)
    shared.transfer.askSizes ||= wish.askSizes
    const caller = callerOf(wish)
    const { leaving } = caller
    shared.callers.add(caller)
    try {
      return await abortable(shared.result, leaving)
    } finally {
      shared.callers.delete(caller)
      if (leaving?.aborted && shared.callers.size === 0) await this.#abort(key, shared, leaving.reason)
    }
  }

  /** Ends all. */
  async stop(reason: unknown): Promise<void> {
    await Promise.all(Array.from(this.#shared, ([key, shared]) => this.#abort(key, shared, reason)))
  }

  #begin(key: string, { hash, format, ranges, idleTimeoutMs }: Wish): Shared {
    const callers = new Set<Caller>()
    const transfer = new Transfer(this.#init, {
      hash,
      format,
      ranges,
      idleTimeoutMs,
      onProgress: progress => {
        for (const caller of callers) caller.onProgress(progress)
      }
    })
    const result = this.#limiter.run(() => this.#run(transfer, hash), transfer.signal)
    const shared: Shared = { transfer, callers, result }
    this.#shared.set(key, shared)
    const forget = (): void => {
      if (this.#shared.get(key) === shared) this.#shared.delete(key)
    }
    result.then(forget, forget)
    return shared
  }

  async #run(transfer: Transfer, hash: Hash): Promise<FetchResult> {
    const startedAt = performance.now()
    try {
      const result = await transfer.run()
      this.#init.onFetched(result, performance.now() - startedAt)
      return result
    } catch (error) {
      if (!transfer.signal.aborted) this.#init.onFailed(hash, error)
      throw error
    }
  }

  /** What has arrived by now is in the store when it resolves. */
  async #abort(key: string, shared: Shared, reason: unknown): Promise<void> {
    // Who comes now begins anew.
    if (this.#shared.get(key) === shared) this.#shared.delete(key)
    shared.transfer.abort(reason)
    await shared.result.catch(() => undefined)
  }
}

function callerOf({ signal, onProgress }: Wish): Caller {
  if (onProgress === undefined) return { onProgress: () => undefined, leaving: signal }
  const failing = new AbortController()
  const leaving = signal === undefined ? failing.signal : AbortSignal.any([failing.signal, signal])
  return {
    leaving,
    onProgress: progress => {
      try {
        if (!leaving.aborted) onProgress(progress)
      } catch (error) {
        // It is this caller's failure, and none of the transfer.
        failing.abort(error)
      }
    }
  }
}

function keyOf({ hash, format, ranges }: Wish): string {
  return `${hash}/${format}/${format === 'raw' ? ranges : ChunkRanges.all}`
}
