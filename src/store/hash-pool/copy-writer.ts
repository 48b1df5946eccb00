/**
 * Writes a copy piece by piece, waiting for each: through the system's cache as long as that is fast, since what was added is
 * often read soon, and else past it, straight to the disk.
 *
 * The cache is slow when there is more in it than the disk has taken, and on virtual machines that give memory which they do not
 * use back to their host: there new pages for the cache may cost three times what the disk takes.
 */
import { writeSync } from 'node:fs'
import { errorCode } from '../fs-errors.ts'
import type { CopyTarget } from './messages.ts'

/** Disks take whole blocks of so many bytes, from memory that begins at a multiple of it. */
const BLOCK_BYTES = 4096

/** Below so many bytes per millisecond the cache is slow: memory takes three times as many, many disks as many. */
const SLOW_BYTES_PER_MS = 900_000

/** Bytes that go past a slow cache before it is tried again. */
const PAST_BYTES = 32 * 1024 * 1024

export class CopyWriter {
  readonly #slowBytesPerMs: number
  /** Bytes that are yet to go past the cache. */
  #past = 0

  constructor(slowBytesPerMs = SLOW_BYTES_PER_MS) {
    this.#slowBytesPerMs = slowBytesPerMs
  }

  /** Writes all of `data`. @param offset in the file, in bytes; a multiple of the size of a block */
  write({ file, direct }: CopyTarget, data: Uint8Array, offset: number): void {
    if (this.#past > 0 && direct !== undefined && data.length % BLOCK_BYTES === 0) {
      this.#past -= data.length
      if (writePastCache(direct, data, offset)) return
    }
    const start = performance.now()
    writeFully(file, data, offset)
    if (data.length < (performance.now() - start) * this.#slowBytesPerMs) this.#past = PAST_BYTES
  }
}

/** @returns false when the file system wants something else of who goes past its cache */
function writePastCache(file: number, data: Uint8Array, offset: number): boolean {
  try {
    writeFully(file, data, offset)
    return true
  } catch (error) {
    if (errorCode(error) !== 'EINVAL') throw error
    return false
  }
}

function writeFully(file: number, data: Uint8Array, offset: number): void {
  for (let written = 0; written < data.length; )
    written += writeSync(file, data, written, data.length - written, offset + written)
}
