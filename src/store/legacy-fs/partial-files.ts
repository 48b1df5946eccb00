/** The two files of a partial blob: making, opening and removing them. To be called under the blob's mutex. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { StoreError } from '../errors.ts'
import { errorCode, isNotFound } from '../fs-errors.ts'
import { fileStats } from '../stats.ts'
import { isWorthIt, UncachedFile } from '../uncached.ts'
import { pause } from '../waiting.ts'
import { dropBytes, writeAll } from '../write-all.ts'
import {
  type Claim,
  type Identity,
  isAbout,
  isSameIdentity,
  type Lengths,
  readClaim,
  writeClaim
} from './claim.ts'
import type { FsContext } from './context.ts'
import { findPartialFiles } from './found.ts'
import type { Layout } from './layout.ts'
import { readNote, removeNote } from './note.ts'

/** Milliseconds after which to look again while another process is making the files, and how often to look at all. */
const LOOK_AGAIN_MS = 15
const MOST_LOOKS = 100

/** Files younger than this many milliseconds may be in the making. */
const MAKING_MS = 500

const NO_LENGTHS: Lengths = { data: 0n, outboard: 0n }

export class PartialFiles {
  readonly data: FileHandle
  readonly outboard: FileHandle
  readonly identity: Identity
  #uncached: Promise<UncachedFile | undefined> | undefined

  private constructor(data: FileHandle, outboard: FileHandle, identity: Identity) {
    this.data = data
    this.outboard = outboard
    this.identity = identity
  }

  static async of(data: FileHandle, outboard: FileHandle): Promise<PartialFiles> {
    const [{ ino }, { ino: outboardIno }] = await Promise.all([
      data.stat({ bigint: true }),
      outboard.stat({ bigint: true })
    ])
    return new PartialFiles(data, outboard, { data: ino, outboard: outboardIno })
  }

  /** Writes data; a lot of it past the system's cache, where that can be done. */
  async writeData(pieces: readonly Uint8Array[], offset: number): Promise<void> {
    let written = 0
    if (isWorthIt(pieces, offset)) {
      this.#uncached ??= UncachedFile.of(this.data, 'write')
      written = (await (await this.#uncached)?.write(pieces, offset)) ?? 0
    }
    await writeAll(this.data, dropBytes(pieces, written), offset + written)
  }

  async lengths(): Promise<Lengths> {
    const [data, outboard] = await Promise.all([
      this.data.stat({ bigint: true }),
      this.outboard.stat({ bigint: true })
    ])
    return { data: data.size, outboard: outboard.size }
  }

  /** Waits until what has been written so far is on disk. */
  async sync(): Promise<void> {
    await Promise.all([this.data.datasync(), this.outboard.datasync()])
  }

  /** Whether the names still lead to these files. */
  async areInPlace(layout: Layout, hash: Hash): Promise<boolean> {
    const found = await findPartialFiles(layout, hash)
    return found !== undefined && isSameIdentity(found.identity, this.identity)
  }

  async close(): Promise<void> {
    const uncached = await this.#uncached?.catch(() => undefined)
    await Promise.all([this.data.close(), this.outboard.close(), uncached?.close()])
  }
}

/** Files, and what they are known to hold. */
export interface OpenedPartial {
  readonly files: PartialFiles
  readonly claim: Claim
  /** Chunks that were written besides, see `note.ts`. */
  readonly written: ChunkRanges
}

/**
 * Opens a blob's partial files, or makes them when there are none.
 *
 * Who makes `.data.part` (which fails for all but one) makes the rest. Whoever else comes in between waits until there is a
 * claim; when none appears, the maker was killed or the claim is torn, and the files are made anew.
 *
 * @param size bytes, as claimed, for new files
 */
export async function openOrMake(context: FsContext, hash: Hash, size: number): Promise<OpenedPartial> {
  for (let look = 0; look < MOST_LOOKS; look++) {
    const there = (await openClaimed(context.layout, hash)) ?? (await make(context, hash, size))
    if (there !== undefined) return there
    if (await isLeftOver(context.layout, hash)) await removePartial(context.layout, hash)
    else await pause(LOOK_AGAIN_MS)
  }
  throw new StoreError(`cannot open ${context.layout.partialData(hash)}: other processes keep replacing it`)
}

/** The partial files, when there is a claim about them. */
async function openClaimed(layout: Layout, hash: Hash): Promise<OpenedPartial | undefined> {
  const opened: FileHandle[] = []
  try {
    opened.push(await open(layout.partialData(hash), 'r+'))
    opened.push(await open(layout.partialOutboard(hash), 'r+'))
    const files = await PartialFiles.of(opened[0]!, opened[1]!)
    const claim = await readClaim(layout, hash)
    if (claim !== undefined && isAbout(claim, files.identity, await files.lengths())) {
      const written = await readNote(layout, hash, claim)
      opened.length = 0
      return { files, claim, written }
    }
  } catch (error) {
    if (!isNotFound(error)) throw error
  } finally {
    for (const file of opened) await file.close()
  }
  return undefined
}

/** @returns undefined when somebody else has made, or is making, the files */
async function make(context: FsContext, hash: Hash, size: number): Promise<OpenedPartial | undefined> {
  const { layout, temp } = context
  const opened: FileHandle[] = []
  try {
    opened.push(await open(layout.partialData(hash), 'wx+'))
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return undefined
    throw error
  }
  const path = temp.newPath()
  try {
    // Nobody's claim may be taken for one about the new file, which may have got the inode of an old one.
    await rm(layout.ranges(hash), { force: true })
    await removeNote(layout, hash)
    opened.push(await open(path, 'wx+'))
    await rename(path, layout.partialOutboard(hash))
    const files = await PartialFiles.of(opened[0]!, opened[1]!)
    const claim: Claim = { identity: files.identity, lengths: NO_LENGTHS, size, ranges: ChunkRanges.empty }
    await writeClaim(context, hash, claim, false)
    return { files, claim, written: ChunkRanges.empty }
  } catch (error) {
    for (const file of opened) await file.close()
    await rm(path, { force: true })
    await removePartial(layout, hash)
    throw error
  }
}

/** Whether there is a `.data.part` that nobody is about to make a claim about. */
async function isLeftOver(layout: Layout, hash: Hash): Promise<boolean> {
  const stats = fileStats(layout.partialData(hash))
  return stats !== undefined && Date.now() - Number(stats.mtimeMs) > MAKING_MS
}

/** Removes a partial blob; its claim first, so that it never speaks of files that are not there. */
export async function removePartial(layout: Layout, hash: Hash): Promise<void> {
  await rm(layout.ranges(hash), { force: true })
  await removeNote(layout, hash)
  await rm(layout.partialData(hash), { force: true })
  await rm(layout.partialOutboard(hash), { force: true })
}
