/**
 * Reads a blob's data for a peer: through the system's cache, or past it when what is wanted is not there and the disk is fast. Whether
 * it is there nobody says beforehand; but the system counts what it had to read from a disk.
 *
 * To fill the cache costs a page of new memory for every 4 KiB. Where a virtual machine gives memory that it does not use back to its
 * host, that is more CPU than all else a provider does. And most blobs are not read again soon. One that is goes by the cache from its
 * second reader on: so what many want is in memory.
 */
import type { FileHandle } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { isWorthIt, UncachedFile } from './uncached.ts'
import { readAll } from './write-all.ts'

/** Smaller blobs are not worth opening their file a second time, in bytes. */
const LEAST_BYTES = 8 * 1024 * 1024

/** What the system counts the bytes in that a process had read from disks: sectors, as `getrusage` has them. */
const SECTOR_BYTES = 512

/** Below so many bytes per ms of waiting, for so many reads in a row, the disk is slow: there the cache may help, which reads ahead. */
const SLOW_DISK = 250_000
const SLOW_READS = 3

/** Bytes that are read past the cache before it is tried again; and by the cache, before a slow disk is: then twice as many. */
const PAST_BYTES = 32 * 1024 * 1024

/** Blobs that have been read past the cache lately, at most. */
const MAX_REMEMBERED = 1000

/** Blobs that have been read past the cache. The oldest come first. */
const readBefore = new Set<string>()

export class ServedFile {
  readonly #file: FileHandle
  readonly #key: string
  readonly #fromDisk: () => number
  readonly #slowDisk: number
  #mayGoPast: boolean
  #slowReads = 0
  /** Bytes that are yet to be read by the cache, since the disk is slow, and how many that will be the next time. */
  #byCache = 0
  #nextByCache = PAST_BYTES
  #bytesPast = 0
  /** Bytes that are yet to be read past the cache. */
  #past = 0
  #uncached: Promise<UncachedFile | undefined> | undefined

  /**
   * @param key what the blob is remembered by
   * @param size bytes of the file, which is not written to any more
   * @param fromDisk bytes that this process has had read from disks so far
   */
  constructor(
    file: FileHandle,
    key: string,
    size: number,
    { fromDisk = bytesFromDisk, slowDisk = SLOW_DISK } = {}
  ) {
    this.#file = file
    this.#key = key
    this.#fromDisk = fromDisk
    this.#slowDisk = slowDisk
    this.#mayGoPast = size >= LEAST_BYTES && !readBefore.has(key)
  }

  /** Bytes that were read past the cache. */
  get bytesPast(): number {
    return this.#bytesPast
  }

  /** Fills all of `targets`, one behind the other, from `offset` on. @returns whether the file was long enough */
  async read(targets: readonly Uint8Array[], offset: number): Promise<boolean> {
    if (!this.#mayGoPast || !isWorthIt(targets, offset)) return await readAll(this.#file, targets, offset)
    const bytes = targets.reduce((sum, { length }) => sum + length, 0)
    if (this.#past > 0) {
      // A process that is busy sees that a read has ended long after it has: only while there was nothing to do, it was the disk.
      const start = performance.eventLoopUtilization()
      this.#past -= bytes
      if (await this.#readPast(targets, offset)) {
        const isSlow = bytes < performance.eventLoopUtilization(start).idle * this.#slowDisk
        this.#bytesPast += bytes
        this.#slowReads = isSlow ? this.#slowReads + 1 : 0
        if (this.#slowReads === SLOW_READS) this.#leaveToCache()
        return true
      }
      this.#mayGoPast = false
    }
    const before = this.#fromDisk()
    const isLongEnough = await readAll(this.#file, targets, offset)
    // How long it took tells little: the system reads ahead, and new pages are what costs.
    const isCached = this.#fromDisk() - before < bytes / 2
    if (this.#byCache > 0) this.#byCache -= bytes
    else if (!isCached) this.#past = PAST_BYTES
    return isLongEnough
  }

  #leaveToCache(): void {
    this.#past = 0
    this.#slowReads = 0
    this.#byCache = this.#nextByCache
    this.#nextByCache *= 2
  }

  async close(): Promise<void> {
    await (await this.#uncached)?.close()
  }

  async #readPast(targets: readonly Uint8Array[], offset: number): Promise<boolean> {
    this.#uncached ??= this.#openUncached()
    return (await (await this.#uncached)?.readInto(targets, offset)) ?? false
  }

  async #openUncached(): Promise<UncachedFile | undefined> {
    const [oldest] = readBefore
    if (readBefore.size >= MAX_REMEMBERED && oldest !== undefined) readBefore.delete(oldest)
    readBefore.add(this.#key)
    return await UncachedFile.of(this.#file, 'read')
  }
}

/** Also what others read at the same time: at worst, a blob is read from the disk that is in the cache as well. */
function bytesFromDisk(): number {
  return process.resourceUsage().fsRead * SECTOR_BYTES
}
