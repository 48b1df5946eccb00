/**
 * A blob that is arriving, as long as somebody in this process writes to it. All its writers share this.
 *
 * What is written counts as held at once, in this process. What a restart, or another process, may believe is the claim on
 * disk (`claim.ts`). It follows in the background, at the latest after 1 s or 32 MiB: take note of what is held, wait until
 * data and outboard are on disk, only then replace the claim. So neither a killed process nor a power failure leaves a
 * claim about bytes that are not there.
 */
import type { Verified } from '../../bao/decoder.ts'
import { bytesWithin, chunkCount, isWhole } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { BlobDeletedError, StoreFullError } from '../errors.ts'
import { explained } from '../fs-errors.ts'
import { keepGroups } from '../kept-groups.ts'
import { allDone } from '../waiting.ts'
import { writeAll } from '../write-all.ts'
import {
  type Claim,
  dropFromClaim,
  type Identity,
  isAbout,
  isSameIdentity,
  type Lengths,
  readClaim,
  updateClaim
} from './claim.ts'
import type { FsContext } from './context.ts'
import { findComplete } from './found.ts'
import { removeNote, writeNote } from './note.ts'
import type { OpenedPartial, PartialFiles } from './partial-files.ts'

/**
 * Bytes, and milliseconds, of progress after which the claim on disk is replaced. About as much again comes while that is being
 * done: a power failure costs 64 MiB, a killed process what was not noted (`NOTE_BYTES`). Of several blobs that arrive at the same time each may keep its share of these bytes
 * unsaved, but none is saved more often than after `MIN_SAVE_BYTES`.
 */
export const SAVE_BYTES = 32 * 1024 * 1024
export const MIN_SAVE_BYTES = 2 * 1024 * 1024
export const SAVE_MS = 1000

/**
 * Bytes of progress after which they are noted as written, which is what a killed process loses: of a large blob less than 1 %. A
 * note costs as much as writing half a MiB.
 */
export const NOTE_BYTES = 1024 * 1024
const NOTES_PER_BLOB = 128

/** What a partial blob tells and asks of its store. */
export interface PartialHome {
  /** More is held. */
  readonly onChange: () => void
  /** How many blobs are arriving. */
  readonly arriving: () => number
}

export class PartialBlob {
  readonly hash: Hash
  /** Bytes, as claimed. */
  readonly size: number
  /** Writers that are open. */
  users = 0

  readonly #context: FsContext
  readonly #files: PartialFiles
  readonly #home: PartialHome
  #held: ChunkRanges
  /** What the claim on disk says. */
  #saved: ChunkRanges
  /** Whether it is we who have written it. */
  #hasSaved = false
  #unsavedBytes = 0
  #unnotedBytes = 0
  #noting: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> | undefined
  /** Why nothing more can be written, and nothing saved. */
  #failure: unknown
  /** Why saving in the background has failed. Whoever closes tries again. */
  #saveFailure: unknown
  #isComplete = false

  constructor(
    context: FsContext,
    hash: Hash,
    size: number,
    { files, claim, written }: OpenedPartial,
    home: PartialHome
  ) {
    this.hash = hash
    this.size = size
    this.#context = context
    this.#files = files
    this.#held = claim.ranges.union(written)
    this.#unsavedBytes = bytesWithin(written.subtract(claim.ranges), size)
    this.#saved = claim.ranges
    this.#home = home
  }

  /** Chunks that are held. */
  get held(): ChunkRanges {
    return this.#held
  }

