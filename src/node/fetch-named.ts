/** Fetching a collection with its names first, so that they are known, and checked, before the rest is asked for. */
import type { Multiaddr } from '@multiformats/multiaddr'
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import type { Blobs, FetchProgress, FetchResult } from '../libp2p/index.ts'
import { MAX_COLLECTION_META_BYTES } from '../protocol/constants.ts'
import { Links } from '../protocol/links.ts'
import type { BlobFormat, BlobStore, WaitOptions } from '../store/index.ts'
import { planPath } from './collection-path.ts'
import { type ExportPlan, planExport } from './export-plan.ts'
import { fetchFiles } from './fetch-files.ts'

export interface FetchNamedOptions extends WaitOptions {
  readonly from: readonly Multiaddr[]
  readonly format: BlobFormat
  /**
   * A file or folder of the collection, which alone is to be fetched.
   *
   * @default all of it
   */
  readonly path?: string | undefined
  /** Called as soon as the names are there and found safe; what it throws ends the fetch. */
  readonly onPlan?: ((plan: ExportPlan) => Promise<void>) | undefined
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined
}

/** A fetch that has ended, and what the blobs become as files. */
export interface FetchedNamed extends FetchResult {
  readonly plan: ExportPlan
}

/**
 * Fetches a blob, or a hash sequence with its children, into a store. With a path it is one blob of a collection, or those of one
 * folder.
 *
 * @returns of a file in a collection its own blob; of a folder in it the collection's, with what the folder has been
 * @throws UnsafeNameError, NoSuchPathError before anything but the names has been fetched; what `Blobs.fetch` and `planExport`
 *   throw
 */
export async function fetchNamed(
  blobs: Blobs,
  store: BlobStore,
  hash: Hash,
  options: FetchNamedOptions
): Promise<FetchedNamed> {
  const { format, path, signal, onProgress } = options
  const ofNames = format === 'raw' ? 0 : await fetchNames(blobs, store, hash, options)
  const plan =
    path === undefined
      ? await planExport(store, hash, format, { signal })
      : await planPath(store, hash, path, { signal })
  await options.onPlan?.(plan)
  // The names have come in by this fetch too, though they are there already when it asks for the rest. Who asks for a path wants
  // nothing but what is behind it: they are not counted at all.
  const early = path === undefined ? ofNames : 0
  const withNames = <T extends Counted>(counted: T): T => withEarlier(counted, early)
  const ofRest = { ...options, onProgress: (progress: FetchProgress) => onProgress?.(withNames(progress)) }
  const result = await fetchRest(blobs, store, hash, plan, ofRest)
  return { ...withNames(result), plan }
}

/** What is counted of bytes. */
interface Counted {
  readonly received: number
  readonly had: number
}

/** Counts bytes as received, though they are there already when the rest is asked for: an earlier step has brought them. */
function withEarlier<T extends Counted>(counted: T, bytes: number): T {
  // The first report comes before they are counted as held.
  return { ...counted, received: counted.received + bytes, had: Math.max(0, counted.had - bytes) }
}

async function fetchRest(
  blobs: Blobs,
  store: BlobStore,
  hash: Hash,
  plan: ExportPlan,
  { from, format, path, signal, onProgress }: FetchNamedOptions
): Promise<FetchResult> {
  const common = { from, signal, onProgress }
  if (path === undefined) return await blobs.fetch(hash, { ...common, format, askSizes: true })
  const [file] = plan.files
  if (plan.kind === 'file') return await blobs.fetch(file!.hash, common)
  return await fetchFiles(blobs, store, hash, plan, common)
}

/** @returns the number of bytes that came in */
async function fetchNames(
  blobs: Blobs,
  store: BlobStore,
  hash: Hash,
  { from, signal }: FetchNamedOptions
): Promise<number> {
  const root = await blobs.fetch(hash, { from, signal })
  await using links = await Links.open(store, hash, { signal })
  if (links.count === 0) return root.received
  const meta = await links.link(0)
  if ((await store.status(meta, { signal })).state === 'complete') return root.received
  // A hash sequence that is no collection may begin with a blob of any size: only what may be names is fetched ahead.
  const held = await blobs.fetch(meta, { from, signal, ranges: ChunkRanges.range(0, 1) })
  const status = await store.status(meta, { signal })
  const early = root.received + held.received
  if (status.state !== 'partial' || status.size > MAX_COLLECTION_META_BYTES) return early
  return early + (await blobs.fetch(meta, { from, signal })).received
}
