/** What the server holds, in memory. */
import { randomUUID } from 'node:crypto'
import { noSuchBucket, noSuchKey, noSuchUpload } from './errors.ts'

/** Bytes of objects are never changed in place: objects made by copying share them. */
export interface StoredObject {
  readonly pieces: readonly Uint8Array[]
  /** Bytes. */
  readonly size: number
  /** Without quotes. */
  readonly etag: string
  /** In ms since 1970. */
  readonly modifiedAt: number
  /** Content type and metadata, as they came. */
  readonly headers: Readonly<Record<string, string>>
}

export type StoredPart = Pick<StoredObject, 'pieces' | 'size' | 'etag' | 'modifiedAt'>

export interface StoredUpload {
  readonly id: string
  readonly key: string
  readonly startedAt: number
  readonly headers: Readonly<Record<string, string>>
  readonly parts: Map<number, StoredPart>
}

export class Bucket {
  readonly name: string
  readonly uploads = new Map<string, StoredUpload>()
  readonly #objects = new Map<string, StoredObject>()
  /** All keys in the order of their UTF-8 bytes, until one comes or goes. */
  #sorted: readonly string[] | undefined

  constructor(name: string) {
    this.name = name
  }

  get size(): number {
    return this.#objects.size
  }

  find(key: string): StoredObject | undefined {
    return this.#objects.get(key)
  }

  get(key: string): StoredObject {
    const object = this.#objects.get(key)
    if (object === undefined) throw noSuchKey()
    return object
  }

  set(key: string, object: StoredObject): void {
    if (!this.#objects.has(key)) this.#sorted = undefined
    this.#objects.set(key, object)
  }

  delete(key: string): boolean {
    const had = this.#objects.delete(key)
    if (had) this.#sorted = undefined
    return had
  }

  keys(): readonly string[] {
    this.#sorted ??= [...this.#objects.keys()].sort(compareBytes)
    return this.#sorted
  }

  upload(key: string, id: string | undefined): StoredUpload {
    const upload = this.uploads.get(id ?? '')
    if (upload === undefined || upload.key !== key) throw noSuchUpload()
    return upload
  }

  beginUpload(key: string, headers: StoredUpload['headers']): StoredUpload {
    const upload = { id: randomUUID(), key, startedAt: Date.now(), headers, parts: new Map() }
    this.uploads.set(upload.id, upload)
    return upload
  }
}

export class Buckets {
  readonly #buckets = new Map<string, Bucket>()

  get all(): readonly Bucket[] {
    return [...this.#buckets.values()]
  }

  find(name: string): Bucket | undefined {
    return this.#buckets.get(name)
  }

  get(name: string): Bucket {
    const bucket = this.#buckets.get(name)
    if (bucket === undefined) throw noSuchBucket()
    return bucket
  }

  create(name: string): Bucket {
    const bucket = this.#buckets.get(name) ?? new Bucket(name)
    this.#buckets.set(name, bucket)
    return bucket
  }

  delete(name: string): void {
    this.#buckets.delete(name)
  }
}

export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Views of the bytes from `offset` on, `length` of them. */
export function slicePieces(pieces: readonly Uint8Array[], offset: number, length: number): Uint8Array[] {
  const slices: Uint8Array[] = []
  let start = 0
  for (const piece of pieces) {
    const from = Math.max(offset - start, 0)
    const to = Math.min(offset + length - start, piece.length)
    if (from < to) slices.push(piece.subarray(from, to))
    start += piece.length
  }
  return slices
}
