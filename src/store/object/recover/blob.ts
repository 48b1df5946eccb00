/** What is to be said of one blob, going by its objects. */
import { outboardBytes } from '../../../bao/geometry.ts'
import type { Hash } from '../../../hash.ts'
import type { Arrivals } from '../arrivals.ts'
import type { ObjectContext } from '../context.ts'
import { checkData, isFragmentRight, setAside } from '../damage.ts'
import { deleteAll } from '../finish.ts'
import { FragmentLayout } from '../fragment.ts'
import { type Fragment, formatFragment, parseFragment } from '../fragment-name.ts'
import { Fragments } from '../fragments.ts'
import { blobPrefix, dataKey, hasOutboard, outboardKey, parseBlobKey, partialPrefix } from '../layout.ts'
import type { ObjectInfo } from '../storage/index.ts'
import type { Counts } from './position.ts'

/** A blob's objects, as they were listed. */
export interface StoredObjects {
  readonly hash: Hash
  readonly objects: readonly ObjectInfo[]
}

export interface RecoveryJob {
  readonly context: ObjectContext
  readonly arrivals: Arrivals
  readonly counts: Counts
  readonly fast: boolean
  readonly signal: AbortSignal | undefined
  readonly onBytes: (bytes: number) => void
  readonly onQuarantined: (key: string, to: string) => void
}

export async function recoverBlob(job: RecoveryJob, { hash, objects }: StoredObjects): Promise<void> {
  const { context, arrivals, counts } = job
  await arrivals.exclusively(hash, async () => {
    job.signal?.throwIfAborted()
    // Somebody is deleting it, or writing it: they know better.
    if (context.metadata.isDeletionPending(hash)) return
    if (arrivals.find(hash) !== undefined) {
      counts.partial++
      return
    }
    context.cache.forget(blobPrefix(hash))
    const data = objects.find(({ key }) => key === dataKey(hash))
    const outboard = objects.find(({ key }) => key === outboardKey(hash))
    const isComplete = data !== undefined && (await recoverData(job, hash, data.size, outboard?.size))
    const fragments = objects.filter(({ key }) => parseBlobKey(key)?.kind === 'fragment')
    if (isComplete) {
      // Left over from before it was complete.
      if (fragments.length > 0) await deleteAll(context, partialPrefix(hash))
    } else {
      if (context.metadata.find(hash)?.state === 'complete') context.metadata.forget(hash)
      const isPartial = await recoverFragments(job, hash, fragments)
      if (!isPartial && outboard !== undefined) counts.orphaned++
    }
    context.changed(hash)
  })
}

/** @returns whether the blob is complete */
async function recoverData(
  { context, counts, fast, signal, onBytes, onQuarantined }: RecoveryJob,
  hash: Hash,
  size: number,
  outboardSize: number | undefined
): Promise<boolean> {
  const isOutboardThere = (outboardSize ?? 0) === outboardBytes(size)
  const isBelieved = fast && size > 0 && isOutboardThere
  const state = isBelieved ? 'good' : await checkData(context, hash, size, { signal, onBytes })
  if (state === 'gone') return false
  if (state === 'wrong') {
    onQuarantined(dataKey(hash), await setAside(context, hash, dataKey(hash), 'data'))
    return false
  }
  context.metadata.markComplete(hash, { size, hasOutboard: hasOutboard(size) })
  counts.complete++
  if (state === 'mended') counts.repaired++
  return true
}

/** @returns whether any of them is right */
async function recoverFragments(
  job: RecoveryJob,
  hash: Hash,
  objects: readonly ObjectInfo[]
): Promise<boolean> {
  const { context, counts, fast, signal, onBytes, onQuarantined } = job
  const good: Fragment[] = []
  for (const { key, size } of objects) {
    const name = parseBlobKey(key)!.fragment!
    const fragment = parseFragment(name)
    let isRight: boolean | undefined = fragment !== undefined && new FragmentLayout(fragment).bytes === size
    if (isRight && !fast) isRight = await isFragmentRight(context, hash, fragment!, { signal, onBytes })
    if (isRight) good.push(fragment!)
    else if (isRight === false) onQuarantined(key, await setAside(context, hash, key, name))
  }
  const chosen = mostHeld(hash, good)
  const names = chosen.map(formatFragment)
  const { metadata } = context
  metadata.transaction(() => {
    const stale = metadata.fragments(hash).filter(name => !names.includes(name))
    metadata.dropFragments(hash, stale)
    for (const [i, add] of names.entries())
      metadata.keepFragment(hash, { size: chosen[i]!.size, add, drop: [] })
  })
  counts.orphaned += good.length - chosen.length
  if (chosen.length > 0) counts.partial++
  return chosen.length > 0
}

/** Fragments that agree on the blob's size: only one can be true, and until it is proven more data counts for more. */
function mostHeld(hash: Hash, fragments: readonly Fragment[]): readonly Fragment[] {
  const bySize = Map.groupBy(fragments, ({ size }) => size)
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
