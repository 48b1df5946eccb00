/**
 * What the storage itself says of a blob, and putting the index right by it: for blobs that the index does not know because
 * another node has added them or the database was lost, and for those whose objects have turned out to be gone.
 */
import { setImmediate } from 'node:timers/promises'
import { GROUP_BYTES } from '../../bao/constants.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import type { Hash } from '../../hash.ts'
import { Breather } from '../breather.ts'
import type { ObjectContext } from './context.ts'
import { fragmentBytes } from './fragment-bytes.ts'
import { type Fragment, formatBody, formatFragment, parseFragment } from './fragment-name.ts'
import { Fragments } from './fragments.ts'
import { blobPrefix, hasOutboard, outboardKey, parseBlobKey } from './layout.ts'
import type { BlobRow } from './metadata/index.ts'

/** How long what the storage has said of a blob that is not complete counts, in ms. */
export const MISS_MS = 1000

/** Hashes of which that is remembered. */
export const MOST_MISSES = 10_000

/** Fragments that are noted in one transaction: it takes a few ms. */
export const NOTED_AT_ONCE = 500

/** What the storage has under a blob's keys. */
export interface StoredBlob {
  /** Bytes of the data. */
  readonly data?: number
  /** Bytes of the outboard. */
  readonly outboard?: number
  /** Fragments of the right length whose data is there. */
  readonly fragments: readonly Fragment[]
}

/** Lists a blob's objects. */
export async function listStored(
  { storage }: ObjectContext,
  hash: Hash,
  signal?: AbortSignal
): Promise<StoredBlob> {
  let data: number | undefined
  let outboard: number | undefined
  const fragments: Fragment[] = []
  const bodies = new Map<string, number>()
  const breather = new Breather(signal)
  for await (const { key, size } of storage.list({ prefix: blobPrefix(hash), signal })) {
    const parsed = parseBlobKey(key)
    if (parsed?.kind === 'data') data = size
    if (parsed?.kind === 'outboard') outboard = size
    if (parsed?.body !== undefined) bodies.set(parsed.body, size)
    const fragment = parsed?.fragment === undefined ? undefined : parseFragment(parsed.fragment)
    if (fragment !== undefined && isRightLength(fragment, size)) fragments.push(fragment)
    await breather.breathe()
  }
  return {
    ...(data === undefined ? {} : { data }),
    ...(outboard === undefined ? {} : { outboard }),
    fragments: fragments.filter(fragment => isDataThere(fragment, bodies))
  }
}

/** Whether a fragment's object has the length that follows from its name. */
export function isRightLength(fragment: Fragment, size: number): boolean {
  return fragmentBytes(fragment) === size
}

/** Whether the data of a fragment is there. @param bodies bytes of each body, by its name */
export function isDataThere({ size, spans, body }: Fragment, bodies: ReadonlyMap<string, number>): boolean {
  if (body === undefined) return true
  const bytes = bodies.get(formatBody(size, body))
  return bytes !== undefined && bytes >= Math.min(spans.at(-1)!.to * GROUP_BYTES, size)
}

/** Whether the blob can be served as it is stored: its data and all of its outboard are there. */
export function isServable({ data, outboard }: StoredBlob): boolean {
  return data !== undefined && (!hasOutboard(data) || outboard === outboardBytes(data))
}

/** Fragments that agree on the blob's size: only one can be true, and until it is proven more data counts for more. */
export function mostHeld(hash: Hash, fragments: readonly Fragment[]): readonly Fragment[] {
  const bySize = Map.groupBy(fragments, ({ size }) => size)
  if (bySize.size < 2) return fragments
  let best: readonly Fragment[] = []
  let most = 0
  for (const [size, some] of bySize) {
    const { held } = new Fragments(hash, size, some.map(formatFragment))
    const chunks = [...held].reduce((sum, [start, end]) => sum + Number((end ?? start) - start), 0)
    if (chunks > most) {
      most = chunks
      best = some
    }
  }
  return best
}

/** What the index knew of a blob before its objects were listed. What it learns meanwhile is not in the listing. */
export interface KnownBlob {
  readonly row: BlobRow | undefined
  readonly fragments: readonly string[]
}

export function knownOf({ metadata }: ObjectContext, hash: Hash): KnownBlob {
  const row = metadata.find(hash)
  return { row, fragments: row?.state === 'partial' ? metadata.fragments(hash) : [] }
}

/**
 * Makes the index say what fragments there are of a blob that is not complete. Whatever it has learnt since `known` stays.
 *
 * There may be many: they are noted some at a time, and others have their turn in between. Who is interrupted has noted fewer
 * than there are, and another look at the storage finds the rest.
 *
 * @param stored of one size, unless the index knows it
 * @param isStale whether there is no use in going on
 */
