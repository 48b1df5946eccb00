/**
 * Reads a complete blob whose objects are files of this machine: straight to where the bytes are wanted. The system reads ahead by
 * itself, and its cache is everybody's.
 */
import type { Hash } from '../../../hash.ts'
import { BlobDamagedError, BlobNotFoundError, HandleClosedError } from '../../errors.ts'
import { FsReader } from '../../file-reader.ts'
import type { BlobReader } from '../../index.ts'
import { ObjectNotFoundError } from '../storage/errors.ts'
import type { LocalFiles } from '../storage/local-files.ts'

export interface LocalReaderOptions {
  readonly hash: Hash
  /** Bytes: more than one chunk group. */
  readonly size: number
  readonly files: LocalFiles
  readonly dataKey: string
  readonly outboardKey: string
  /** Called once, when the reader is closed. */
  readonly onClose: (reader: LocalReader) => void
  /** Called when one of the objects turns out not to be there. */
  readonly onMissing: () => void
}

export class LocalReader implements BlobReader {
  readonly hash: Hash
  readonly size: number
  readonly held: undefined = undefined
  readonly #options: LocalReaderOptions
  #opening: Promise<FsReader> | undefined
  /** Undefined until something is read. Used without waiting: so the next read has begun while its caller works on the one before. */
  #reader: FsReader | undefined
  #closed: Promise<void> | undefined

  constructor(options: LocalReaderOptions) {
    this.#options = options
    this.hash = options.hash
    this.size = options.size
  }

  async readData(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.readDataInto(offset, [target], signal)
  }

  async readDataInto(offset: number, targets: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    await (this.#reader ?? (await this.#opened(signal))).readDataInto(offset, targets, signal)
  }

  async readOutboard(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    await (this.#reader ?? (await this.#opened(signal))).readOutboard(offset, target, signal)
  }

  async close(): Promise<void> {
    this.#closed ??= this.#end()
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #end(): Promise<void> {
    const reader = await this.#opening?.catch(() => undefined)
    await reader?.close()
    this.#options.onClose(this)
  }

  async #opened(signal: AbortSignal | undefined): Promise<FsReader> {
    signal?.throwIfAborted()
    if (this.#closed !== undefined) throw new HandleClosedError('reader', this.hash)
    this.#opening ??= this.#open()
    return await this.#opening
  }

  async #open(): Promise<FsReader> {
    const { hash, size, files, dataKey, outboardKey } = this.#options
    try {
      const data = await files.open(dataKey)
      const outboard = await files.open(outboardKey).catch(async error => {
        await data.close()
        throw error
      })
      this.#reader = new FsReader({ hash, size, data, outboard })
      return this.#reader
    } catch (error) {
      // There may be too many open files at this moment: the next read tries again.
      this.#opening = undefined
      if (!(error instanceof ObjectNotFoundError)) throw error
      this.#options.onMissing()
      if (error.key === outboardKey) throw new BlobDamagedError(hash, error.message)
      throw new BlobNotFoundError(hash, `is gone from the storage: ${error.message}`)
    }
  }
}
