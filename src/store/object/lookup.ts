/**
 * What the storage itself says of a blob, and putting the index right by it: for blobs that the index does not know because
 * another node has added them or the database was lost, and for those whose objects have turned out to be gone.
 */
import { outboardBytes } from '../../bao/geometry.ts'
import type { Hash } from '../../hash.ts'
import type { ObjectContext } from './context.ts'
import { FragmentLayout } from './fragment.ts'
import { type Fragment, formatFragment, parseFragment } from './fragment-name.ts'
import { blobPrefix, hasOutboard, parseBlobKey } from './layout.ts'

/** How long a hash counts as not there after it was looked up in vain, in ms. */
export const MISS_MS = 1000

/** Hashes that were looked up in vain and are remembered. */
const MOST_MISSES = 10_000

/** What the storage has under a blob's keys. */
export interface StoredBlob {
  /** Bytes of the data. */
  readonly data?: number
  /** Bytes of the outboard. */
  readonly outboard?: number
  /** Fragments of the right length. */
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
  for await (const { key, size } of storage.list({ prefix: blobPrefix(hash), signal })) {
    const parsed = parseBlobKey(key)
    if (parsed?.kind === 'data') data = size
    if (parsed?.kind === 'outboard') outboard = size
    const fragment = parsed?.fragment === undefined ? undefined : parseFragment(parsed.fragment)
    if (fragment !== undefined && new FragmentLayout(fragment).bytes === size) fragments.push(fragment)
  }
  return {
    ...(data === undefined ? {} : { data }),
    ...(outboard === undefined ? {} : { outboard }),
    fragments
  }
}

/** Whether the blob can be served as it is stored: its data and all of its outboard are there. */
export function isServable({ data, outboard }: StoredBlob): boolean {
  return data !== undefined && (!hasOutboard(data) || outboard === outboardBytes(data))
}

export class Lookup {
  readonly #context: ObjectContext
  readonly #misses = new Map<string, number>()
  readonly #running = new Map<string, Promise<boolean>>()

  constructor(context: ObjectContext) {
    this.#context = context
  }

  /**
   * Looks up a blob that the index does not know.
   *
   * @returns whether the index knows it now
   */
  async find(hash: Hash): Promise<boolean> {
    const key = hash.toString()
    const missedAt = this.#misses.get(key)
    if (missedAt !== undefined && Date.now() - missedAt < MISS_MS) return false
    let running = this.#running.get(key)
    if (running === undefined) {
      running = this.relook(hash).finally(() => this.#running.delete(key))
      this.#running.set(key, running)
    }
    const isThere = await running
    if (!isThere) this.#remember(key)
    return isThere
  }

  /** To be told when a blob has come: it is no miss any more. */
  forgetMiss(hash: Hash): void {
    this.#misses.delete(hash.toString())
  }

  /**
   * Makes the index say of a blob what the storage says. A blob that was to be deleted is not brought back.
   *
   * @returns whether there is anything
   */
  async relook(hash: Hash): Promise<boolean> {
    const { metadata, cache } = this.#context
    const stored = await listStored(this.#context, hash)
    if (metadata.isDeletionPending(hash)) return false
    cache.forget(blobPrefix(hash))
    if (isServable(stored)) {
      const size = stored.data!
      metadata.markComplete(hash, { size, hasOutboard: hasOutboard(size) })
      return true
    }
    const row = metadata.find(hash)
    if (row?.state === 'complete') metadata.forget(hash)
    const size = row?.state === 'partial' ? row.size : stored.fragments[0]?.size
    const there = stored.fragments.filter(fragment => fragment.size === size)
    const names = there.map(formatFragment)
    const known = row?.state === 'partial' ? metadata.fragments(hash) : []
    metadata.dropFragments(
      hash,
      known.filter(name => !names.includes(name))
    )
    for (const add of names) metadata.keepFragment(hash, { size: size!, add, drop: [] })
    return there.length > 0
  }

  #remember(key: string): void {
    this.#misses.delete(key)
    this.#misses.set(key, Date.now())
    for (const oldest of this.#misses.keys()) {
      if (this.#misses.size <= MOST_MISSES) break
      this.#misses.delete(oldest)
    }
  }
}
