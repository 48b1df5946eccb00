/** Objects in a bucket of an S3 server. */
import { checkCompose, checkKey, checkPut, checkSlice, checkUpload } from '../checks.ts'
import type {
  ListOptions,
  ObjectInfo,
  ObjectStorage,
  Slice,
  StorageOptions,
  SweepOptions,
  Upload
} from '../index.ts'
import { checkBucket } from './check-bucket.ts'
import { S3Client } from './client.ts'
import {
  canCopyAtOnce,
  composeHere,
  composeOnServer,
  copyOnServer,
  isNotImplemented,
  sizeOf
} from './compose.ts'
import { OPEN_RETRY_MS } from './constants.ts'
import { deleteObjects } from './delete.ts'
import { listObjects } from './list.ts'
import type { Environment, S3Options } from './options.ts'
import { putObject } from './put.ts'
import { readObject } from './read.ts'
import { statOnce } from './stat.ts'
import { sweep } from './sweep.ts'
import { S3Upload } from './upload.ts'

export interface S3OpenOptions extends StorageOptions {
  /** Where keys are taken from when the options have none. @default process.env */
  readonly env?: Environment | undefined
  /** Told of what works, and should not be as it is. */
  readonly onNotice?: ((text: string) => void) | undefined
}

export class S3Storage implements ObjectStorage {
  readonly name: string
  readonly #client: S3Client
  readonly #notice: (text: string) => void
  readonly #uploads = new Set<S3Upload>()
  #canCompose = true
  #closing: Promise<void> | undefined

  private constructor(client: S3Client, onNotice: ((text: string) => void) | undefined) {
    this.name = client.name
    this.#client = client
    this.#notice = text => onNotice?.(text)
  }

  /**
   * Makes sure that the server is there, and lets us in.
   *
   * @throws InvalidS3OptionsError
   * @throws StorageAccessError when the bucket, the keys, the region or the address are wrong
   * @throws StorageUnavailableError when the server does not answer within a few seconds
   */
  static async open(
    options: S3Options,
    { signal, env = process.env, onNotice }: S3OpenOptions = {}
  ): Promise<S3Storage> {
    // What reads options is large, as the client is: of those who can open a bucket, most do not.
    const { parseS3Options } = await import('./options.ts')
    const settings = parseS3Options(options, env)
    const client = await S3Client.load(settings)
    try {
      const retryForMs = Math.min(OPEN_RETRY_MS, settings.retryForMs)
      await checkBucket(client, settings.createBucket, { signal, retryForMs })
      return new S3Storage(client, onNotice)
    } catch (error) {
      client.close()
      throw error
    }
  }

  async put(key: string, pieces: readonly Uint8Array[], options: StorageOptions = {}): Promise<void> {
    this.#client.check(options.signal)
    const size = checkPut(key, pieces)
    await putObject(this.#client, key, pieces, size, options.signal)
  }

  async upload(key: string, partBytes: number, options: StorageOptions = {}): Promise<Upload> {
    this.#client.check(options.signal)
    checkUpload(key, partBytes)
    const owner = { ended: (upload: S3Upload) => this.#uploads.delete(upload), notice: this.#notice }
    const upload = await S3Upload.begin(this.#client, key, partBytes, owner, options.signal)
    this.#uploads.add(upload)
    return upload
  }

  async *read(slice: Slice, options: StorageOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    this.#client.check(options.signal)
    checkSlice(slice)
    yield* readObject(this.#client, slice, options.signal)
  }

  async stat(key: string, options: StorageOptions = {}): Promise<ObjectInfo | undefined> {
    this.#client.check(options.signal)
    checkKey(key)
    return await this.#client.run(`cannot look at ${key} in`, options, signal =>
      statOnce(this.#client, key, signal)
    )
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    yield* listObjects(this.#client, options)
  }

  async delete(keys: readonly string[], options: StorageOptions = {}): Promise<void> {
    this.#client.check(options.signal)
    keys.forEach(checkKey)
    await deleteObjects(this.#client, keys, options.signal)
  }

  async compose(key: string, slices: readonly Slice[], options: StorageOptions = {}): Promise<void> {
    this.#client.check(options.signal)
    checkCompose(key, slices)
    const signal = this.#client.signalWith(options.signal)
    const [first] = slices
    if (slices.length === 1 && first?.offset === 0) {
      const size = await sizeOf(this.#client, first.key, signal)
      if (size === first.length) return await this.#copy(first.key, key, size, signal)
    }
    await this.#compose(key, slices, signal)
  }

  async move(from: string, to: string, options: StorageOptions = {}): Promise<void> {
    this.#client.check(options.signal)
    checkKey(from)
    checkKey(to)
    const signal = this.#client.signalWith(options.signal)
    const size = await sizeOf(this.#client, from, signal)
    if (from === to) return
    await this.#copy(from, to, size, signal)
    await deleteObjects(this.#client, [from], signal)
  }

  async sweepUploads(before: number, options: SweepOptions = {}): Promise<void> {
    await sweep(this.#client, before, options)
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.#uploads, upload => upload.abort()))
    this.#client.close()
  }

  async #copy(from: string, to: string, size: number, signal: AbortSignal): Promise<void> {
    const whole = { key: from, offset: 0, length: size }
    if (!canCopyAtOnce(size) || from === to) return await this.#compose(to, [whole], signal)
    await this.#onServer(
      () => copyOnServer(this.#client, from, to, size, signal),
      () => composeHere(this, to, [whole], signal)
    )
  }

  async #compose(key: string, slices: readonly Slice[], signal: AbortSignal): Promise<void> {
    await this.#onServer(
      () => composeOnServer(this.#client, key, slices, signal),
      () => composeHere(this, key, slices, signal)
    )
  }

  /** Has the server do it; when it cannot, does it here, from then on. */
  async #onServer(there: () => Promise<void>, here: () => Promise<void>): Promise<void> {
    if (!this.#canCompose) return await here()
    try {
      await there()
    } catch (error) {
      if (!isNotImplemented(error)) throw error
      this.#canCompose = false
      this.#notice(
        `${this.name} cannot copy by itself: what it should copy goes through this computer, which is slower`
      )
      await here()
    }
  }
}
