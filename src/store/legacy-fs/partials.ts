/** The blobs that are arriving in this process. All that makes, completes or removes files does it under the blob's mutex. */

import { rm, truncate } from 'node:fs/promises'
import { groupCount, isWhole } from '../../bao/geometry.ts'
import type { ChunkRanges } from '../../bao/ranges.ts'
import { EMPTY_HASH, type Hash } from '../../hash.ts'
import { BlobDeletedError, SizeMismatchError, StoreError } from '../errors.ts'
import { explained } from '../fs-errors.ts'
import { fileStats } from '../stats.ts'
import { provesSize } from '../status.ts'
import { type Claim, dropFromClaim, type Identity, isSameIdentity, writeClaim } from './claim.ts'
import { completePartial, placeIngested } from './complete.ts'
import type { FsContext } from './context.ts'
import { removeForeignPartial } from './foreign.ts'
import {
  type Found,
  type FoundComplete,
  find,
  findComplete,
  findPartial,
  findPartialFiles,
  isAbsent
} from './found.ts'
import { type Held, heldOf } from './held.ts'
import type { IngestedFiles } from './ingest.ts'
import type { Integrity } from './integrity.ts'
import { readNote } from './note.ts'
import { PartialBlob } from './partial.ts'
import { openOrMake, removePartial } from './partial-files.ts'

/** How often a blob is deleted that other processes add again meanwhile, each time within a moment, before that is given up. */
const MOST_ROUNDS = 16

export class Partials {
  readonly #context: FsContext
  readonly #integrity: Integrity
  readonly #onChange: (hash: Hash) => void
  readonly #live = new Map<string, PartialBlob>()
  /**
   * Blobs of which there was nothing when they were last looked up, many at a time: they are probably about to come. What comes of them
   * in this process takes them out.
   */
  #absentOnes = new Set<string>()

