/** Fetching some of a collection's files, in as few requests as possible. */
import type { Multiaddr } from '@multiformats/multiaddr'
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { AllProvidersFailedError, type Blobs, type FetchProgress, type FetchResult } from '../libp2p/index.ts'
import { type ProviderAddress, providersOf } from '../libp2p/provider-address.ts'
import { NotAvailableError } from '../protocol/errors.ts'
import { missingRanges } from '../protocol/missing.ts'
import type { BlobStore, WaitOptions } from '../store/index.ts'
import type { ExportPlan } from './export-plan.ts'

export interface FetchFilesOptions extends WaitOptions {
  readonly from: readonly Multiaddr[]
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined
}

/**
 * Fetches the blobs of a plan, each once. The providers are asked one after the other for what is still missing.
 *
 * @param hash the collection's, which is reported
 * @throws the last provider's reason, or AllProvidersFailedError when there are several
 */
export async function fetchFiles(
  blobs: Blobs,
  store: BlobStore,
  hash: Hash,
  plan: ExportPlan,
  { from, signal, onProgress }: FetchFilesOptions
): Promise<FetchResult> {
  const each = new Map(plan.files.map(file => [file.hash.toString(), file.hash]))
  let had = 0
  let missing: Hash[] = []
  for (const blob of each.values()) {
    const { ranges, heldBytes } = missingRanges(await store.status(blob, { signal }), ChunkRanges.all)
    had += heldBytes
    if (!ranges.isEmpty) missing.push(blob)
  }
  let received = 0
  const report = (blobsDone: number): void =>
    onProgress?.({ hash, received, had, total: undefined, blobsDone, blobs: each.size, providers: 1 })
  report(each.size - missing.length)
  const failures: { provider: ProviderAddress; error: unknown }[] = []
  const providers = providersOf(from)
  for (const provider of providers) {
    if (missing.length === 0) break
    const [before, done] = [received, each.size - missing.length]
    try {
      const { notAvailable } = await blobs.fetchMany(missing, {
        from: provider,
        hasOthers: provider !== providers.at(-1),
        signal,
        onProgress: ({ received: now, blobsDone }) => {
          received = before + now
          report(done + blobsDone)
        }
      })
      missing = [...notAvailable]
      if (notAvailable.length > 0) throw new NotAvailableError(notAvailable[0]!, 0)
    } catch (error) {
      signal?.throwIfAborted()
      failures.push({ provider, error })
    }
  }
  if (missing.length > 0) {
    throw failures.length === 1 ? failures[0]!.error : new AllProvidersFailedError(hash, failures)
  }
  report(each.size)
  return { hash, format: 'hash_seq', size: received + had, received, had, blobs: each.size }
}
