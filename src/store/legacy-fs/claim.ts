/**
 * The `.ranges` file: what of a partial blob may be believed.
 *
 * ```text
 * 8 bytes    "blobrng" and the version, 1
 * 32 bytes   hash of the blob
 * u64        size in bytes, as claimed (numbers are little-endian)
 * u64, u64   inode numbers of .data.part and .obao4.part
 * u64, u64   their lengths when the claim was made: who finds them shorter believes nothing
 * u64        number of boundaries, then so many u64: the chunks that are held
 * 32 bytes   BLAKE3 of all that comes before
 * ```
 *
 * The file is replaced as a whole, and only after the bytes it speaks of are on disk. Whether the size is proven follows
 * from the ranges. The inode numbers tie the claim to the two files: when another process has begun the blob anew, or the
 * folder was copied by something that knows nothing of us, the claim is about other files, and says nothing.
 */
import { open, readFile, rename, rm } from 'node:fs/promises'
import { chunkCount } from '../../bao/geometry.ts'
import { hashBytes } from '../../bao/outboard.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { HASH_BYTES, type Hash } from '../../hash.ts'
import { StoreError } from '../errors.ts'
import { isNotFound } from '../fs-errors.ts'
import type { FsContext } from './context.ts'
import type { Layout } from './layout.ts'

const MAGIC = new Uint8Array([...new TextEncoder().encode('blobrng'), 1])
const WORD_BYTES = 8
const FIELDS = 6

/**
 * How often a claim is made anew before it is given up. Each time another process has saved something new while ours was waiting for the
 * disk, which it does once a second, or every few MiB: so this is far more than can come of a slow disk.
 */
const MOST_ROUNDS = 100

const HEADER_BYTES = MAGIC.length + HASH_BYTES + FIELDS * WORD_BYTES

/** The two files that a partial blob's bytes are in, by their inode numbers. */
export interface Identity {
  readonly data: bigint
  readonly outboard: bigint
}

/** Lengths in bytes of the same two files. */
export interface Lengths {
  readonly data: bigint
  readonly outboard: bigint
}

export interface Claim {
  readonly identity: Identity
  readonly lengths: Lengths
  /** Bytes. */
  readonly size: number
  readonly ranges: ChunkRanges
}

export function isSameIdentity(a: Identity, b: Identity): boolean {
  return a.data === b.data && a.outboard === b.outboard
}

export function encodeClaim(hash: Hash, { identity, lengths, size, ranges }: Claim): Uint8Array {
  const { boundaries } = ranges
  const bytes = new Uint8Array(HEADER_BYTES + boundaries.length * WORD_BYTES + HASH_BYTES)
  const view = new DataView(bytes.buffer)
  bytes.set(MAGIC)
  bytes.set(hash.bytes, MAGIC.length)
  const words = [
    BigInt(size),
    identity.data,
    identity.outboard,
    lengths.data,
    lengths.outboard,
    BigInt(boundaries.length),
    ...boundaries
  ]
  words.forEach((word, i) => {
    view.setBigUint64(MAGIC.length + HASH_BYTES + i * WORD_BYTES, word, true)
  })
  const end = bytes.length - HASH_BYTES
  bytes.set(hashBytes(bytes.subarray(0, end)).hash.bytes, end)
  return bytes
}

/** @returns undefined when the file is torn, of another version, or about another blob */
export function decodeClaim(hash: Hash, bytes: Uint8Array): Claim | undefined {
  const end = bytes.length - HASH_BYTES
  if (end < HEADER_BYTES || (end - HEADER_BYTES) % WORD_BYTES !== 0) return undefined
  if (!startsWith(bytes, MAGIC) || !startsWith(bytes.subarray(MAGIC.length), hash.bytes)) return undefined
  if (!startsWith(bytes.subarray(end), hashBytes(bytes.subarray(0, end)).hash.bytes)) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, end)
  const word = (i: number) => view.getBigUint64(MAGIC.length + HASH_BYTES + i * WORD_BYTES, true)
  const count = (end - HEADER_BYTES) / WORD_BYTES
  const size = Number(word(0))
  if (word(FIELDS - 1) !== BigInt(count) || !Number.isSafeInteger(size)) return undefined
  const ranges = ChunkRanges.fromBoundaries(Array.from({ length: count }, (_, i) => word(FIELDS + i)))
  return {
    size,
    identity: { data: word(1), outboard: word(2) },
    lengths: { data: word(3), outboard: word(4) },
    ranges: within(ranges, size)
  }
}