export async function noteFragments(
  { metadata }: ObjectContext,
  hash: Hash,
  known: KnownBlob,
  stored: readonly Fragment[],
  isStale = () => false
): Promise<void> {
  const size = (known.row?.state === 'partial' ? known.row.size : stored[0]?.size) ?? 0
  const gone = new Set(known.fragments)
  const found: string[] = []
  const breather = new Breather(undefined)
  for (const fragment of stored) {
    await breather.breathe()
    if (fragment.size !== size) continue
    const name = formatFragment(fragment)
    if (!gone.delete(name)) found.push(name)
  }
  const drop = [...gone]
  const end = Math.max(found.length, drop.length, known.row?.state === 'complete' ? 1 : 0)
  for (let at = 0; at < end; at += NOTED_AT_ONCE) {
    if (at > 0) await setImmediate()
    if (isStale()) return
    const isNoted = metadata.transaction(() => {
      if (!isStillSo(metadata, hash, known, size, at === 0)) return false
      // These come first: a blob that has no fragments for a moment would be forgotten, with the time since when it is there.
      const add = found.slice(at, at + NOTED_AT_ONCE)
      if (add.length > 0) metadata.keepFragments(hash, { size, add, drop: [] })
      metadata.dropFragments(hash, drop.slice(at, at + NOTED_AT_ONCE))
      return true
    })
    if (!isNoted) return
  }
}

/**
 * Whether what was listed of a blob may be noted: nobody has deleted or completed it meanwhile, nor begun with another size. One
 * that was complete, and has turned out not to be, is forgotten.
 */
function isStillSo(
  metadata: ObjectContext['metadata'],
  hash: Hash,
  known: KnownBlob,
  size: number,
  isFirst: boolean
): boolean {
  if (metadata.isDeletionPending(hash)) return false
  const row = metadata.find(hash)
  if (row?.state === 'partial') return row.size === size
  if (!isFirst || row?.state !== known.row?.state || row?.updatedAt !== known.row?.updatedAt) return false
  metadata.forget(hash)
  return true
}

/** A listing that is under way. */
interface Look {
  readonly done: Promise<void>
  /** Whether the blob has changed since it was begun. */
  isStale: boolean
}

export class Lookup {
  readonly #context: ObjectContext
  /** When hashes were looked up that are still not complete, in ms of a clock that never goes back. */
  readonly #lookedAt = new Map<string, number>()
  readonly #running = new Map<string, Look>()

  constructor(context: ObjectContext) {
    this.#context = context
  }

  /** Looks up a blob that the index does not know, or does not know to be complete; not more often than once in {@link MISS_MS}. */
  async refresh(hash: Hash): Promise<void> {
    const key = hash.toString()
    const lookedAt = this.#lookedAt.get(key)
    if (lookedAt !== undefined && performance.now() - lookedAt < MISS_MS) return
    await (this.#running.get(key) ?? this.#begin(hash, key)).done
  }

  /** To be told when more or less is held of a blob: what was looked up before says nothing any more. */
  forget(hash: Hash): void {
    const key = hash.toString()
    this.#lookedAt.delete(key)
    const running = this.#running.get(key)
    if (running === undefined) return
    running.isStale = true
    // Whoever asks now looks anew.
    this.#running.delete(key)
  }

  /**
   * Makes the index say of a blob what the storage says. A blob that was to be deleted is not brought back. To be called under
   * the blob's mutex.
   *
   * @returns whether there is anything
   */
  async relook(hash: Hash): Promise<boolean> {
    const known = knownOf(this.#context, hash)
    const stored = await listStored(this.#context, hash)
    await this.#note(hash, known, stored)
    return this.#context.metadata.find(hash) !== undefined
  }

  #begin(hash: Hash, key: string): Look {
    const look: Look = { isStale: false, done: this.#look(hash, () => look.isStale) }
    this.#running.set(key, look)
    const end = (): void => {
      if (this.#running.get(key) === look) this.#running.delete(key)
    }
    look.done.then(end, end)
    return look
  }

  /** Nobody is kept waiting, so what happens meanwhile, happens: who has changed the blob knows better. */
  async #look(hash: Hash, isStale: () => boolean): Promise<void> {
    const known = knownOf(this.#context, hash)
    const stored = await listStored(this.#context, hash)
    if (isStale()) return
    await this.#note(hash, known, stored, isStale)
    if (isStale()) return
    if (this.#context.metadata.find(hash)?.state !== 'complete') this.#remember(hash.toString())
  }

  async #note(hash: Hash, known: KnownBlob, stored: StoredBlob, isStale?: () => boolean): Promise<void> {
    const { metadata, cache } = this.#context
    if (metadata.isDeletionPending(hash)) return
    cache.forget(outboardKey(hash))
    if (isServable(stored)) {
      const size = stored.data!
      metadata.markComplete(hash, { size, hasOutboard: hasOutboard(size) })
      return
    }
    const isSizeKnown = known.row?.state === 'partial'
    const fragments = isSizeKnown ? stored.fragments : mostHeld(hash, stored.fragments)
    await noteFragments(this.#context, hash, known, fragments, isStale)
  }

  #remember(key: string): void {
    this.#lookedAt.delete(key)
    this.#lookedAt.set(key, performance.now())
    for (const oldest of this.#lookedAt.keys()) {
      if (this.#lookedAt.size <= MOST_MISSES) break
      this.#lookedAt.delete(oldest)
    }
  }
}
