/**
 * Whether what lies in the folder as a complete blob may be served.
 *
 * The first time that this process comes across a data file, its last chunk is checked, which proves its length: files that
 * were cut off, that an interrupted copy has left, or that a power failure has emptied are found so. Everything between is
 * checked when it is read.
 *
 * An outboard that is not there is computed from the data, which checks all of it, and written beside it: folders of
 * iroh-blobs keep small ones inside their database, and files get lost.
 */
import { rename, rm } from 'node:fs/promises'
import { encode } from '../../bao/encoder.ts'
import { CorruptSourceError } from '../../bao/errors.ts'
import { groupCount } from '../../bao/geometry.ts'
import { type HashedBlob, hashBytes } from '../../bao/outboard.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { BlobDamagedError } from '../errors.ts'
import { FsReader } from '../file-reader.ts'
import { explained, isNotFound } from '../fs-errors.ts'
import { hashFile } from '../hash-pool/hash-file.ts'
import { InputFile } from '../input-file.ts'
import { OutboardSpool } from '../outboard-spool.ts'
import type { SmallFile } from '../small-file.ts'
import type { FsContext } from './context.ts'
import { type FoundComplete, findComplete } from './found.ts'
import { openComplete } from './opening.ts'
import { RecentVersions } from './recent-versions.ts'
import type { SmallFiles } from './small/small-files.ts'

/** Data files that are remembered as checked, at least. */
const MOST_CHECKED = 10_000

export class Integrity {
  readonly #context: FsContext
  readonly #small: SmallFiles
  readonly #running = new Map<string, Promise<boolean>>()
  /** Versions of data files that have another hash than their name says, and of those whose end is right. */
  readonly #damaged = new Map<string, string>()
  readonly #checked = new RecentVersions(MOST_CHECKED)

  constructor(context: FsContext, small: SmallFiles) {
    this.#context = context
    this.#small = small
  }

