/** Fetches a list of blobs, as many as possible in one request. */
import type { PeerId } from '@libp2p/interface'
import type { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import { NotAvailableError } from '../protocol/errors.ts'
import { RangesSeq } from '../protocol/ranges-seq.ts'
import { receive } from '../protocol/receive.ts'
import { storeSink } from '../protocol/store-sink.ts'
import type { BlobStore } from '../store/index.ts'
import { CHILDREN_PER_REQUEST } from './constants.ts'
import { isLie } from './fetch/errors.ts'
import { lookUp } from './fetch/look-up.ts'
import type { Getter } from './getter.ts'
import type { ProviderAddress } from './provider-address.ts'

export interface FetchManyResult {
  /** Blobs that are whole in the store now, each once. */
  readonly fetched: readonly Hash[]
  /** Blobs that the provider does not have. */
  readonly notAvailable: readonly Hash[]
  /** Bytes that came in. */
  readonly received: number
}

/** How far it has come. */
export interface FetchManyProgress {
  /** Bytes that have arrived and are proven. */
  readonly received: number
  /** Blobs that are whole in the store now. */
  readonly blobsDone: number
}

export interface FetchManyJob {
  readonly provider: ProviderAddress
  readonly maxBlobBytes: number
  /** Longest time without a byte, in ms. */
  readonly idleTimeoutMs: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: FetchManyProgress) => void) | undefined
  readonly onMisbehaved: (peer: PeerId, hash: Hash, error: Error) => void
  /** Fetches one blob by itself. */
  readonly fetch: (hash: Hash) => Promise<{ received: number }>
}

/** Blobs in a request that follows one which met a blob that was not there. */
const FEW_AT_A_TIME = 16

interface Wanted {
  readonly hash: Hash
  readonly ranges: ChunkRanges
}

/** The GetMany request is younger than the protocol: where it is not known, blobs are fetched one by one. */
export async function fetchMany(
  getter: Getter,
  store: BlobStore,
  hashes: readonly Hash[],
  job: FetchManyJob
): Promise<FetchManyResult> {
  const fetched: Hash[] = []
  const notAvailable: Hash[] = []
  let received = 0
  const each = [...new Map(hashes.map(hash => [hash.toString(), hash])).values()]
  await using lease = await store.lease(job)
  for (let first = 0; first < each.length; first += CHILDREN_PER_REQUEST) {
    let wanted: Wanted[] = []
    const page = each.slice(first, first + CHILDREN_PER_REQUEST)
    await lease.protect(...page.map(hash => ({ hash, format: 'raw' as const })))
    for (const [i, { ranges }] of (await lookUp(store, page, { signal: job.signal })).entries()) {
      const hash = page[i]!
      if (ranges.isEmpty) fetched.push(hash)
      else wanted.push({ hash, ranges })
    }
    // A blob that is not there ends the response. Where many are not there, only a few are asked for again at a time: else each
    // of them would cost a request with all the rest.
    let most = wanted.length
    while (wanted.length > 0) {
      const asked = wanted.slice(0, most)
      const { done, bytes } = await getMany(getter, store, asked, {
        ...job,
        onProgress: more =>
          job.onProgress?.({
            received: received + more.received,
            blobsDone: fetched.length + more.blobsDone
          })
      })
      received += bytes
      fetched.push(...wanted.slice(0, done).map(({ hash }) => hash))
      const stopped = asked[done]
      wanted = wanted.slice(stopped === undefined ? done : done + 1)
      most = stopped === undefined ? 2 * most : FEW_AT_A_TIME
      if (stopped === undefined) continue
      try {
        received += (await job.fetch(stopped.hash)).received
        fetched.push(stopped.hash)
        job.onProgress?.({ received, blobsDone: fetched.length })
      } catch (error) {
        if (!(error instanceof NotAvailableError)) throw error
        notAvailable.push(stopped.hash)
      }
    }
  }
  return { fetched, notAvailable, received }
}

/** @returns how many of the first blobs came whole, before one was not there */
async function getMany(
  getter: Getter,
  store: BlobStore,
  wanted: readonly Wanted[],
  { provider, maxBlobBytes, idleTimeoutMs, signal, onMisbehaved, onProgress }: FetchManyJob
): Promise<{ done: number; bytes: number }> {
  let done = 0
  let bytes = 0
  let peer: PeerId | undefined
  const request = {
    type: 'get_many',
    hashes: wanted.map(({ hash }) => hash),
    ranges: RangesSeq.fromList(wanted.map(({ ranges }) => ranges))
  } as const
  try {
    await getter.ask(
      provider,
      request,
      async ({ peer: answering, response, hasStatus }) => {
        peer = answering
        const sink = storeSink(store, { signal })
        for await (const blob of receive(request, response, sink, { hasStatus, maxBlobBytes })) {
          if (blob.isDone) {
            done = blob.index + 1
            bytes += blob.received
          }
          onProgress?.({ received: blob.isDone ? bytes : bytes + blob.received, blobsDone: done })
        }
      },
      { signal, idleTimeoutMs }
    )
  } catch (error) {
    if (peer !== undefined && isLie(error)) onMisbehaved(peer, wanted[done]!.hash, error)
    if (!(error instanceof NotAvailableError)) throw error
  }
  return { done, bytes }
}
