/** What is to be said of one blob, going by its objects. */
import { outboardBytes } from '../../../bao/geometry.ts'
import { EMPTY_HASH, type Hash } from '../../../hash.ts'
import type { Arrivals } from '../arrivals.ts'
import type { ObjectContext } from '../context.ts'
import { checkData, isBelievable, isFragmentRight, setFragmentAside } from '../damage.ts'
import { deleteAll } from '../finish.ts'
import { type Fragment, formatBody, formatFragment, parseFragment } from '../fragment-name.ts'
import { blobPrefix, dataKey, hasOutboard, outboardKey, parseBlobKey, partialPrefix } from '../layout.ts'
import { isDataThere, isRightLength, knownOf, mostHeld, noteFragments } from '../lookup.ts'
import { setAsideAndKeepRight } from '../salvage.ts'
import type { ObjectInfo } from '../storage/index.ts'
import type { Counts } from './position.ts'

/** A blob's objects, as they were listed. */
export interface StoredObjects {
  readonly hash: Hash
  readonly objects: readonly ObjectInfo[]
  /** Objects that were listed before the next blob's, and are no blob's. */
  readonly foreign: number
}

export interface RecoveryJob {
  readonly context: ObjectContext
  readonly arrivals: Arrivals
  readonly counts: Counts
  readonly fast: boolean
  readonly signal: AbortSignal | undefined
  readonly onBytes: (bytes: number) => void
  readonly onQuarantined: (key: string, to: string) => void
  /** Told of an object that belongs to nothing; counting is another matter. */
  readonly onOrphaned: (key: string) => void
}

/** The listing may be old by now: nothing is taken out of the index for what only it says. */
export async function recoverBlob(
  job: RecoveryJob,
  { hash, objects, foreign }: StoredObjects
): Promise<void> {
  const { context, arrivals, counts, signal, onOrphaned } = job
  counts.orphaned += foreign
  if (hash.equals(EMPTY_HASH)) {
    // The empty blob is always there, and has no objects.
    counts.orphaned += objects.length
    for (const { key } of objects) onOrphaned(key)
    return
  }
  await arrivals.exclusively(hash, async () => {
    signal?.throwIfAborted()
    // Somebody is deleting it, or writing it: they know better.
    if (context.metadata.isDeletionPending(hash)) return
    if (arrivals.find(hash) !== undefined) {
      counts.partial++
      return
    }
    context.cache.forget(outboardKey(hash))
    if (!(await recoverData(job, hash, objects))) {
      const known = knownOf(context, hash)
      const now = await Array.fromAsync(context.storage.list({ prefix: blobPrefix(hash), signal }))
      // Fragments go when they have become the data.
      if (!(await recoverData(job, hash, now))) {
        const good = await checkFragments(job, hash, now)
        const chosen = mostHeld(hash, good)
        await noteFragments(context, hash, known, chosen)
        const kept = new Set(chosen)
        for (const fragment of good) {
          if (kept.has(fragment)) continue
          counts.orphaned++
          onOrphaned(`${partialPrefix(hash)}${formatFragment(fragment)}`)
        }
        const used = new Set(chosen.map(({ size, body }) => body && formatBody(size, body)))
        for (const { key } of now) {
          const body = parseBlobKey(key)?.body
          if (body === undefined || used.has(body)) continue
          counts.orphaned++
          onOrphaned(key)
        }
        if (chosen.length > 0) counts.partial++
        else if (now.some(({ key }) => key === outboardKey(hash))) {
          counts.orphaned++
          onOrphaned(outboardKey(hash))
        }
      }
    }
    context.changed(hash)
  })
}

/** @returns whether the blob is complete */
async function recoverData(job: RecoveryJob, hash: Hash, objects: readonly ObjectInfo[]): Promise<boolean> {
  const { context, arrivals, counts, signal, onBytes, onQuarantined } = job
  const size = sizeOf(objects, dataKey(hash))
  if (size === undefined) return false
  const state = await stateOfData(job, hash, size, sizeOf(objects, outboardKey(hash)) ?? 0)
  if (state === 'gone') return false
  if (state === 'wrong') {
    const row = context.metadata.find(hash)
    const options = { knownSize: row?.size, storedBytes: size, signal, onBytes }
    const { to } = await setAsideAndKeepRight(context, arrivals, hash, options)
    if (to !== undefined) onQuarantined(dataKey(hash), to)
    return false
  }
  context.metadata.markComplete(hash, { size, hasOutboard: hasOutboard(size) })
  counts.complete++
  if (state === 'mended') counts.repaired++
  // Left over from before it was complete.
  if (context.leaveAsIs !== true && objects.some(({ key }) => key.startsWith(partialPrefix(hash)))) {
    await deleteAll(context, partialPrefix(hash))
  }
  return true
}

async function stateOfData(
  { context, fast, signal, onBytes }: RecoveryJob,
  hash: Hash,
  size: number,
  outboardSize: number
): Promise<'good' | 'mended' | 'wrong' | 'gone'> {
  if (context.leaveAsIs === true) return 'good'
  const options = { signal, onBytes }
  const isWorthATry = fast && size > 0 && outboardSize === outboardBytes(size)
  if (isWorthATry && (await isBelievable(context, hash, size, options))) return 'good'
  return await checkData(context, hash, size, options)
}

/** Sets aside those that are wrong. @returns the others */
async function checkFragments(
  { context, counts, fast, signal, onBytes, onQuarantined, onOrphaned }: RecoveryJob,
  hash: Hash,
  objects: readonly ObjectInfo[]
): Promise<Fragment[]> {
  const good: Fragment[] = []
  const bodies = new Map(
    objects.flatMap(({ key, size }) => {
      const body = parseBlobKey(key)?.body
      return body === undefined ? [] : [[body, size] as const]
    })
  )
  for (const { key, size } of objects) {
    const name = parseBlobKey(key)?.fragment
    if (name === undefined) continue
    const fragment = parseFragment(name)
    if (fragment === undefined || !isDataThere(fragment, bodies)) {
      counts.orphaned++
      onOrphaned(key)
      continue
    }
    let isRight: boolean | undefined = isRightLength(fragment, size)
    if (isRight && !fast) isRight = await isFragmentRight(context, hash, fragment, { signal, onBytes })
    if (isRight) good.push(fragment)
    if (isRight !== false) continue
    if (context.leaveAsIs === true) {
      context.notice(`${key} in ${context.storage.name} does not match its key; it is left as it is`)
      continue
    }
    const to = await setFragmentAside(context, hash, name)
    if (to !== undefined) onQuarantined(key, to)
  }
  return good
}

function sizeOf(objects: readonly ObjectInfo[], wanted: string): number | undefined {
  return objects.find(({ key }) => key === wanted)?.size
}
