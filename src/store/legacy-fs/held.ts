/** What is held of a partial blob: what its claim on disk says, and what this process knows beyond that. */
import type { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { type Identity, isSameIdentity } from './claim.ts'
import { type FoundPartial, findPartialFiles } from './found.ts'
import type { Layout } from './layout.ts'
import { readNote } from './note.ts'
import type { PartialBlob } from './partial.ts'

export interface Held {
  readonly state: 'partial'
  /** Bytes, as claimed. */
  readonly size: number
  readonly ranges: ChunkRanges
  readonly identity: Identity
}

/**
 * @param found what was found on disk
 * @param live the same blob, if it is arriving in this process
 */
export async function heldOf(
  layout: Layout,
  hash: Hash,
  found: FoundPartial | undefined,
  live: PartialBlob | undefined
): Promise<Held | undefined> {
  if (live === undefined || live.hasFailed || live.isComplete) return await ofClaim(layout, hash, found)
  const files = await findPartialFiles(layout, hash)
  const isLive = files !== undefined && isSameIdentity(files.identity, live.identity)
  if (!isLive) return await ofClaim(layout, hash, found)
  const isShared = found !== undefined && isSameIdentity(found.claim.identity, live.identity)
  const ranges = isShared && found.claim.size === live.size ? live.held.union(found.claim.ranges) : live.held
  return { state: 'partial', size: live.size, ranges, identity: live.identity }
}

async function ofClaim(
  layout: Layout,
  hash: Hash,
  found: FoundPartial | undefined
): Promise<Held | undefined> {
  if (found === undefined) return undefined
  const { claim } = found
  const { size, identity } = claim
  const ranges = claim.ranges.union(await readNote(layout, hash, claim))
  return { state: 'partial', size, identity, ranges }
}
