/** The file of a lease: one record after the other, only ever added to, so that who collects garbage can go on reading where he was. */
import { fstatSync, writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { HASH_BYTES, Hash } from '../../hash.ts'
import type { HashAndFormat, Root } from '../index.ts'

export const RECORD_BYTES = HASH_BYTES + 1

/** Bytes from which on a file is not used for another lease: who collects garbage reads all of it. */
const FULL_BYTES = 64 * 1024

/** Bytes of records that are cleared rather than removed with their file: that takes one short write. */
const MOST_CLEARED_BYTES = 64 * RECORD_BYTES

/** All that is done here happens in the system's memory: nobody has to believe a lease after a power failure. */
export class LeaseFile {
  readonly id: string
  readonly #file: FileHandle
  #bytes = 0
  /** Where the records of the lease begin that has the file now. */
  #start = 0

  constructor(id: string, file: FileHandle) {
    this.id = id
    this.#file = file
  }

  /** Whether others have removed it, because they took this process for dead. */
  get isGone(): boolean {
    return fstatSync(this.#file.fd).nlink === 0
  }

  /** Whether it is worth to be kept for another lease. */
  get isReusable(): boolean {
    return this.#bytes < FULL_BYTES && this.#bytes - this.#start <= MOST_CLEARED_BYTES
  }

  async add(blobs: readonly HashAndFormat[]): Promise<void> {
    try {
      for (let rest = encode(blobs); rest.length > 0; ) {
        const written = writeSync(this.#file.fd, rest, 0, rest.length, this.#bytes)
        this.#bytes += written
        rest = rest.subarray(written)
      }
    } catch (error) {
      // The disk is full: half a record would put all that come later out of step.
      this.#bytes -= this.#bytes % RECORD_BYTES
      await this.#file.truncate(this.#bytes)
      throw error
    }
  }

  /** Makes the records of the lease that had the file protect nothing: for another lease to have it. */
  clear(): void {
    const length = this.#bytes - this.#start
    writeSync(this.#file.fd, new Uint8Array(length), 0, length, this.#start)
    this.#start = this.#bytes
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

function encode(blobs: readonly HashAndFormat[]): Uint8Array {
  const bytes = new Uint8Array(blobs.length * RECORD_BYTES)
  for (const [i, { hash, format }] of blobs.entries()) {
    bytes.set(hash.bytes, i * RECORD_BYTES)
    bytes[(i + 1) * RECORD_BYTES - 1] = format === 'hash_seq' ? 1 : 0
  }
  return bytes
}

/** What the records of a file protect; the last one may be half written. @returns also how many bytes they have */
export function decodeRecords(bytes: Uint8Array): { roots: Root[]; length: number } {
  const roots: Root[] = []
  let at = 0
  for (; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const hash = bytes.slice(at, at + HASH_BYTES)
    // Cleared.
    if (hash.every(byte => byte === 0)) continue
    roots.push({ hash: Hash.fromBytes(hash), format: bytes[at + HASH_BYTES] === 1 ? 'hash_seq' : 'raw' })
  }
  return { roots, length: at }
}
