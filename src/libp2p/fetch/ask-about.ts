/** Questions to a provider about one blob, beside those for its data. */
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { receiveObserved } from '../../protocol/observe.ts'
import type { ObserveItem } from '../../protocol/observe-item.ts'
import { RangesSeq } from '../../protocol/ranges-seq.ts'
import { receive } from '../../protocol/receive.ts'
import type { GetRequest } from '../../protocol/request.ts'
import type { Getter } from '../getter.ts'
import type { ProviderAddress } from '../provider-address.ts'

export interface ObserveAtOptions {
  readonly signal: AbortSignal
  /**
   * Whether the provider may say nothing for any time.
   *
   * @default true
   */
  readonly isQuiet?: boolean | undefined
}

/** What a provider holds of a blob, now and whenever it changes. */
export async function observeAt(
  getter: Getter,
  provider: ProviderAddress,
  hash: Hash,
  onItem: (item: ObserveItem) => void | Promise<void>,
  options: ObserveAtOptions
): Promise<void> {
  await getter.ask(
    provider,
    { type: 'observe', hash, ranges: ChunkRanges.all },
    async ({ response, hasStatus }) => {
      for await (const item of receiveObserved(hash, response, { hasStatus })) await onItem(item)
    },
    { isQuiet: true, ...options }
  )
}

export interface ProveSizeOptions {
  readonly maxBlobBytes: number
  readonly idleTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** What the provider claims, before it has proven it. */
  readonly onClaim?: ((size: number) => void) | undefined
}

/**
 * A blob's size in bytes, proven by its last chunk.
 *
 * @throws NotAvailableError, TruncatedEncodingError when the provider cannot prove it; what `Getter.ask` throws
 */
export async function proveSize(
  getter: Getter,
  provider: ProviderAddress,
  hash: Hash,
  { maxBlobBytes, idleTimeoutMs, signal, onClaim }: ProveSizeOptions
): Promise<number> {
  const request: GetRequest = { type: 'get', hash, ranges: RangesSeq.verifiedSize }
  let claimed = 0
  const sink = {
    open: async ({ size }: { size: number }) => {
      claimed = size
      onClaim?.(size)
      return { write: async () => undefined, close: async () => undefined }
    },
    links: (root: Hash) => Promise.reject(new Error(`blob ${root} is not asked for with its children`))
  }
  await getter.ask(
    provider,
    request,
    async ({ response, hasStatus }) => {
      for await (const _ of receive(request, response, sink, { hasStatus, maxBlobBytes }))
        signal?.throwIfAborted()
    },
    { signal, idleTimeoutMs }
  )
  return claimed
}