function within(ranges: ChunkRanges, size: number): ChunkRanges {
  return ranges.intersect(ChunkRanges.range(0, chunkCount(size)))
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, i) => bytes[i] === byte)
}

/** Whether a claim is about these files, and they are as long as they were. */
export function isAbout(claim: Claim, identity: Identity, lengths: Lengths): boolean {
  const isCut = lengths.data < claim.lengths.data || lengths.outboard < claim.lengths.outboard
  return isSameIdentity(claim.identity, identity) && !isCut
}

/** The claim that is on disk, if it can be read. Nobody has compared it with the files yet. */
export async function readClaim(layout: Layout, hash: Hash): Promise<Claim | undefined> {
  return decodeClaim(hash, await readBytes(layout, hash))
}

/** @returns nothing when there is no claim */
async function readBytes(layout: Layout, hash: Hash): Promise<Buffer> {
  try {
    return await readFile(layout.ranges(hash))
  } catch (error) {
    if (isNotFound(error)) return Buffer.alloc(0)
    throw error
  }
}

/**
 * Replaces the claim on disk.
 *
 * @param isSynced whether to wait until it is on disk
 */
export async function writeClaim(
  context: FsContext,
  hash: Hash,
  claim: Claim,
  isSynced: boolean
): Promise<void> {
  await writeAside(context, hash, claim, isSynced, async () => true)
}

/**
 * Replaces the claim on disk by one that is made of it. Another process may do so at the same time. A new claim has to be on disk
 * before it is put in place, which may take a second: when the old one has been replaced meanwhile, it is made anew of that.
 *
 * @param make gets the claim that is on disk, if it can be read; returns undefined to leave that as it is
 * @param isSynced whether to wait until it is on disk
 * @returns undefined when `make` did, and the claim was left as it is
 * @throws StoreError when others replace it all the time
 */
export async function updateClaim(
  context: FsContext,
  hash: Hash,
  make: (found: Claim | undefined) => Promise<Claim | undefined>,
  isSynced: boolean
): Promise<Claim | undefined> {
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const bytes = await readBytes(context.layout, hash)
    const claim = await make(decodeClaim(hash, bytes))
    if (claim === undefined) return undefined
    const isStill = async () => bytes.equals(await readBytes(context.layout, hash))
    if (await writeAside(context, hash, claim, isSynced, isStill)) return claim
  }
  throw new StoreError(
    `${context.layout.ranges(hash)} was replaced ${MOST_ROUNDS} times while it was to be saved; see which other processes write to it`
  )
}

/** @returns whether it was put in place, which `mayReplace` decides */
async function writeAside(
  { layout, temp, dataSync }: FsContext,
  hash: Hash,
  claim: Claim,
  isSynced: boolean,
  mayReplace: () => Promise<boolean>
): Promise<boolean> {
  const path = temp.newPath()
  let isInPlace = false
  try {
    const file = await open(path, 'wx')
    try {
      await file.writeFile(encodeClaim(hash, claim))
      if (isSynced) await file.datasync()
    } finally {
      await file.close()
    }
    if (!(await mayReplace())) return false
    await rename(path, layout.ranges(hash))
    isInPlace = true
  } finally {
    if (!isInPlace) await rm(path, { force: true })
  }
  if (isSynced) await dataSync.sync()
  return true
}

/**
 * Takes back what the claim on disk says of two files, and is wrong.
 *
 * @returns what is still claimed; undefined when the claim is about other files, or gone
 */
export async function dropFromClaim(
  context: FsContext,
  hash: Hash,
  identity: Identity,
  wrong: ChunkRanges
): Promise<ChunkRanges | undefined> {
  let left: ChunkRanges | undefined
  const withoutWrong = async (found: Claim | undefined): Promise<Claim | undefined> => {
    left = undefined
    if (found === undefined || !isSameIdentity(found.identity, identity)) return undefined
    await rm(context.layout.note(hash), { force: true })
    left = found.ranges.subtract(wrong)
    return left.equals(found.ranges) ? undefined : { ...found, ranges: left }
  }
  await updateClaim(context, hash, withoutWrong, context.isSynced)
  return left
}