  get isWhole(): boolean {
    return isWhole(this.#held, this.size)
  }

  get identity(): Identity {
    return this.#files.identity
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Makes writes fail, and keeps the claim on disk from being replaced again. */
  fail(error: Error): void {
    this.#failure ??= error
    clearTimeout(this.#timer)
  }

  /** From now on there is nothing to write. */
  markComplete(): void {
    this.#isComplete = true
    this.#held = ChunkRanges.range(0, chunkCount(this.size))
    clearTimeout(this.#timer)
  }

  /**
   * Writes, at the same time as others do.
   *
   * @param beforeIsDone waited for before what was written counts: the parents above may have come with the writes before. What it
   *   rejects with, this does
   */
  async write(verified: Verified, beforeIsDone: () => Promise<void>): Promise<void> {
    this.#check()
    const { runs, ranges } = keepGroups(verified.leaves, this.size)
    if (this.#isComplete) return await beforeIsDone()
    // Parents are written in any case: those at the end of a batch belong to groups that are yet to come.
    const news = this.#held.containsAll(ranges) ? [] : runs
    const { outboard } = this.#files
    await explained(`cannot write to blob ${this.hash} in ${this.#context.layout.dataFolder}`, async () => {
      await allDone([
        ...news.map(({ offset, pieces }) => this.#files.writeData(pieces, offset)),
        ...verified.parents.map(({ offset, bytes }) => writeAll(outboard, [bytes], offset))
      ])
    })
    await beforeIsDone()
    this.#check()
    if (news.length === 0 || this.#isComplete) return
    this.#held = this.#held.union(ranges)
    for (const { length } of news) {
      this.#unsavedBytes += length
      this.#unnotedBytes += length
    }
    this.#noteSoon()
    this.#saveSoon()
    this.#home.onChange()
  }

  /**
   * Puts on disk that all is held that is held now.
   *
   * @param isClaimSynced false: data and outboard are on disk when this returns, but the claim need not be
   */
  async save(isClaimSynced = true): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.settle()
    if (this.#failure !== undefined) throw this.#failure
    if (this.#hasSaved && !this.#isComplete) await this.#lookWhetherStillSaved()
    await this.#save(isClaimSynced)
  }

  /**
   * Another process that saved in the very same moment may have replaced our claim by one without what was new in it. Where we have written
   * none, what is missing by now has been taken out since it was wrong.
   */
  async #lookWhetherStillSaved(): Promise<void> {
    const claim = await readClaim(this.#context.layout, this.hash)
    // A claim about other files is for `#save` to notice, once there is something to save.
    if (claim === undefined || !isSameIdentity(claim.identity, this.identity)) return
    this.#saved = this.#saved.intersect(claim.ranges)
  }

  /** Takes back what was held, and has turned out to be wrong. Writers may bring it again. */
  async drop(wrong: ChunkRanges): Promise<void> {
    await this.settle()
    this.#held = this.#held.subtract(wrong)
    this.#saved = this.#saved.subtract(wrong)
    // In the place of a save, so that none is under way meanwhile.
    const dropping = dropFromClaim(this.#context, this.hash, this.identity, wrong).finally(() => {
      this.#saving = undefined
      if (this.#unsavedBytes > 0) this.#saveSoon()
    })
    this.#saving = dropping.then(
      () => undefined,
      () => undefined
    )
    await dropping
  }

  /** Ends saving in the background, and gives up the files. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.settle()
    await this.#files.close()
  }

  /** Waits until nothing is being saved. */
  async settle(): Promise<void> {
    while (this.#saving !== undefined) await this.#saving.catch(() => undefined)
    while (this.#noting !== undefined) await this.#noting
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#saveFailure !== undefined) throw this.#saveFailure
  }

  /** Costs no waiting: so it is done often. */
  #noteSoon(): void {
    if (this.#unnotedBytes < Math.max(NOTE_BYTES, this.size / NOTES_PER_BLOB) || this.#noting !== undefined)
      return
    this.#unnotedBytes = 0
    this.#noting = this.#note().finally(() => {
      this.#noting = undefined
      this.#noteSoon()
    })
  }

  async #note(): Promise<void> {
    const ranges = this.#held
    try {
      await writeNote(this.#context, this.hash, { identity: this.#files.identity, size: this.size, ranges })
    } catch {
      // Without a note more has to be fetched again when this process is killed. What is wrong shows when the claim is saved.
    }
  }

  #saveSoon(): void {
    if (this.#saving !== undefined) return
    const most = Math.max(MIN_SAVE_BYTES, SAVE_BYTES / this.#home.arriving())
    if (this.#unsavedBytes >= most) this.#saveInBackground()
    else this.#timer ??= setTimeout(() => this.#saveInBackground(), SAVE_MS).unref()
  }

  #saveInBackground(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#failure !== undefined || this.#saveFailure !== undefined || this.#isComplete) return
    this.#saving = this.#save(true)
      .then(() => {
        this.#saving = undefined
        if (this.#unsavedBytes > 0) this.#saveSoon()
      })
      .catch(error => {
        this.#saving = undefined
        // Told to the next write.
        this.#saveFailure = error
      })
  }

  async #save(isClaimSynced: boolean): Promise<void> {
    const { layout, isSynced } = this.#context
    const held = this.#held
    const unsaved = this.#unsavedBytes
    this.#unsavedBytes = 0
    if (this.#isComplete || this.#saved.containsAll(held)) return
    await explained(`cannot save the progress of blob ${this.hash} in ${layout.dataFolder}`, async () => {
      const lengths = await this.#files.lengths()
      if (isSynced) await this.#sync()
      if (this.#failure !== undefined || this.#isComplete) return
      const { identity } = this.#files
      const mine: Claim = { identity, lengths, size: this.size, ranges: held }
      // Another process may write to the same files: what it has claimed is on disk, too.
      const withTheirs = async (theirs: Claim | undefined): Promise<Claim | undefined> => {
        // Looked at each time: while ours was waiting for the disk, theirs may have become one about other files.
        if (!(await this.#files.areInPlace(layout, this.hash))) return undefined
        const isShared = theirs?.size === this.size && isAbout(theirs, identity, await this.#files.lengths())
        return isShared ? union(mine, theirs) : mine
      }
      const claim = await updateClaim(this.#context, this.hash, withTheirs, isSynced && isClaimSynced)
      if (claim === undefined) return await this.#onReplaced()
      this.#saved = claim.ranges
      this.#hasSaved = true
      this.#held = this.#held.union(claim.ranges)
      if (!held.containsAll(claim.ranges)) this.#home.onChange()
    }).catch(async error => {
      this.#unsavedBytes += unsaved
      await this.#noteWhenFull(error)
      throw error
    })
  }

  /** A note, which may be written where there is no room for a claim, has whoever goes on fetch nothing again. */
  async #noteWhenFull(error: unknown): Promise<void> {
    if (!(error instanceof StoreFullError) || this.#failure !== undefined) return
    await this.#noting
    await this.#note()
  }

  /** Another process has completed the blob, or deleted it, or begun it anew. */
  async #onReplaced(): Promise<void> {
    const found = findComplete(this.#context.layout, this.hash)
    if (found?.size === this.size) {
      this.markComplete()
      this.#home.onChange()
      return
    }
    const error = new BlobDeletedError(this.hash)
    this.#held = ChunkRanges.empty
    this.fail(error)
    throw error
  }

  async #sync(): Promise<void> {
    try {
      await this.#files.sync()
    } catch (error) {
      // The system has dropped what it could not write, and will not say so again: only what was saved is sure to be there.
      this.#held = this.#saved
      this.#unsavedBytes = 0
      this.fail(error as Error)
      await this.#noting
      await removeNote(this.#context.layout, this.hash)
      throw error
    }
  }
}

function union(a: Claim, b: Claim): Claim {
  const lengths: Lengths = {
    data: a.lengths.data > b.lengths.data ? a.lengths.data : b.lengths.data,
    outboard: a.lengths.outboard > b.lengths.outboard ? a.lengths.outboard : b.lengths.outboard
  }
  return { ...a, lengths, ranges: a.ranges.union(b.ranges) }
}
