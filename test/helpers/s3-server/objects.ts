/** The objects of a bucket as a test sees them: past all requests, signatures and faults. */
import { createHash } from 'node:crypto'
import type { Bucket } from './buckets.ts'
import { corrupted } from './wire.ts'

export class Objects {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  /** In the order of their UTF-8 bytes. */
  keys(prefix = ''): string[] {
    return this.#bucket.keys().filter(key => key.startsWith(prefix))
  }

  /** Uploads that were begun and neither completed nor aborted. */
  uploads(): { readonly key: string; readonly parts: number }[] {
    return [...this.#bucket.uploads.values()].map(({ key, parts }) => ({ key, parts: parts.size }))
  }

  get(key: string): Buffer | undefined {
    const object = this.#bucket.find(key)
    return object === undefined ? undefined : Buffer.concat(object.pieces)
  }

  set(key: string, bytes: Uint8Array, modifiedAt = Date.now()): void {
    const etag = createHash('md5').update(bytes).digest('hex')
    this.#bucket.set(key, { pieces: [Buffer.from(bytes)], size: bytes.length, etag, modifiedAt, headers: {} })
  }

  /** Turns one bit of the byte at `offset`; the ETag stays, as when a disk decays. */
  flip(key: string, offset: number): void {
    const object = this.#bucket.get(key)
    if (offset >= object.size)
      throw new RangeError(`object ${key} has ${object.size} bytes, none at ${offset}`)
    this.#bucket.set(key, { ...object, pieces: corrupted(object.pieces, offset) })
  }

  /** @returns whether it was there */
  delete(key: string): boolean {
    return this.#bucket.delete(key)
  }

  /** Deletes all objects and all uploads. */
  clear(): void {
    for (const key of [...this.#bucket.keys()]) this.#bucket.delete(key)
    this.#bucket.uploads.clear()
  }
}
