/** Finds out what a store lacks of many blobs, many of them at a time: in a store far away one takes as long as thirty. */
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { FairTurns } from '../../protocol/fair-turns.ts'
import { type Missing, missingRanges } from '../../protocol/missing.ts'
import type { BlobStatus, BlobStore, WaitOptions } from '../../store/index.ts'
import { LOOKUPS_AT_ONCE } from '../constants.ts'

/** @returns what is missing of each, in their order */
export async function lookUp(
  store: BlobStore,
  hashes: readonly Hash[],
  options: WaitOptions
): Promise<Missing[]> {
  const statuses = store.statusOfMany
    ? await store.statusOfMany(hashes, options)
    : await lookForEach(store, hashes, options)
  const missing: Missing[] = []
  const turns = new FairTurns()
  for (const status of statuses) {
    if (turns.isOver) await turns.next()
    missing.push(missingRanges(status, ChunkRanges.all))
  }
  return missing
}

async function lookForEach(
  store: BlobStore,
  hashes: readonly Hash[],
  options: WaitOptions
): Promise<BlobStatus[]> {
  const found = new Array<BlobStatus>(hashes.length)
  let next = 0
  // A store may answer without waiting for anything.
  const turns = new FairTurns()
  const work = async (): Promise<void> => {
    while (next < hashes.length) {
      const place = next++
      if (turns.isOver) await turns.next()
      options.signal?.throwIfAborted()
      found[place] = await store.status(hashes[place]!, options)
    }
  }
  await Promise.all(Array.from({ length: LOOKUPS_AT_ONCE }, work))
  return found
}
