/** Calls about one object. */
import { type Answer, empty, xml } from './answer.ts'
import type { Body } from './body.ts'
import { type Bucket, type Buckets, type StoredObject, slicePieces } from './buckets.ts'
import { invalidArgument, preconditionFailed, S3Error } from './errors.ts'
import { parseRange } from './range.ts'
import { decode, type S3Request } from './request.ts'

const MAX_KEY_BYTES = 1024
const MAX_COPY_BYTES = 5 * 1024 ** 3

export function putObject(bucket: Bucket, request: S3Request, body: Body): Answer {
  checkKey(request.key)
  checkWriteConditions(bucket, request)
  const object = { pieces: [body.bytes], size: body.bytes.length, etag: body.md5, modifiedAt: Date.now() }
  bucket.set(request.key, { ...object, headers: storedHeaders(request) })
  return empty(200, { etag: `"${body.md5}"` })
}

/** GET and HEAD. */
export function getObject(bucket: Bucket, request: S3Request): Answer {
  const object = bucket.get(request.key)
  checkReadConditions(object, request)
  const range = parseRange(request.headers.range, object.size)
  const { offset, length } = range ?? { offset: 0, length: object.size }
  const headers: Record<string, string> = {
    'accept-ranges': 'bytes',
    'content-type': 'binary/octet-stream',
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.modifiedAt).toUTCString(),
    ...object.headers
  }
  if (range !== undefined) headers['content-range'] = `bytes ${offset}-${offset + length - 1}/${object.size}`
  const status = range === undefined ? 200 : 206
  if (request.method === 'HEAD') return { status, headers, body: [], length }
  return { status, headers, body: slicePieces(object.pieces, offset, length) }
}

export function deleteObject(bucket: Bucket, request: S3Request): Answer {
  bucket.delete(request.key)
  return empty(204)
}

export function copyObject(buckets: Buckets, bucket: Bucket, request: S3Request): Answer {
  checkKey(request.key)
  checkWriteConditions(bucket, request)
  const source = copySource(buckets, request)
  if (source.size > MAX_COPY_BYTES) {
    throw new S3Error('InvalidRequest', 400, 'The copy source is larger than the maximum allowable size')
  }
  const replaced = request.headers['x-amz-metadata-directive'] === 'REPLACE'
  const headers = replaced ? storedHeaders(request) : source.headers
  const copy = { ...source, headers, modifiedAt: Date.now() }
  bucket.set(request.key, copy)
  return xml('CopyObjectResult', {
    LastModified: new Date(copy.modifiedAt).toISOString(),
    ETag: `"${copy.etag}"`
  })
}

/** The object that a copy is made of. */
export function copySource(buckets: Buckets, request: S3Request): StoredObject {
  const source = decode(String(request.headers['x-amz-copy-source'])).replace(/^\//, '')
  const slash = source.indexOf('/')
  if (slash < 0) throw invalidArgument('x-amz-copy-source must be like /bucket/key')
  return buckets.get(source.slice(0, slash)).get(source.slice(slash + 1))
}

/** What is kept of a PUT's headers and given back with the object. */
export function storedHeaders(request: S3Request): Record<string, string> {
  const kept = (name: string) => name === 'content-type' || name.startsWith('x-amz-meta-')
  return Object.fromEntries(
    Object.entries(request.headers)
      .filter(([name]) => kept(name))
      .map(([name, value]) => [name, String(value)])
  )
}

export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > MAX_KEY_BYTES)
    throw new S3Error('KeyTooLongError', 400, 'Your key is too long')
}

/** `If-None-Match: *`: only where there is nothing. `If-Match`: only in place of what is known. */
export function checkWriteConditions(bucket: Bucket, request: S3Request): void {
  const there = bucket.find(request.key)
  if (request.headers['if-none-match'] === '*' && there !== undefined) throw preconditionFailed()
  const match = request.headers['if-match']
  if (match !== undefined && (there === undefined || !isEtag(match, there))) throw preconditionFailed()
}

function checkReadConditions(object: StoredObject, request: S3Request): void {
  const match = request.headers['if-match']
  if (match !== undefined && !isEtag(match, object)) throw preconditionFailed()
}

function isEtag(given: string, object: StoredObject): boolean {
  return given === '*' || given.replace(/^"|"$/g, '') === object.etag
}
