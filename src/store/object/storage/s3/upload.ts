/** An object that is being written in parts, as the interface has it. */
import { checkCopy, checkPart } from '../checks.ts'
import { StorageError } from '../errors.ts'
import type { Slice, StorageOptions, Upload } from '../index.ts'
import type { S3Client } from './client.ts'
import { Multipart } from './multipart.ts'

export interface UploadOwner {
  /** The upload is complete or was given up. */
  ended(upload: S3Upload): void
  /** Something was left behind, and will be swept. */
  notice(text: string): void
}

export class S3Upload implements Upload {
  readonly #client: S3Client
  readonly #multipart: Multipart
  readonly #partBytes: number
  readonly #owner: UploadOwner
  readonly #ending = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  #hasEnded = false

  private constructor(client: S3Client, multipart: Multipart, partBytes: number, owner: UploadOwner) {
    this.#client = client
    this.#multipart = multipart
    this.#partBytes = partBytes
    this.#owner = owner
  }

  static async begin(
    client: S3Client,
    key: string,
    partBytes: number,
    owner: UploadOwner,
    signal: AbortSignal | undefined
  ): Promise<S3Upload> {
    return new S3Upload(client, await Multipart.begin(client, key, signal), partBytes, owner)
  }

  async put(number: number, pieces: readonly Uint8Array[], options: StorageOptions = {}): Promise<void> {
    this.#check(options.signal)
    const size = checkPart(this.#multipart.key, number, pieces, this.#partBytes)
    await this.#run(options.signal, signal => this.#multipart.put(number, pieces, size, signal))
  }

  async copy(number: number, slice: Slice, options: StorageOptions = {}): Promise<void> {
    this.#check(options.signal)
    checkCopy(this.#multipart.key, number, slice, this.#partBytes)
    await this.#run(options.signal, signal => this.#multipart.copy(number, slice, signal))
  }

  async complete(size: number, options: StorageOptions = {}): Promise<void> {
    this.#check(options.signal)
    await this.#run(options.signal, signal => this.#multipart.complete(size, this.#partBytes, signal))
    this.#end()
  }

  async abort(): Promise<void> {
    if (this.#hasEnded) return
    this.#end()
    // A part that is still on its way could arrive after the rest was given up, and stay.
    this.#ending.abort(this.#endedError())
    await Promise.allSettled(this.#running)
    try {
      await this.#multipart.abort()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#owner.notice(`${reason}; the parts that were written take room until they are swept`)
    }
  }

  async #run(signal: AbortSignal | undefined, action: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const ending = this.#ending.signal
    const running = action(signal === undefined ? ending : AbortSignal.any([ending, signal]))
    this.#running.add(running)
    try {
      await running
    } finally {
      this.#running.delete(running)
    }
  }

  #end(): void {
    this.#hasEnded = true
    this.#owner.ended(this)
  }

  #check(signal: AbortSignal | undefined): void {
    this.#client.check(signal)
    if (this.#hasEnded) throw this.#endedError()
  }

  #endedError(): StorageError {
    return new StorageError(`the upload of ${this.#multipart.key} has ended; begin another one`)
  }
}
