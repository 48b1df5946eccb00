/**
 * An upload in parts, driven by hand: the minio client's own may go on with somebody else's unfinished upload of the same key,
 * and then tells success for an object that is too short.
 */
import { checkComplete } from '../checks.ts'
import { StorageError, StorageUnavailableError } from '../errors.ts'
import type { Slice } from '../index.ts'
import { MIN_PART_BYTES } from '../part-size.ts'
import type { S3Client } from './client.ts'
import { ABORT_MS } from './constants.ts'
import { failureInside, foreignAnswer, S3Failure } from './failure.ts'
import { encode } from './list.ts'
import { makeObject } from './make-object.ts'
import { readObject } from './read.ts'
import { statOnce } from './stat.ts'
import { encodeText, hasElement, textOf } from './xml.ts'

interface Part {
  readonly etag: string
  /** Bytes. */
  readonly size: number
}

export class Multipart {
  readonly key: string
  readonly #client: S3Client
  readonly #id: string
  readonly #parts = new Map<number, Part>()

  private constructor(client: S3Client, key: string, id: string) {
    this.#client = client
    this.key = key
    this.#id = id
  }

  static async begin(client: S3Client, key: string, signal: AbortSignal | undefined): Promise<Multipart> {
    const headers = { 'content-type': 'application/octet-stream' }
    const id = await client.run(`cannot begin to write ${key} to`, { signal }, async signal => {
      const { text } = await client.ask({ method: 'POST', key, query: 'uploads', headers, body: [] }, signal)
      const id = textOf(text, 'UploadId')
      if (!id) throw foreignAnswer('the answer does not name the upload')
      return id
    })
    return new Multipart(client, key, id)
  }

