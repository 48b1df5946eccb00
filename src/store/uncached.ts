/**
 * Reading, writing and copying past the system's page cache. What arrives of a blob is on its way to the disk anyway, since it counts only
 * when it is there: the cache would cost a copy and new pages for every byte, which is up to four times the cost of hashing it.
 *
 * Linux only (`O_DIRECT`), and there not on every file system. Where it cannot be done, nothing is lost: the caller writes as usual.
 */
import { constants, type FileHandle, open } from 'node:fs/promises'
import { alignedBuffer, isAligned } from '../bao/aligned-buffer.ts'

/** What addresses, offsets and lengths must be multiples of, in bytes: the largest block of a disk in use. */
const ALIGNMENT = 4096

/**
 * Bytes of one buffer, and how many there are for the whole process: they are waited for. What arrives comes in pieces of a little
 * more than 1 MiB, each of which is to be one write: they extend the file one after the other.
 */
const BUFFER_BYTES = 1280 * 1024
const MAX_BUFFERS = 8

/** Less than this many bytes at a time is left to the cache, which puts small writes together: so are all of small blobs. */
const LEAST_BYTES = 512 * 1024

/** Whether so much is written, and to such a place, that it may go past the cache. */
export function isWorthIt(pieces: readonly Uint8Array[], offset: number): boolean {
  return offset % ALIGNMENT === 0 && lengthOf(pieces) >= LEAST_BYTES
}

export class UncachedFile {
  readonly #file: FileHandle
  #works = true

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** @returns undefined where it cannot be done */
  static async of(file: FileHandle, access: 'read' | 'write'): Promise<UncachedFile | undefined> {
    if (constants.O_DIRECT === undefined) return undefined
    try {
      const flags = access === 'read' ? constants.O_RDONLY : constants.O_WRONLY
      // Not by its name, which may lead to another file by now.
      return new UncachedFile(await open(`/proc/self/fd/${file.fd}`, flags | constants.O_DIRECT))
    } catch {
      // The file system has no such writes, there is no /proc, a file too many: whatever it is, the cache does it, or says why not.
      return undefined
    }
  }

  /** The file's number, for whoever writes by himself. */
  get fd(): number {
    return this.#file.fd
  }

  /**
   * Writes as many of the first bytes of `pieces` as can be written in this way.
   *
   * @param offset for which {@link isWorthIt}
   * @returns bytes written: the rest is to be written as usual
   */
  async write(pieces: readonly Uint8Array[], offset: number): Promise<number> {
    const [first] = pieces
    let written = 0
    if (first !== undefined && first.length >= LEAST_BYTES && isAligned(first, ALIGNMENT)) {
      written = await this.#write(first, wholeBlocks(first.length), offset)
    }
    const total = wholeBlocks(lengthOf(pieces))
    const source = new Gatherer(pieces, written)
    while (this.#works && written < total) {
      const buffer = await takeBuffer()
      try {
        const length = Math.min(BUFFER_BYTES, total - written)
        source.fill(buffer.subarray(0, length))
        const done = await this.#write(buffer, length, offset + written)
        written += done
        if (done < length) break
      } finally {
        giveBack(buffer)
      }
    }
    return written
  }

  /**
   * Copies bytes of another file.
   *
   * @param from where they are in `source`, and `to` where they go in this file: multiples of 4 KiB
   * @returns bytes copied, from the first on: the rest is to be copied as usual
   * @throws the signal's reason
   */
  async copy(
    source: UncachedFile,
    from: number,
    to: number,
    length: number,
    signal: AbortSignal | undefined
  ): Promise<number> {
    if (from % ALIGNMENT !== 0 || to % ALIGNMENT !== 0) return 0
    const total = wholeBlocks(length)
    let copied = 0
    while (this.#works && source.#works && copied < total) {
      signal?.throwIfAborted()
      const buffer = await takeBuffer()
      try {
        const wanted = Math.min(BUFFER_BYTES, total - copied)
        const read = await source.#read(buffer, wanted, from + copied)
        const written = await this.#write(buffer, read, to + copied)
        copied += written
        if (written < wanted) break
      } finally {
        giveBack(buffer)
      }
    }
    return copied
  }

  /**
   * Fills all of `targets`, one behind the other, with what is in the file from `offset` on.
   *
   * @param offset for which {@link isWorthIt}
   * @returns whether it was done: else it is to be read as usual, all of it
   */
  async readInto(targets: readonly Uint8Array[], offset: number): Promise<boolean> {
    const total = lengthOf(targets)
    if (!this.#works || total > BUFFER_BYTES - ALIGNMENT) return false
    const buffer = await takeBuffer()
    try {
      // The file may end within the last block.
      const { bytesRead } = await this.#file.read(buffer, 0, wholeBlocks(total + ALIGNMENT - 1), offset)
      if (bytesRead < total) return false
      let at = 0
      for (const target of targets) {
        target.set(buffer.subarray(at, at + target.length))
        at += target.length
      }
      return true
    } catch {
      this.#works = false
      return false
    } finally {
      giveBack(buffer)
    }
  }

  /** @returns bytes written, in whole blocks */
  async #write(bytes: Uint8Array, length: number, offset: number): Promise<number> {
    return await this.#unlessItFails(async () => {
      const { bytesWritten } = await this.#file.write(bytes, 0, length, offset)
      return bytesWritten
    })
  }

  /** @returns bytes read, in whole blocks */
  async #read(target: Uint8Array, length: number, offset: number): Promise<number> {
    return await this.#unlessItFails(async () => {
      const { bytesRead } = await this.#file.read(target, 0, length, offset)
      return bytesRead
    })
  }

  /**
   * Some file systems say only now that they cannot do it, in many ways. The caller does the same by the cache: what is really wrong,
   * such as a full disk, he is told then.
   */
  async #unlessItFails(action: () => Promise<number>): Promise<number> {
    try {
      return wholeBlocks(await action())
    } catch {
      this.#works = false
      return 0
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

function wholeBlocks(bytes: number): number {
  return bytes - (bytes % ALIGNMENT)
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

/** Copies pieces, one behind the other. */
class Gatherer {
  readonly #pieces: readonly Uint8Array[]
  #piece = 0
  #at = 0

  /** @param skipped bytes at the beginning that are not wanted, less than the first piece has or all of them */
  constructor(pieces: readonly Uint8Array[], skipped: number) {
    this.#pieces = pieces
    this.#advance(skipped)
  }

  fill(target: Uint8Array): void {
    for (let filled = 0; filled < target.length; ) {
      const piece = this.#pieces[this.#piece]!
      const part = piece.subarray(this.#at, this.#at + target.length - filled)
      target.set(part, filled)
      filled += part.length
      this.#advance(part.length)
    }
  }

  #advance(bytes: number): void {
    this.#at += bytes
    if (this.#at < (this.#pieces[this.#piece]?.length ?? 0)) return
    this.#piece++
    this.#at = 0
  }
}

const free: Uint8Array[] = []
const waiting: ((buffer: Uint8Array) => void)[] = []
let made = 0

function takeBuffer(): Uint8Array | Promise<Uint8Array> {
  const buffer = free.pop()
  if (buffer !== undefined) return buffer
  if (made === MAX_BUFFERS) return new Promise(resolve => waiting.push(resolve))
  const aligned = alignedBuffer(BUFFER_BYTES)
  made++
  return aligned
}

function giveBack(buffer: Uint8Array): void {
  const next = waiting.shift()
  if (next === undefined) free.push(buffer)
  else next(buffer)
}
