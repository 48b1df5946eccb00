/** A file that is being written: most often on its way to become an object. */
import { constants } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import type { CopyTarget } from '../../../hash-pool/messages.ts'
import { isWorthIt, UncachedFile } from '../../../uncached.ts'
import { dropBytes, writeAll } from '../../../write-all.ts'

/** Bytes after which the disk is told to begin, so that there is little left to wait for at the end. */
const FLUSH_BYTES = 32 * 1024 * 1024

/** Not through a symbolic link. Windows has no such flag. */
const REUSE_FLAGS = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0)

export class NewFile {
  readonly path: string
  readonly #file: FileHandle
  readonly #isSynced: boolean
  #unflushed = 0
  #end = 0
  #flushing: Promise<void> | undefined
  #uncached: Promise<UncachedFile | undefined> | undefined

  private constructor(path: string, file: FileHandle, isSynced: boolean) {
    this.path = path
    this.#file = file
    this.#isSynced = isSynced
  }

  /** @param isSynced whether to wait for the disk at the end */
  static async make(path: string, isSynced: boolean): Promise<NewFile> {
    return new NewFile(path, await open(path, 'wx+'), isSynced)
  }

  /** One that was begun before. */
  static async resume(path: string, isSynced: boolean): Promise<NewFile> {
    return new NewFile(path, await open(path, REUSE_FLAGS), isSynced)
  }

  get handle(): FileHandle {
    return this.#file
  }

  /** For threads that write to it by themselves. */
  async target(): Promise<CopyTarget> {
    return { file: this.#file.fd, direct: (await this.#openUncached())?.fd }
  }

  async write(pieces: readonly Uint8Array[], offset: number): Promise<void> {
    const isUncached = this.#isSynced && isWorthIt(pieces, offset)
    const written = isUncached ? await (await this.#openUncached())?.write(pieces, offset) : undefined
    await writeAll(this.#file, dropBytes(pieces, written ?? 0), offset + (written ?? 0))
    this.#note(
      offset,
      pieces.reduce((sum, piece) => sum + piece.length, 0)
    )
  }

  /**
   * Copies bytes of another file, without them going through the cache.
   *
   * @returns bytes copied, from the first on; 0 when that cannot be done here
   */
  async copy(
    source: UncachedFile,
    from: number,
    to: number,
    length: number,
    signal: AbortSignal | undefined
  ): Promise<number> {
    if (!this.#isSynced) return 0
    const copied = await (await this.#openUncached())?.copy(source, from, to, length, signal)
    if (copied !== undefined) this.#note(to, copied)
    return copied ?? 0
  }

  /** Ends writing: the file has `size` bytes, and they are on disk. It is yet to be closed. */
  async finish(size: number): Promise<void> {
    if (this.#end > size) await this.#file.truncate(size)
    await this.sync()
  }

  /** Waits until what has been written so far is on disk. When it has failed once, it always does. */
  async sync(): Promise<void> {
    if (!this.#isSynced) return
    // A failure of the disk is told once: what was flushed meanwhile must have succeeded, too.
    await this.#flushing
    this.#unflushed = 0
    const syncing = this.#file.datasync()
    try {
      await syncing
    } catch (error) {
      this.#flushing = syncing
      throw error
    }
  }

  /** Closes the file and removes it, unless it was renamed. Never fails: what stays is swept. */
  async discard(): Promise<void> {
    await this.close().catch(() => undefined)
    await rm(this.path, { force: true }).catch(() => undefined)
  }

  async close(): Promise<void> {
    const uncached = await this.#uncached?.catch(() => undefined)
    await Promise.all([this.#file.close(), uncached?.close()])
  }

  /** Who does not wait for the disk wants the cache. */
  #openUncached(): Promise<UncachedFile | undefined> {
    this.#uncached ??= UncachedFile.of(this.#file, 'write')
    return this.#uncached
  }

  #note(offset: number, bytes: number): void {
    this.#end = Math.max(this.#end, offset + bytes)
    this.#unflushed += bytes
    if (this.#isSynced && this.#unflushed >= FLUSH_BYTES) this.#flush()
  }

  #flush(): void {
    if (this.#flushing !== undefined) return
    this.#unflushed = 0
    const flushing = this.#file.datasync()
    this.#flushing = flushing
    // A failure stays, and is met at the end.
    flushing.then(
      () => {
        this.#flushing = undefined
      },
      () => undefined
    )
  }
}
