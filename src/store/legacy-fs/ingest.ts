/**
 * Takes a blob that is being added: hashes it, and writes it to temporary files at the same time.
 *
 * The last block is held back, so that a blob of one block is written in one go, and not at all when it turns out that the
 * store has it already.
 */
import { type FileHandle, open, rm } from 'node:fs/promises'
import { groupCount } from '../../bao/geometry.ts'
import { type HashedBlob, OutboardBuilder } from '../../bao/outboard.ts'
import { type FileCopy, type HashFileOptions, hashFile } from '../hash-pool/hash-file.ts'
import type { InputFile } from '../input-file.ts'
import { OutboardSpool } from '../outboard-spool.ts'
import { UncachedFile } from '../uncached.ts'
import { writeAll } from '../write-all.ts'
import type { FsContext } from './context.ts'

/** Blocks that are being written while the next is hashed. */
const WRITES_IN_FLIGHT = 3

/** Bytes after which the disk is told to begin, so that there is little left to wait for at the end. */
const FLUSH_BYTES = 32 * 1024 * 1024

/** Temporary files that hold a whole blob, on disk. */
export interface IngestedFiles {
  readonly data: string
  /** None for a blob of one chunk group. */
  readonly outboard: string | undefined
}

export class Ingest {
  readonly #context: FsContext
  readonly #onWritten: ((block: Uint8Array) => void) | undefined
  readonly #path: string
  readonly #outboardPath: string
  readonly #spool: OutboardSpool
  readonly #builder: OutboardBuilder
  readonly #writes = new Set<Promise<void>>()
  #file: FileHandle | undefined
  #last: Uint8Array | undefined
  #isMade = false
  #written = 0
  #flushing: Promise<void> | undefined
  #flushed = 0
  #blob: HashedBlob | undefined

  /** @param onWritten gets each block back that is no longer needed */
  constructor(context: FsContext, onWritten?: (block: Uint8Array) => void) {
    this.#context = context
    this.#onWritten = onWritten
    this.#path = context.temp.newPath()
    this.#outboardPath = context.temp.newPath()
    this.#spool = new OutboardSpool(context.temp.newPath())
    this.#builder = new OutboardBuilder(this.#spool.add)
  }

  /** Takes the next block, which is not to be touched any more. */
  async push(block: Uint8Array): Promise<void> {
    if (this.#last !== undefined) await this.#startWrite(this.#last)
    this.#last = block
    this.#builder.push(block)
    await this.#spool.relieve()
  }

  /**
   * Takes a whole file instead of blocks. Threads hash it, and write what they have hashed.
   *
   * @param allocate gives a buffer of at least so many bytes
   */
  async takeFile(
    input: InputFile,
    allocate: FileCopy['allocate'],
    options: Pick<HashFileOptions, 'signal' | 'onHashed'>
  ): Promise<void> {
    const file = await this.#open()
    const direct = await UncachedFile.of(file, 'write')
    try {
      const target = { file: file.fd, direct: direct?.fd }
      const write = async (block: Uint8Array) => await this.#startWrite(block)
      this.#blob = await hashFile(input, this.#spool, { ...options, copy: { target, allocate, write } })
    } finally {
      await direct?.close()
    }
  }

  /** Waits until nothing is being written, and gives up the file for now: others may need the handle. */
  async park(): Promise<void> {
    await Promise.all(this.#writes)
    await this.#flushing
    await this.#file?.close()
    this.#file = undefined
  }

  /** Ends the blob. What has not been written yet need not be, when the store has this blob. */
  finish(): HashedBlob {
    this.#blob ??= this.#builder.finish()
    return this.#blob
  }

  /** Writes the rest, and waits until all of it is on disk. */
  async files(): Promise<IngestedFiles> {
    const blob = this.finish()
    if (this.#last !== undefined) await this.#startWrite(this.#last)
    this.#last = undefined
    const hasOutboard = groupCount(blob.size) > 1
    await Promise.all([
      this.#completeData(),
      hasOutboard ? this.#spool.write(this.#outboardPath, blob, this.#context.isSynced) : undefined
    ])
    return { data: this.#path, outboard: hasOutboard ? this.#outboardPath : undefined }
  }

  /** Removes all temporary files that are still there. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#writes, this.#flushing])
    await this.#file?.close()
    this.#file = undefined
    await this.#spool.close()
    if (!this.#isMade) return
    await rm(this.#path, { force: true })
    await rm(this.#outboardPath, { force: true })
  }

  async #completeData(): Promise<void> {
    await Promise.all(this.#writes)
    await this.#flushing
    const file = await this.#open()
    if (this.#context.isSynced) await file.datasync()
    await this.park()
  }

  async #startWrite(block: Uint8Array): Promise<void> {
    while (this.#writes.size >= WRITES_IN_FLIGHT) await Promise.race(this.#writes)
    const file = await this.#open()
    const offset = this.#written
    this.#written += block.length
    const write = writeAll(file, [block], offset)
    this.#writes.add(write)
    // A failed write stays among them, and is met by whoever waits next.
    write.then(
      () => {
        this.#writes.delete(write)
        this.#onWritten?.(block)
        this.#flush(file)
      },
      () => undefined
    )
  }

  #flush(file: FileHandle): void {
    const isDue = this.#context.isSynced && this.#written - this.#flushed >= FLUSH_BYTES
    if (!isDue || this.#flushing !== undefined || this.#file !== file) return
    this.#flushed = this.#written
    const flushing = file.datasync()
    this.#flushing = flushing
    // A failure stays, and is met by whoever waits.
    flushing.then(
      () => {
        this.#flushing = undefined
      },
      () => undefined
    )
  }

  async #open(): Promise<FileHandle> {
    this.#file ??= await open(this.#path, this.#isMade ? 'r+' : 'wx')
    this.#isMade = true
    return this.#file
  }
}