  constructor(context: FsContext, integrity: Integrity, onChange: (hash: Hash) => void) {
    this.#context = context
    this.#integrity = integrity
    this.#onChange = hash => {
      this.#absentOnes.delete(hash.toString())
      onChange(hash)
    }
  }

  /** The blob that is arriving, if it is in this process. */
  find(hash: Hash): PartialBlob | undefined {
    return this.#live.get(hash.toString())
  }

  /** @throws SizeMismatchError when the blob is known to have another size */
  async checkSize(hash: Hash, size: number): Promise<void> {
    if (hash.equals(EMPTY_HASH)) {
      if (size !== 0) throw new SizeMismatchError(hash, size, 0)
    } else if (groupCount(size) === 1 && this.find(hash) === undefined) {
      // Nothing comes of a wrong one: such a blob is written as a whole, when it has been proven.
      const stats = fileStats(this.#context.layout.data(hash))
      if (stats !== undefined && Number(stats.size) !== size) await this.#checkSizeFound(hash, size)
    } else {
      await this.#checkSizeFound(hash, size)
    }
  }

  /** Remembers of which blobs there is nothing, in place of those of the time before. */
  noteAbsent(hashes: readonly Hash[]): void {
    this.#absentOnes = new Set(hashes.map(hash => hash.toString()))
  }

  /**
   * Whether a blob has no data file, and none is arriving in this process: then its size is not known either. One that another process
   * has added a moment ago may not be seen.
   */
  hasNoData(hash: Hash): boolean {
    if (this.find(hash) !== undefined) return false
    return (
      this.#absentOnes.delete(hash.toString()) || fileStats(this.#context.layout.data(hash)) === undefined
    )
  }

  /**
   * Lets a writer take part in a blob's arrival. A partial blob of another, unproven size is discarded.
   *
   * @returns undefined when the blob is complete
   */
  async attach(hash: Hash, size: number): Promise<PartialBlob | undefined> {
    return await this.#exclusively(hash, async () => {
      await this.#finishLeftOver(hash)
      const found = await this.#findServable(hash)
      this.#checkSize(hash, size, found)
      if (found.state === 'complete') return undefined
      let live = this.find(hash)
      if (live !== undefined && (live.hasFailed || live.isComplete || live.size !== size)) {
        await this.#abandon(live)
        live = undefined
      }
      if (live === undefined) {
        if (found.state === 'partial' && found.claim.size !== size)
          await this.#changeSize(hash, found.claim, size)
        const opened = await openOrMake(this.#context, hash, size)
        live = new PartialBlob(this.#context, hash, size, opened, {
          onChange: () => this.#onChange(hash),
          arriving: () => this.#live.size
        })
        this.#live.set(hash.toString(), live)
      }
      live.users++
      return live
    })
  }

  /** Ends a writer's part: completes the blob if it is whole, else saves what is held when nobody else writes. */
  async release(blob: PartialBlob): Promise<void> {
    await this.#exclusively(blob.hash, async () => {
      blob.users--
      try {
        if (blob.hasFailed || blob.isComplete) return
        if (blob.isWhole) await this.#complete(blob)
        else if (blob.users === 0) await this.#save(blob)
      } finally {
        if (blob.users === 0) {
          if (this.find(blob.hash) === blob) this.#live.delete(blob.hash.toString())
          await blob.close()
        }
      }
    })
  }

  /** Whether nothing is held of a blob, as far as that can be told without reading anything. */
  isAbsent(hash: Hash): boolean {
    return this.find(hash) === undefined && isAbsent(this.#context.layout, hash)
  }

  /**
   * What is held of a blob, on disk and in this process; undefined when nothing is.
   *
   * @returns `again` when the blob has been completed in between
   */
  async look(hash: Hash): Promise<FoundComplete | Held | undefined | 'again'> {
    const live = this.find(hash)
    const wasComplete = live?.isComplete
    const found = await this.#findServable(hash)
    if (found.state === 'complete') return found
    if (live?.isComplete !== wasComplete) return 'again'
    const held = await heldOf(this.#context.layout, hash, found.state === 'partial' ? found : undefined, live)
    if (held === undefined || held.ranges.isEmpty) return undefined
    if (live === undefined && isWhole(held.ranges, held.size)) {
      await this.#exclusively(hash, () => this.#finishLeftOver(hash))
      return 'again'
    }
    return held
  }

  /**
   * Puts an added blob in place, unless it is there already.
   *
   * @param write makes the files, if they are needed
   */
  async place(hash: Hash, size: number, write: () => Promise<IngestedFiles>): Promise<void> {
    await this.#exclusively(hash, async () => {
      const found = findComplete(this.#context.layout, hash)
      if (found !== undefined && (await this.#integrity.ensure(hash, found))) return
      const files = await write()
      const live = this.find(hash)
      if (live?.size === size) live.markComplete()
      else live?.fail(new BlobDeletedError(hash))
      await live?.settle()
      await placeIngested(this.#context, hash, files)
      // What an interrupted attempt to make a damaged one partial has left.
      if (found !== undefined) await removePartial(this.#context.layout, hash)
      this.#onChange(hash)
    })
  }

  /**
   * The same for a blob of one chunk group.
   *
   * @param write gives it its file, and tells the file's version
   * @param wasAbsent whether it had no data file a moment ago. Who has added it since has written the same bytes: to write them again
   *   does no harm, and is rare
   */
  placeSmall(hash: Hash, write: () => Promise<string>, wasAbsent: boolean): Promise<void> {
    return this.#exclusively(hash, async () => {
      const { layout, journals } = this.#context
      const found = wasAbsent ? undefined : findComplete(layout, hash)
      const isKept = found !== undefined && !journals.mayBeInVain(hash)
      if (isKept && (await this.#integrity.ensure(hash, found))) return
      // Of such a blob there is something in part only when somebody sends it with a wrong size.
      const live = this.find(hash)
      if (live !== undefined) {
        live.fail(new BlobDeletedError(hash))
        await live.settle()
      }
      if (layout.isForeign) await removeForeignPartial(layout, hash)
      const version = await write()
      // The second: what an interrupted attempt to make a damaged one partial has left.
      if (live !== undefined || found !== undefined) await removePartial(layout, hash)
      this.#integrity.markGood(hash, version)
      this.#onChange(hash)
    })
  }

  /** @returns whether anything was held */
  async remove(hash: Hash): Promise<boolean> {
    return await this.#exclusively(hash, async () => {
      const wasHeld = await this.#remove(hash)
      await this.sync()
      return wasHeld
    })
  }

  /** Removes a blob unless it is arriving in this process; `sync` is the caller's to call. @returns whether it is gone */
  async removeUnused(hash: Hash): Promise<boolean> {
    return await this.#exclusively(hash, async () => this.find(hash) === undefined && this.#remove(hash))
  }

  /** Waits until what was removed is gone from the disk. */
  async sync(): Promise<void> {
    await this.#context.journals.sync()
    await this.#context.dataSync.sync()
  }

  /** Under the mutex. @returns whether anything was held */
  async #remove(hash: Hash): Promise<boolean> {
    let wasHeld = false
    for (let round = 0; round < MOST_ROUNDS; round++) {
      if (await this.#removeWhatIsThere(hash)) wasHeld = true
      // Made up in between from a journal that was being retired, or added by another process, whose record may count: so all of it again.
      if (findComplete(this.#context.layout, hash) === undefined) {
        if (wasHeld) this.#onChange(hash)
        return wasHeld
      }
    }
    throw new StoreError(
      `blob ${hash} was added again ${MOST_ROUNDS} times while it was to be deleted; see which other processes add it`
    )
  }

  /** @returns whether anything was held */
  async #removeWhatIsThere(hash: Hash): Promise<boolean> {
    const { layout, journals } = this.#context
    const live = this.find(hash)
    const found = await find(layout, hash)
    const wasHeld =
      found.state === 'complete' ||
      (found.state === 'partial' && !(await this.#believed(hash, found.claim)).isEmpty) ||
      (live !== undefined && !live.hasFailed && !live.held.isEmpty)
    if (live !== undefined) await this.#abandon(live)
    await explained(`cannot delete blob ${hash} from ${layout.dataFolder}`, async () => {
      await this.#removeFiles(hash, found)
      // Not before: as long as the file can be seen, others rely on it, and may have told so. If this process is killed here, the
      // journal brings the blob back, which nobody has been told is deleted. On a full disk there is room for the note by now. Of what
      // has no file, or is there in part with a wrong size, a killed process may have left a record.
      if (found.state !== 'complete' || groupCount(found.size) === 1) await journals.forget(hash)
    })
    return wasHeld
  }

  async #removeFiles(hash: Hash, found: Found): Promise<void> {
    const { layout } = this.#context
    if (found.state === 'complete') {
      // In this order, an interruption leaves a blob whose outboard is computed anew, and not a stray outboard.
      await rm(layout.outboard(hash), { force: true })
      await rm(layout.data(hash), { force: true })
    }
    await rm(layout.setAside(hash), { force: true })
    await removePartial(layout, hash)
  }

  /**
   * Takes back what is held of a partial blob, and has turned out to be wrong.
   *
   * @param identity the files that it was found in
   * @returns false when these are a partial blob's no longer
   */
  async drop(hash: Hash, identity: Identity, wrong: ChunkRanges): Promise<boolean> {
    return await this.#exclusively(hash, async () => {
      const { layout } = this.#context
      const files = await findPartialFiles(layout, hash)
      if (files === undefined || !isSameIdentity(files.identity, identity)) return false
      await explained(`cannot take back what is wrong of blob ${hash} in ${layout.dataFolder}`, async () => {
        const live = this.find(hash)
        if (live !== undefined && isSameIdentity(live.identity, identity)) return await live.drop(wrong)
        const left = await dropFromClaim(this.#context, hash, identity, wrong)
        if (left?.isEmpty) await removePartial(layout, hash)
      })
      this.#onChange(hash)
      return true
    })
  }

  /** Goes on with what a killed process has begun: giving a whole blob its final names. To be called under the mutex. */
  async #finishLeftOver(hash: Hash): Promise<void> {
    if (this.find(hash) !== undefined) return
    const found = await findPartial(this.#context.layout, hash)
    if (found === undefined) return
    const { size, ranges, identity } = found.claim
    if (!isWhole(await this.#believed(hash, found.claim), size)) return
    try {
      // What is only known to be written has to be on disk first.
      if (!isWhole(ranges, size)) await this.#saveAll(hash, size)
      await completePartial(this.#context, hash, size, identity)
    } catch (error) {
      // Another process has deleted it: then there is nothing left to go on with.
      if (!(error instanceof BlobDeletedError)) throw error
    }
    this.#onChange(hash)
  }

  /** What may be believed of a partial blob. */
  async #believed(hash: Hash, claim: Claim): Promise<ChunkRanges> {
    return claim.ranges.union(await readNote(this.#context.layout, hash, claim))
  }

  /** Puts on disk what is written of a blob that nobody writes to, and a claim that says so. Under the mutex. */
  async #saveAll(hash: Hash, size: number): Promise<void> {
    const opened = await openOrMake(this.#context, hash, size)
    const blob = new PartialBlob(this.#context, hash, size, opened, {
      onChange: () => undefined,
      arriving: () => 1
    })
    try {
      await blob.save()
      if (!blob.isWhole) throw new BlobDeletedError(hash)
    } finally {
      await blob.close()
    }
  }

  /** What is on disk, where damaged data does not count. A blob that was about to be completed is completed. */
  async #findServable(hash: Hash): Promise<Found> {
    const found = await find(this.#context.layout, hash)
    if (found.state !== 'complete' || (await this.#integrity.ensure(hash, found))) return found
    return (await findPartial(this.#context.layout, hash)) ?? { state: 'absent' }
  }

  /**
   * Makes way for another size than was claimed, and is not proven. With as many groups, all but the last, which is not held, are
   * the same: so that a file that was cut off, or has grown, is repaired and not fetched anew.
   */
  async #changeSize(hash: Hash, claim: Claim, size: number): Promise<void> {
    const { layout, isSynced } = this.#context
    if (groupCount(claim.size) !== groupCount(size)) return await removePartial(layout, hash)
    const data = claim.lengths.data < size ? claim.lengths.data : BigInt(size)
    await writeClaim(this.#context, hash, { ...claim, size, lengths: { ...claim.lengths, data } }, isSynced)
    const stats = fileStats(layout.partialData(hash))
    if (stats !== undefined && stats.size > size) await truncate(layout.partialData(hash), size)
  }

  async #checkSizeFound(hash: Hash, size: number): Promise<void> {
    this.#checkSize(hash, size, await this.#findServable(hash))
  }

  #checkSize(hash: Hash, size: number, found: Found): void {
    const live = this.find(hash)
    const proven: number[] = []
    if (found.state === 'complete') proven.push(found.size)
    if (live?.hasFailed === false && provesSize(live.held, live.size)) proven.push(live.size)
    if (found.state === 'partial' && provesSize(found.claim.ranges, found.claim.size))
      proven.push(found.claim.size)
    const other = proven.find(known => known !== size)
    if (other !== undefined) throw new SizeMismatchError(hash, size, other)
  }

  async #complete(blob: PartialBlob): Promise<void> {
    const { layout } = this.#context
    const found = findComplete(layout, blob.hash)
    if (found !== undefined && (await this.#integrity.ensure(blob.hash, found))) {
      blob.markComplete()
      await blob.settle()
      await removePartial(layout, blob.hash)
      return
    }
    await blob.save(false)
    if (!blob.isComplete) {
      await explained(`cannot complete blob ${blob.hash} in ${layout.dataFolder}`, () =>
        completePartial(this.#context, blob.hash, blob.size, blob.identity)
      )
    }
    blob.markComplete()
    this.#onChange(blob.hash)
  }

  async #save(blob: PartialBlob): Promise<void> {
    const { layout } = this.#context
    await blob.save()
    // Another process may just have begun to write to these files, but then it has written something.
    const isUseless = blob.held.isEmpty && Number(fileStats(layout.partialData(blob.hash))?.size) === 0
    if (isUseless) await removePartial(layout, blob.hash)
    else if (blob.isWhole) await this.#complete(blob)
  }

  /** Makes the writers of a blob fail, and forgets it. Its files are the caller's to remove. */
  async #abandon(blob: PartialBlob): Promise<void> {
    blob.fail(new BlobDeletedError(blob.hash))
    await blob.settle()
    this.#live.delete(blob.hash.toString())
  }

  #exclusively<T>(hash: Hash, action: () => Promise<T>): Promise<T> {
    return this.#context.mutex.run(hash.toString(), action)
  }
}
