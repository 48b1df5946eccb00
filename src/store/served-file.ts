/**
 * Reads a blob's data for a peer: through the system's cache, or past it when what is wanted is not there and the disk is fast.
 *
 * To fill the cache costs a page of new memory for every 4 KiB. Where a virtual machine gives memory that it does not use back to its
 * host, that is more CPU than all else a provider does. And most blobs are not read again soon. One that is goes by the cache from its
 * second reader on: so what many want is in memory.
 */
import type { FileHandle } from 'node:fs/promises'
import { isWorthIt, UncachedFile } from './uncached.ts'
import { readAll } from './write-all.ts'

/** Smaller blobs are not worth opening their file a second time, in bytes. */
const LEAST_BYTES = 8 * 1024 * 1024

/** Below so many bytes per ms, what was read was not in the cache, or it is of no help: a read from memory is three times as fast. */
const NOT_CACHED = 1_200_000

/** Below so many bytes per ms, for so many reads in a row, the disk is slow: there the cache may help, which reads ahead. */
const SLOW_DISK = 250_000
const SLOW_READS = 3

/** Bytes that are read past the cache before it is tried again. */
const PAST_BYTES = 32 * 1024 * 1024

/** Blobs that have been read past the cache lately, at most. */
const MAX_REMEMBERED = 1000

/** Blobs that have been read past the cache. The oldest come first. */
const readBefore = new Set<string>()

export class ServedFile {
  readonly #file: FileHandle
  readonly #key: string
  readonly #notCached: number
  readonly #slowDisk: number
  #mayGoPast: boolean
  #slowReads = 0
  #bytesPast = 0
  /** Bytes that are yet to be read past the cache. */
  #past = 0
  #uncached: Promise<UncachedFile | undefined> | undefined

  /**
   * @param key what the blob is remembered by
   * @param size bytes of the file, which is not written to any more
   */
  constructor(
    file: FileHandle,
    key: string,
    size: number,
    { notCached = NOT_CACHED, slowDisk = SLOW_DISK } = {}
  ) {
    this.#file = file
    this.#key = key
    this.#notCached = notCached
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
    const start = performance.now()
    const isSlowerThan = (bytesPerMs: number): boolean => bytes < (performance.now() - start) * bytesPerMs
    if (this.#past > 0) {
      this.#past -= bytes
      if (await this.#readPast(targets, offset)) {
        this.#bytesPast += bytes
        this.#slowReads = isSlowerThan(this.#slowDisk) ? this.#slowReads + 1 : 0
        this.#mayGoPast = this.#slowReads < SLOW_READS
        return true
      }
      this.#mayGoPast = false
    }
    const isLongEnough = await readAll(this.#file, targets, offset)
    if (isSlowerThan(this.#notCached)) this.#past = PAST_BYTES
    return isLongEnough
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
