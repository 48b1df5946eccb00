/**
 * Writing past the system's page cache: what arrives of a blob is on its way to the disk anyway, since it counts only when it is
 * there. The cache would cost a copy and new pages for every byte, which is up to four times the cost of hashing it.
 *
 * Linux only (`O_DIRECT`), and there not on every file system. Where it cannot be done, nothing is lost: the caller writes as usual.
 */
import { constants, type FileHandle, open } from 'node:fs/promises'
import { errorCode } from '../fs-errors.ts'

/** What addresses, offsets and lengths must be multiples of, in bytes: the largest block of a disk in use. */
const ALIGNMENT = 4096

/** Bytes of one buffer, and how many there are for the whole process: they are waited for. */
const BUFFER_BYTES = 1024 * 1024
const MAX_BUFFERS = 8

/** Less than this many bytes at a time is left to the cache, which puts small writes together: so are all of small blobs. */
const LEAST_BYTES = 512 * 1024

/** WebAssembly's memory begins at a page, which no other buffer of JavaScript is sure to. */
const WASM_PAGE_BYTES = 64 * 1024

/** Whether so much is written, and to such a place, that it may go past the cache. */
export function isWorthIt(pieces: readonly Uint8Array[], offset: number): boolean {
  return offset % ALIGNMENT === 0 && lengthOf(pieces) >= LEAST_BYTES
}

/** What says that it cannot be done here: the file system has no such writes, there is no `/proc`, or no room for one more file. */
const CANNOT: ReadonlySet<string | undefined> = new Set([
  'EINVAL',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOENT',
  'ENOTDIR',
  'EACCES',
  'EPERM',
  'EMFILE',
  'ENFILE'
])

export class UncachedFile {
  readonly #file: FileHandle
  #works = true

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** @returns undefined where it cannot be done */
  static async of(file: FileHandle): Promise<UncachedFile | undefined> {
    if (constants.O_DIRECT === undefined) return undefined
    try {
      // Not by its name, which may lead to another file by now.
      return new UncachedFile(await open(`/proc/self/fd/${file.fd}`, constants.O_WRONLY | constants.O_DIRECT))
    } catch (error) {
      if (CANNOT.has(errorCode(error))) return undefined
      throw error
    }
  }

  /**
   * Writes as many of the first bytes of `pieces` as can be written in this way.
   *
   * @param offset for which {@link isWorthIt}
   * @returns bytes written: the rest is to be written as usual
   */
  async write(pieces: readonly Uint8Array[], offset: number): Promise<number> {
    const length = lengthOf(pieces)
    const total = length - (length % ALIGNMENT)
    let written = 0
    const source = new Gatherer(pieces)
    while (this.#works && written < total) {
      const buffer = await takeBuffer()
      try {
        const length = Math.min(BUFFER_BYTES, total - written)
        source.fill(buffer.subarray(0, length))
        const { bytesWritten } = await this.#file.write(buffer, 0, length, offset + written)
        written += bytesWritten - (bytesWritten % ALIGNMENT)
        if (bytesWritten < length) return written
      } catch (error) {
        if (errorCode(error) !== 'EINVAL') throw error
        this.#works = false
      } finally {
        giveBack(buffer)
      }
    }
    return written
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

/** Copies pieces, one behind the other. */
class Gatherer {
  readonly #pieces: readonly Uint8Array[]
  #piece = 0
  #at = 0

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces
  }

  fill(target: Uint8Array): void {
    for (let filled = 0; filled < target.length; ) {
      const piece = this.#pieces[this.#piece]!
      const part = piece.subarray(this.#at, this.#at + target.length - filled)
      target.set(part, filled)
      filled += part.length
      this.#at += part.length
      if (this.#at === piece.length) {
        this.#piece++
        this.#at = 0
      }
    }
  }
}

const free: Uint8Array[] = []
const waiting: ((buffer: Uint8Array) => void)[] = []
let made = 0

function takeBuffer(): Uint8Array | Promise<Uint8Array> {
  const buffer = free.pop()
  if (buffer !== undefined) return buffer
  if (made === MAX_BUFFERS) return new Promise(resolve => waiting.push(resolve))
  made++
  return new Uint8Array(new WebAssembly.Memory({ initial: BUFFER_BYTES / WASM_PAGE_BYTES }).buffer)
}

function giveBack(buffer: Uint8Array): void {
  const next = waiting.shift()
  if (next === undefined) free.push(buffer)
  else next(buffer)
}