  /**
   * Whether a complete blob can be served. If its outboard is not there, it is computed, once, which takes as long as
   * hashing the blob.
   *
   * @returns false when the data is not what the hash says
   */
  async ensure(hash: Hash, found: FoundComplete): Promise<boolean> {
    const key = hash.toString()
    if (this.#checked.get(key) === found.version && found.hasOutboard) return true
    if (this.#damaged.get(key) === found.version) return false
    const isRight = await this.#check(hash, found)
    if (!isRight) this.#context.notice(this.#damage(hash).message)
    return isRight
  }

  /** One check serves all who ask meanwhile. */
  async #check(hash: Hash, found: FoundComplete): Promise<boolean> {
    const key = hash.toString()
    let running = this.#running.get(key)
    if (running === undefined) {
      const check = found.hasOutboard ? this.#checkEnd(hash, found) : this.#computeOutboard(hash, found)
      running = check.finally(() => this.#running.delete(key))
      this.#running.set(key, running)
    }
    return await running
  }

  /** To be told when the bytes of a data file have just been hashed. */
  markGood(hash: Hash, version: string): void {
    this.#checked.set(hash.toString(), version)
    this.#damaged.delete(hash.toString())
  }

  /**
   * Reads a complete blob of one chunk group, and checks what was read.
   *
   * @returns undefined when there is no such blob, or when the data is not what the hash says
   */
  async readSmall(hash: Hash): Promise<SmallFile | undefined> {
    let file: SmallFile | 'other' | 'changed'
    try {
      file = await this.#small.readOwn(this.#context.layout.data(hash))
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
    if (typeof file !== 'object' || !hashBytes(file.bytes).hash.equals(hash)) return undefined
    // The version is that of the file before it was read: what is written to it later gives it another one.
    if (this.#checked.get(hash.toString()) !== file.version) this.markGood(hash, file.version)
    return file
  }

  /**
   * Computes the outboard of a blob anew of which something was wrong when it was read.
   *
   * @returns false when it is the data that is wrong
   */
  async mend(hash: Hash, found: FoundComplete): Promise<boolean> {
    if (this.#damaged.get(hash.toString()) === found.version) return false
    // Somebody has mended it already, or it was deleted when it was read.
    if (await this.#isRight(hash, found, ChunkRanges.all)) return true
    if (!(await this.#check(hash, { ...found, hasOutboard: false }))) return false
    // Deleted since: nothing has been computed.
    if (findComplete(this.#context.layout, hash)?.version !== found.version) return true
    this.#context.notice(`the outboard of blob ${hash} was damaged; it has been computed anew from the data`)
    return true
  }

  /** To be told when what there was of a blob is there no longer. */
  forget(hash: Hash): void {
    this.#damaged.delete(hash.toString())
    this.#checked.delete(hash.toString())
  }

  /** @throws BlobDamagedError when it has turned out before that the data is not what the hash says */
  async checkNotDamaged(hash: Hash): Promise<void> {
    if (!this.#damaged.has(hash.toString())) return
    const found = findComplete(this.#context.layout, hash)
    if (found?.version === this.#damaged.get(hash.toString())) throw this.#damage(hash)
  }

  #markDamaged(hash: Hash, { version }: FoundComplete): void {
    this.#damaged.set(hash.toString(), version)
    this.#checked.delete(hash.toString())
  }

  async #checkEnd(hash: Hash, found: FoundComplete): Promise<boolean> {
    if (groupCount(found.size) === 1 && (await this.readSmall(hash))?.version === found.version) return true
    const isRight = await this.#isRight(hash, found, ChunkRanges.last)
    // Replaced or deleted since: whoever opens it looks again.
    if (isRight === undefined) return true
    // It may be the outboard alone.
    if (!isRight) return await this.#computeOutboard(hash, found)
    this.markGood(hash, found.version)
    return true
  }

  /** @returns undefined when the files are not what was found any more, or not all there */
  async #isRight(hash: Hash, found: FoundComplete, ranges: ChunkRanges): Promise<boolean | undefined> {
    const files = await openComplete(this.#context, hash, found)
    if (files === undefined) return undefined
    const reader = new FsReader(files)
    try {
      for await (const _piece of encode(hash, reader, ranges));
      return true
    } catch (error) {
      if (error instanceof CorruptSourceError) return false
      throw error
    } finally {
      await reader.close()
    }
  }

  #damage(hash: Hash): BlobDamagedError {
    return new BlobDamagedError(hash, `${this.#context.layout.data(hash)} does not have this hash`)
  }

  async #computeOutboard(hash: Hash, found: FoundComplete): Promise<boolean> {
    const { layout, temp } = this.#context
    const spool = new OutboardSpool(temp.newPath())
    try {
      await using file = await InputFile.open(layout.data(hash))
      const blob = await hashFile(file, spool)
      if (!blob.hash.equals(hash)) {
        this.#markDamaged(hash, found)
        return false
      }
      await explained(`cannot write ${layout.outboard(hash)}`, () => this.#writeOutboard(spool, blob))
      this.markGood(hash, found.version)
      return true
    } catch (error) {
      // Deleted meanwhile: whoever opens it looks again.
      if (error instanceof Error && isNotFound(error.cause)) return true
      throw error
    } finally {
      await spool.close()
    }
  }

  async #writeOutboard(spool: OutboardSpool, blob: HashedBlob): Promise<void> {
    const { layout, temp, isSynced, dataSync } = this.#context
    if (groupCount(blob.size) === 1) return
    const path = temp.newPath()
    try {
      await spool.write(path, blob, isSynced)
      await rename(path, layout.outboard(blob.hash))
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
    await dataSync.sync()
    // It may have been deleted meanwhile.
    if (findComplete(layout, blob.hash) === undefined) await rm(layout.outboard(blob.hash), { force: true })
  }
}
