/** An object that is being written in parts: a file that is written to at the places of the parts. */
import { checkComplete, checkCopy, checkPart } from '../checks.ts'
import { StorageError } from '../errors.ts'
import type { Slice, StorageOptions, Upload } from '../index.ts'
import { explained } from './errors.ts'
import type { NewFile } from './new-file.ts'

/** What an upload needs of the storage. */
export interface UploadOwner {
  readonly name: string
  /** Copies a slice of an object to a place in the file. */
  copy(slice: Slice, file: NewFile, offset: number, signal: AbortSignal | undefined): Promise<void>
  /** Makes the file the object. */
  place(file: string): Promise<void>
  ended(upload: FilesystemUpload): void
}

export class FilesystemUpload implements Upload {
  readonly begunAt = Date.now()
  readonly key: string
  readonly #partBytes: number
  readonly #file: NewFile
  readonly #owner: UploadOwner
  /** Bytes of each part that is there. */
  readonly #parts = new Map<number, number>()
  #hasEnded = false

  constructor(key: string, partBytes: number, file: NewFile, owner: UploadOwner) {
    this.key = key
    this.#partBytes = partBytes
    this.#file = file
    this.#owner = owner
  }

  /** The file's. */
  get path(): string {
    return this.#file.path
  }

  async put(number: number, pieces: readonly Uint8Array[], options: StorageOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#checkOpen()
    const bytes = checkPart(this.key, number, pieces, this.#partBytes)
    await this.#explained(options.signal, () => this.#file.write(pieces, number * this.#partBytes))
    this.#checkOpen()
    this.#parts.set(number, bytes)
  }

  async copy(number: number, slice: Slice, options: StorageOptions = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    this.#checkOpen()
    checkCopy(this.key, number, slice, this.#partBytes)
    await this.#explained(signal, () => this.#owner.copy(slice, this.#file, number * this.#partBytes, signal))
    this.#checkOpen()
    this.#parts.set(number, slice.length)
  }

  async complete(size: number, options: StorageOptions = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    this.#checkOpen()
    checkComplete(this.key, this.#parts, this.#partBytes, size)
    await this.#explained(signal, async () => {
      await this.#file.finish(size)
      signal?.throwIfAborted()
      this.#checkOpen()
      await this.#owner.place(this.#file.path)
      await this.#file.close()
    })
    this.#end()
  }

  async abort(): Promise<void> {
    if (this.#hasEnded) return
    this.#end()
    await this.#file.discard()
  }

  #end(): void {
    this.#hasEnded = true
    this.#owner.ended(this)
  }

  #checkOpen(): void {
    if (this.#hasEnded) throw new StorageError(`the upload of ${this.key} has ended; begin another one`)
  }

  async #explained<T>(signal: AbortSignal | undefined, action: () => Promise<T>): Promise<T> {
    return await explained(`cannot write ${this.key} in ${this.#owner.name}`, signal, action)
  }
}