  /** @param number counted from 0 */
  async put(number: number, pieces: readonly Uint8Array[], size: number, signal: AbortSignal): Promise<void> {
    const { key } = this
    const etag = await this.#client.run(
      `cannot write part ${number} of ${key} to`,
      { signal },
      async signal => {
        const query = this.#query(number)
        const { headers } = await this.#client.ask({ method: 'PUT', key, query, body: pieces }, signal)
        return headers.etag
      }
    )
    this.#add(number, etag, size)
  }

  /**
   * Makes a part out of a slice. The server copies it, unless it is small: AWS copies ranges only of objects above 5 MiB, which
   * what a larger slice is of must be. A small one goes through this process, without asking first how large its object is.
   *
   * @param number counted from 0
   */
  async copy(number: number, slice: Slice, signal: AbortSignal): Promise<void> {
    if (slice.length <= MIN_PART_BYTES) {
      const pieces = await Array.fromAsync(readObject(this.#client, slice, signal))
      return await this.put(number, pieces, slice.length, signal)
    }
    const { key } = this
    const { key: from, offset, length } = slice
    const headers = {
      'x-amz-copy-source': this.#client.copySource(from),
      'x-amz-copy-source-range': `bytes=${offset}-${offset + length - 1}`
    }
    const what = `cannot copy ${from} into ${key} in`
    const etag = await this.#client.run(what, { signal, key: from }, async signal => {
      const call = {
        method: 'PUT',
        key,
        query: this.#query(number),
        headers,
        body: [],
        isWork: true
      } as const
      const { status, text } = await this.#client.ask(call, signal)
      const failure = failureInside(status, text)
      if (failure !== undefined) throw failure
      if (!hasElement(text, 'CopyPartResult')) throw foreignAnswer('the answer does not tell what was copied')
      return textOf(text, 'ETag')
    })
    this.#add(number, etag, length)
  }

  /**
   * Makes the object visible, and checks that it is as large as it has to be.
   *
   * @param partBytes what all parts but the last must have; 0 when they may differ
   */
  async complete(size: number, partBytes: number, signal: AbortSignal): Promise<void> {
    const { key } = this
    const numbers = [...this.#parts.keys()].sort((a, b) => a - b)
    const sizes = new Map(numbers.map(number => [number, this.#parts.get(number)!.size]))
    if (partBytes > 0) checkComplete(key, sizes, partBytes, size)
    const body = [
      Buffer.from(completeXml(numbers.map(number => [number + 1, this.#parts.get(number)!.etag])))
    ]
    await makeObject(this.#client, key, size, signal, () => this.#complete(body, size, signal))
  }

  /** Gives up what was written. What the server does not give up within 2 s is left to the sweeping. */
  async abort(): Promise<void> {
    const { key } = this
    const client = this.#client
    const what = `cannot give up ${key} in`
    const patience = AbortSignal.timeout(ABORT_MS)
    try {
      await client.run(what, { signal: patience }, signal =>
        abortOnce(client, client.fullKey(key), this.#id, signal)
      )
    } catch (error) {
      if (error !== patience.reason) throw error
      throw new StorageUnavailableError(`${what} ${client.name}: it took longer than ${ABORT_MS / 1000} s`)
    }
  }

  async #complete(body: readonly Uint8Array[], size: number, signal: AbortSignal): Promise<void> {
    const { key } = this
    await this.#client.run(`cannot complete ${key} in`, { signal }, async (signal, failures) => {
      // The answer to an earlier try may have been lost, and not what it did. Asking to complete what is no more has some
      // servers say that they are in trouble, so it is not asked again before that is known.
      if (failures > 0 && !(await this.#isOpen(signal))) return await this.#checkDone(size, signal)
      const headers = { 'content-type': 'application/xml' }
      const call = { method: 'POST', key, query: this.#query(), headers, body, isWork: true } as const
      const { status, text } = await this.#client.ask(call, signal)
      const failure = failureInside(status, text)
      if (failure !== undefined) throw failure
      if (!hasElement(text, 'CompleteMultipartUploadResult')) {
        throw foreignAnswer('the answer does not tell what was completed')
      }
    })
  }

  #add(number: number, etag: string | undefined, size: number): void {
    const { name } = this.#client
    if (!etag)
      throw new StorageError(`cannot write ${this.key} to ${name}: the server gives its parts no ETag`)
    this.#parts.set(number, { etag, size })
  }

  #query(number?: number): string {
    const id = `uploadId=${encode(this.#id)}`
    return number === undefined ? id : `partNumber=${number + 1}&${id}`
  }

  /** Whether the server still has the upload. */
  async #isOpen(signal: AbortSignal): Promise<boolean> {
    try {
      const query = `max-parts=1&${this.#query()}`
      await this.#client.ask({ method: 'GET', key: this.key, query }, signal)
      return true
    } catch (failure) {
      if (failure instanceof S3Failure && failure.status === 404) return false
      throw failure
    }
  }

  /** The upload is no more: either it was completed, or it was given up. */
  async #checkDone(size: number, signal: AbortSignal): Promise<void> {
    const info = await statOnce(this.#client, this.key, signal)
    if (info?.size === size) return
    throw new StorageError(
      `cannot complete ${this.key} in ${this.#client.name}: the upload was given up meanwhile; write it again`
    )
  }
}

/** Gives up an upload, whoever began it. One that is not there counts as given up. @throws S3Failure */
export async function abortOnce(
  client: S3Client,
  fullKey: string,
  id: string,
  signal: AbortSignal
): Promise<void> {
  try {
    await client.call(signal, minio => minio.abortMultipartUpload(client.bucket, fullKey, encode(id)))
  } catch (failure) {
    if (!(failure instanceof S3Failure) || failure.status !== 404) throw failure
  }
}

/** By hand: for 10,000 parts, the client's builder takes 100 ms, during which nothing else would run. */
export function completeXml(parts: readonly (readonly [number, string])[]): string {
  const list = parts.map(
    ([number, etag]) => `<Part><PartNumber>${number}</PartNumber><ETag>${encodeText(etag)}</ETag></Part>`
  )
  const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/'
  return `<CompleteMultipartUpload xmlns="${namespace}">${list.join('')}</CompleteMultipartUpload>`
}
