/**
 * Making a blob complete. To be called under the blob's mutex.
 *
 * The outboard comes first, then the data, then the row: who sees the data finds all that belongs to it, and what the index
 * knows is there.
 */
import { PAIR_BYTES } from '../../bao/constants.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import type { Hash } from '../../hash.ts'
import { StoreError } from '../errors.ts'
import { dropBytes } from '../write-all.ts'
import type { Arrival } from './arrival.ts'
import type { ObjectContext } from './context.ts'
import { FragmentLayout } from './fragment.ts'
import { readNodes } from './fragments.ts'
import { dataKey, hasOutboard, outboardKey, partialPrefix } from './layout.ts'
import type { LivePart } from './live-part.ts'
import { putStream } from './storage/put-stream.ts'

/** Fragments whose nodes are read at the same time. */
const NODES_AHEAD = 8

/** Keys that are deleted in one go. */
const DELETE_AT_ONCE = 1000

/** Turns an arrival that is whole into a complete blob. */
export async function completeArrival(
  context: ObjectContext,
  arrival: Arrival,
  signal?: AbortSignal
): Promise<void> {
  const { hash, size, parts } = arrival
  const finish = async (): Promise<void> => {
    await checkStored(context, hash, size)
    // Before the index says that the blob is complete: a process that is killed after that would leave them behind for good.
    if (!arrival.fragments.held.isEmpty) await deleteAll(context, partialPrefix(hash))
    noteComplete(context, hash, size)
    arrival.markComplete()
  }
  if (parts.count === 1) {
    await arrival.withOnlyPart(async part => {
      await putOnlyPart(context, arrival, part)
      await finish()
    })
  } else {
    await arrival.saveWholeParts()
    if (!arrival.isComplete) {
      await putParts(context, arrival, signal)
      await finish()
    }
  }
  // Another process may have put one meanwhile. From now on it would see that the blob is complete.
  await deleteAll(context, partialPrefix(hash))
}

/**
 * Notes that a blob is complete, once its objects are there.
 *
 * @throws StoreError when the data is not there, or not all of it
 */
export async function publish(
  context: ObjectContext,
  hash: Hash,
  size: number,
  signal?: AbortSignal
): Promise<void> {
  await checkStored(context, hash, size, signal)
  noteComplete(context, hash, size)
}

function noteComplete({ metadata }: ObjectContext, hash: Hash, size: number): void {
  metadata.markComplete(hash, { size, hasOutboard: hasOutboard(size) })
}

async function checkStored(
  { storage }: ObjectContext,
  hash: Hash,
  size: number,
  signal?: AbortSignal
): Promise<void> {
  const data = await storage.stat(dataKey(hash), { signal })
  if (data?.size !== size) {
    const found = data === undefined ? 'it is not there' : `it has ${data.size} bytes instead of ${size}`
    throw new StoreError(`the data of blob ${hash} was written to ${storage.name}, but ${found}`)
  }
}

/**
 * Deletes all objects whose keys begin with a prefix.
 *
 * @param isWanted asked before each request
 * @returns false when it was not wanted to the end
 */
export async function deleteAll(
  { storage }: ObjectContext,
  prefix: string,
  isWanted: () => boolean = () => true
): Promise<boolean> {
  let keys: string[] = []
  const flush = async (): Promise<boolean> => {
    if (!isWanted()) return false
    if (keys.length > 0) await storage.delete(keys)
    keys = []
    return true
  }
  for await (const { key } of storage.list({ prefix })) {
    keys.push(key)
    if (keys.length === DELETE_AT_ONCE && !(await flush())) return false
  }
  return await flush()
}

async function putOnlyPart({ storage }: ObjectContext, arrival: Arrival, part: LivePart): Promise<void> {
  const { hash, size } = arrival
  if (hasOutboard(size)) {
    const nodes = part.nodes(0, part.groups.to - 1)
    if (nodes?.length !== outboardBytes(size))
      throw new StoreError(`blob ${hash} is whole, but its outboard is not`)
    await storage.put(outboardKey(hash), [nodes])
  }
  await storage.put(dataKey(hash), [part.view(part.groups)])
}

async function putParts(
  { storage }: ObjectContext,
  arrival: Arrival,
  signal: AbortSignal | undefined
): Promise<void> {
  const { hash, size } = arrival
  const bytes = outboardBytes(size)
  const outboard = outboardOf(storage, arrival)
  if (arrival.hasAllNodes) {
    // They are in memory, and need not be brought together first.
    const pieces = await Array.fromAsync(outboard)
    if (pieces.reduce((sum, piece) => sum + piece.length, 0) !== bytes)
      throw new StoreError(`blob ${hash} is whole, but its outboard is not`)
    await storage.put(outboardKey(hash), pieces, { signal })
  } else {
    await putStream(storage, outboardKey(hash), bytes, outboard, { signal })
  }
  await arrival.completeData(signal)
}

/**
 * The outboard, put together from the nodes in the parts' fragments. Each has the nodes above its part, too: of these, the ones
 * that come before the part's own and after all that came so far are new.
 */
async function* outboardOf(
  storage: ObjectContext['storage'],
  arrival: Arrival
): AsyncGenerator<Uint8Array, void, undefined> {
  const { parts } = arrival
  const read = (part: number): Promise<{ layout: FragmentLayout; pieces: readonly Uint8Array[] }> => {
    const fragment = arrival.fragments.wholePart(part)!
    const layout = new FragmentLayout(fragment)
    const known = arrival.savedNodes(part)
    const pieces =
      known === undefined
        ? readNodes(storage, arrival.fragments.keyOf(fragment), layout).then(nodes => [nodes])
        : Promise.resolve(known)
    const reading = pieces.then(pieces => ({ layout, pieces }))
    // Awaited in its turn.
    reading.catch(() => undefined)
    return reading
  }
  const ahead: ReturnType<typeof read>[] = []
  let next = 0
  for (let part = 0; part < parts.count; part++) {
    while (ahead.length < NODES_AHEAD && part + ahead.length < parts.count)
      ahead.push(read(part + ahead.length))
    const { layout, pieces } = await ahead.shift()!
    let known = 0
    for (const { start, end } of layout.nodes) known += Math.min(Math.max(next - start, 0), end - start)
    yield* dropBytes(pieces, known * PAIR_BYTES)
    next = layout.nodes.at(-1)!.end
  }
}
