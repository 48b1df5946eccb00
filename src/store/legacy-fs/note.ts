/**
 * The `.written` file: what of a partial blob has been written, but may not be on disk yet. It looks like a claim (`claim.ts`), with
 * 32 bytes in front that name the time since the machine was started.
 *
 * What a killed process has written is in the system's memory as long as the machine runs: so a note, which costs no waiting for
 * the disk, may be believed until the machine is started anew. Then only the claim counts. A note goes beyond the claim of the
 * same files, and says nothing without it. On a full disk it can still be written, over the one before, where a claim cannot.
 */
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { ChunkRanges } from '../../bao/ranges.ts'
import { HASH_BYTES, type Hash } from '../../hash.ts'
import { isFull, isNotFound } from '../fs-errors.ts'
import { thisBoot } from './boot.ts'
import { type Claim, decodeClaim, encodeClaim, isSameIdentity, type Lengths } from './claim.ts'
import type { FsContext } from './context.ts'
import type { Layout } from './layout.ts'

/** The unit in which systems tell how much room a file has. */
const BLOCK_BYTES = 512

/** A note says nothing about how long the files are: what was written to them makes them so long. */
const NO_LENGTHS: Lengths = { data: 0n, outboard: 0n }

/** Chunks that were written beyond what `claim` says. */
export async function readNote(layout: Layout, hash: Hash, claim: Claim): Promise<ChunkRanges> {
  const boot = thisBoot()
  if (boot === undefined) return ChunkRanges.empty
  let bytes: Uint8Array
  try {
    bytes = await readFile(layout.note(hash))
  } catch (error) {
    if (isNotFound(error)) return ChunkRanges.empty
    throw error
  }
  const isOfThisBoot = boot.every((byte, i) => bytes[i] === byte)
  const note = isOfThisBoot ? decodeClaim(hash, bytes.subarray(HASH_BYTES)) : undefined
  const isAboutTheSame =
    note !== undefined && note.size === claim.size && isSameIdentity(note.identity, claim.identity)
  return isAboutTheSame ? note.ranges : ChunkRanges.empty
}

/** Replaces the note. Does nothing where the system does not tell when it was started. */
export async function writeNote(
  { layout, temp }: FsContext,
  hash: Hash,
  note: Omit<Claim, 'lengths'>
): Promise<void> {
  const boot = thisBoot()
  if (boot === undefined) return
  const bytes = Buffer.concat([boot, encodeClaim(hash, { ...note, lengths: NO_LENGTHS })])
  const path = temp.newPath()
  try {
    await writeFile(path, bytes, { flag: 'wx' })
    await rename(path, layout.note(hash))
  } catch (error) {
    await rm(path, { force: true })
    if (!isFull(error) || !(await isWrittenOver(layout.note(hash), bytes))) throw error
  }
}

/** On a full disk a note has the room of the one before. Should this be cut off, its checksum tells. */
async function isWrittenOver(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await using file = await open(path, 'r+')
    const { blocks } = await file.stat()
    if (bytes.length > blocks * BLOCK_BYTES) return false
    await file.truncate(bytes.length)
    await file.write(bytes, 0, bytes.length, 0)
    return true
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}

export async function removeNote(layout: Layout, hash: Hash): Promise<void> {
  await rm(layout.note(hash), { force: true })
}
