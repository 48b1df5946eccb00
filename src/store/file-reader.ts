/** Reads a blob whose data and outboard are files. */
import type { BigIntStats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { outboardBytes } from '../bao/geometry.ts'
import type { ChunkRanges } from '../bao/ranges.ts'
import { EMPTY_HASH, type Hash } from '../hash.ts'
import { BlobDamagedError, HandleClosedError } from './errors.ts'
import { explained, isNotFound } from './fs-errors.ts'
import type { BlobReader } from './index.ts'
import { ServedFile } from './served-file.ts'
import { readAll } from './write-all.ts'

/** Bytes of outboard to read at a time: that of 16 MiB of data. */
const WINDOW_BYTES = 64 * 1024

export class FsReader implements BlobReader {
  readonly hash: Hash
  readonly size: number
  readonly held: ChunkRanges | undefined
  readonly #data: FileHandle | undefined
  /** The same, of a complete blob. */
  readonly #served: ServedFile | undefined
  readonly #outboard: FileHandle | undefined
  readonly #onClose: ((reader: FsReader) => void) | undefined
  #isClosed = false
  /**
   * What was read ahead of the outboard, in one buffer that is used again: new ones are in use for so long that V8 takes them for old, and
   * holds on to them.
   */
  #ahead: Uint8Array | undefined
  #aheadStart = 0
  #aheadLength = 0

  constructor(files: BlobFiles, onClose?: (reader: FsReader) => void) {
    this.hash = files.hash
    this.size = files.size
    this.held = files.held
    this.#data = files.data
    if (files.data !== undefined && files.held === undefined) {
      this.#served = new ServedFile(files.data, files.hash.toString(), files.size)
    }
    this.#outboard = files.outboard
    this.#onClose = onClose
  }

  /** Of the data file; undefined when none is open. */
  async stats(): Promise<BigIntStats | undefined> {
    return await this.#data?.stat({ bigint: true })
  }

  /** Waits until the data is on disk. */
  async sync(): Promise<void> {
    await this.#data?.sync()
  }

  async readData(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#read('data', this.#data, this.size, offset, [target], signal)
  }

  async readDataInto(offset: number, targets: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    await this.#read('data', this.#served ?? this.#data, this.size, offset, targets, signal)
  }

  /** Reads ahead: who reads data in order asks for the outboard in order, a little at a time. */
  async readOutboard(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    const total = outboardBytes(this.size)
    const at = offset - this.#aheadStart
    if (this.#ahead !== undefined && at >= 0 && at + target.length <= this.#aheadLength && !this.#isClosed) {
      target.set(this.#ahead.subarray(at, at + target.length))
      return
    }
    // The outboard of a partial blob has gaps, and its file may end before it does.
    const isNext = this.held === undefined && at >= 0 && at <= this.#aheadLength
    const length = isNext ? Math.min(WINDOW_BYTES, total - offset) : 0
    if (length <= target.length) {
      await this.#read('outboard', this.#outboard, total, offset, [target], signal)
      this.#aheadStart = offset + target.length
      this.#aheadLength = 0
      return
    }
    const bytes = this.#ahead ?? new Uint8Array(WINDOW_BYTES)
    // Nobody else looks at it, or reads into it, meanwhile.
    this.#ahead = undefined
    await this.#read('outboard', this.#outboard, total, offset, [bytes.subarray(0, length)], signal)
    this.#ahead = bytes
    this.#aheadStart = offset
    this.#aheadLength = length
    target.set(bytes.subarray(0, target.length))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onClose?.(this)
    // Waits for the reads that are under way.
    await this.#served?.close()
    await Promise.all([this.#data?.close(), this.#outboard?.close()])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #read(
    kind: string,
    file: FileHandle | ServedFile | undefined,
    size: number,
    offset: number,
    targets: readonly Uint8Array[],
    signal: AbortSignal | undefined
  ): Promise<void> {
    signal?.throwIfAborted()
    if (this.#isClosed) throw new HandleClosedError('reader', this.hash)
    const length = targets.reduce((sum, target) => sum + target.length, 0)
    if (offset < 0 || offset + length > size) {
      throw new RangeError(`cannot read ${length} bytes at ${offset} of the ${kind}: it has ${size}`)
    }
    if (file === undefined || length === 0) return
    const what = `cannot read the ${kind} of blob ${this.hash}`
    if (
      !(await explained(what, () =>
        file instanceof ServedFile ? file.read(targets, offset) : readAll(file, targets, offset)
      ))
    ) {
      throw new BlobDamagedError(this.hash, `the file of its ${kind} ends before byte ${offset + length}`)
    }
  }
}

/** A blob's files, open. */
export interface BlobFiles {
  readonly hash: Hash
  /** Bytes. */
  readonly size: number
  readonly held?: ChunkRanges | undefined
  /** None for the empty blob. */
  readonly data?: FileHandle | undefined
  /** None for a blob of one chunk group. */
  readonly outboard?: FileHandle | undefined
}

export const EMPTY_FILES: BlobFiles = { hash: EMPTY_HASH, size: 0 }

/** Opens two files, the second if it has a path. @returns undefined when one of them is not there */
export async function openPair(
  dataPath: string,
  outboardPath: string | undefined
): Promise<{ data: FileHandle; outboard: FileHandle | undefined } | undefined> {
  if (outboardPath === undefined) {
    const data = await openIfThere(dataPath)
    return data && { data, outboard: undefined }
  }
  const opened = await Promise.allSettled([openIfThere(dataPath), openIfThere(outboardPath)])
  const [data, outboard] = opened.map(file => (file.status === 'fulfilled' ? file.value : undefined))
  if (data !== undefined && outboard !== undefined) return { data, outboard }
  await Promise.all([data?.close(), outboard?.close()])
  for (const file of opened) if (file.status === 'rejected') throw file.reason
  return undefined
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path)
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}
