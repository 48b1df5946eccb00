/**
 * Setting a complete blob's data aside that does not have its hash, and keeping what is right of it.
 *
 * An object cannot be changed in a place. So what is right of it is written anew, as what is held of a partial blob, in the way in
 * which blobs arrive. Killed on the way, the blob is absent or partial: what was not written yet is fetched with the rest.
 */
import { GROUP_BYTES, GROUP_CHUNKS } from '../../bao/constants.ts'
import { type EncodeSource, encodeVerified } from '../../bao/encoder.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import { provenGroups } from '../../bao/proven-groups.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { provesSize, wholeRange } from '../status.ts'
import type { Arrivals } from './arrivals.ts'
import type { ObjectContext } from './context.ts'
import { type CheckOptions, setBlobAside } from './damage.ts'
import { dataKey, hasOutboard, outboardKey } from './layout.ts'
import { readInto } from './read-into.ts'
import { ObjectNotFoundError } from './storage/errors.ts'

/** What has become of a blob. */
export interface Salvaged {
  /** The key that its data has now; undefined when it was gone. */
  readonly to: string | undefined
  /** What was right of it, and is held. */
  readonly right: ChunkRanges
}

export interface SalvageOptions extends CheckOptions {
  /** Bytes of the blob, if the index knows. */
  readonly knownSize: number | undefined
  /** Bytes of the data object. */
  readonly storedBytes: number
}

/** A blob's two objects. */
interface Keys {
  readonly data: string
  readonly outboard: string
}

/**
 * To be called under the blob's mutex.
 *
 * @throws what reading and writing throws; what was set aside, and what was kept so far, stays so
 */
export async function setAsideAndKeepRight(
  context: ObjectContext,
  arrivals: Arrivals,
  hash: Hash,
  { knownSize, storedBytes, signal, onBytes }: SalvageOptions
): Promise<Salvaged> {
  const { metadata } = context
  const size = knownSize ?? storedBytes
  const found = await findRight(context, hash, size, storedBytes, { signal, onBytes })
  // What was cut off by some bytes would else be held as a part of a blob of that size, which there is not.
  const right = knownSize === undefined && !provesSize(found, size) ? ChunkRanges.empty : found
  const { data: to, outboard } = await setBlobAside(context, hash)
  const row = metadata.find(hash)
  if (row?.state === 'complete') metadata.forget(hash)
  // It may be held in part beside it, if somebody else has put the data there.
  const isOtherSize = row?.state === 'partial' && row.size !== size
  if (to === undefined || outboard === undefined || right.isEmpty || isOtherSize)
    return { to, right: ChunkRanges.empty }
  const source = sourceOf(context, size, { data: to, outboard }, right)
  await arrivals.keep(hash, size, encodeVerified(hash, source, right, { signal, reuseBuffers: true }), signal)
  return { to, right }
}

/** The groups of the data that the stored outboard proves. */
async function findRight(
  context: ObjectContext,
  hash: Hash,
  size: number,
  storedBytes: number,
  { signal, onBytes }: CheckOptions
): Promise<ChunkRanges> {
  const keys = { data: dataKey(hash), outboard: outboardKey(hash) }
  try {
    const stored = hasOutboard(size) ? await context.storage.stat(keys.outboard, { signal }) : undefined
    if (stored?.size !== outboardBytes(size)) return ChunkRanges.empty
    const groups = Math.floor(storedBytes / GROUP_BYTES)
    const held = storedBytes < size ? ChunkRanges.range(0, groups * GROUP_CHUNKS) : wholeRange(size)
    let told = 0
    const onProgress = (bytes: number): void => {
      onBytes?.(bytes - told)
      told = bytes
    }
    return await provenGroups(hash, sourceOf(context, size, keys, held), { signal, onProgress })
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return ChunkRanges.empty
    throw error
  }
}

function sourceOf({ storage }: ObjectContext, size: number, keys: Keys, held: ChunkRanges): EncodeSource {
  return {
    size,
    held,
    readData: async (offset, target, signal) => await readInto(storage, keys.data, offset, target, signal),
    readOutboard: async (offset, target, signal) =>
      await readInto(storage, keys.outboard, offset, target, signal)
  }
}
