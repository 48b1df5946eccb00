/** Calls about objects that are written in parts. */
import { createHash } from 'node:crypto'
import { type Answer, empty, xml } from './answer.ts'
import type { Body } from './body.ts'
import {
  type Bucket,
  type Buckets,
  compareBytes,
  type StoredPart,
  type StoredUpload,
  slicePieces
} from './buckets.ts'
import { invalidArgument, malformedXml, S3Error } from './errors.ts'
import { checkKey, checkWriteConditions, copySource, storedHeaders } from './object-calls.ts'
import { parseCopyRange } from './range.ts'
import { numberFrom, type S3Request } from './request.ts'
import { contents, text } from './xml.ts'

const MIN_PART_BYTES = 5 * 1024 ** 2
/** Objects up to this size are copied into a part as a whole only. */
const MIN_RANGE_SOURCE_BYTES = 5 * 1024 ** 2
const MAX_PARTS = 10_000
const MAX_LISTED = 1000

export function createUpload(bucket: Bucket, request: S3Request): Answer {
  checkKey(request.key)
  const upload = bucket.beginUpload(request.key, storedHeaders(request))
  return xml('InitiateMultipartUploadResult', { Bucket: bucket.name, Key: request.key, UploadId: upload.id })
}

export function uploadPart(bucket: Bucket, request: S3Request, body: Body): Answer {
  const upload = uploadOf(bucket, request)
  const part = { pieces: [body.bytes], size: body.bytes.length, etag: body.md5, modifiedAt: Date.now() }
  upload.parts.set(partNumber(request), part)
  return empty(200, { etag: `"${body.md5}"` })
}

export function uploadPartCopy(buckets: Buckets, bucket: Bucket, request: S3Request): Answer {
  const upload = uploadOf(bucket, request)
  const number = partNumber(request)
  const source = copySource(buckets, request)
  const range = request.headers['x-amz-copy-source-range']
  const { offset, length } = parseCopyRange(range === undefined ? undefined : String(range), source.size)
  // So does AWS; MinIO and Ceph do not mind, and so nobody may rely on it.
  if (range !== undefined && source.size <= MIN_RANGE_SOURCE_BYTES) {
    const message = 'The specified copy source is not supported as a byte-range copy source'
    throw new S3Error('InvalidRequest', 400, message)
  }
  const pieces = slicePieces(source.pieces, offset, length)
  const hasher = createHash('md5')
  for (const piece of pieces) hasher.update(piece)
  const part = { pieces, size: length, etag: hasher.digest('hex'), modifiedAt: Date.now() }
  upload.parts.set(number, part)
  return xml('CopyPartResult', {
    LastModified: new Date(part.modifiedAt).toISOString(),
    ETag: `"${part.etag}"`
  })
}

export function completeUpload(bucket: Bucket, request: S3Request, body: Body): Answer {
  const upload = uploadOf(bucket, request)
  checkWriteConditions(bucket, request)
  const parts = chosenParts(upload, body)
  const hasher = createHash('md5')
  for (const part of parts) hasher.update(part.etag, 'hex')
  const etag = `${hasher.digest('hex')}-${parts.length}`
  bucket.set(request.key, {
    pieces: parts.flatMap(part => part.pieces),
    size: parts.reduce((sum, part) => sum + part.size, 0),
    etag,
    modifiedAt: Date.now(),
    headers: upload.headers
  })
  bucket.uploads.delete(upload.id)
  const location = `http://${request.headers.host ?? ''}${request.path}`
  return xml('CompleteMultipartUploadResult', {
    Location: location,
    Bucket: bucket.name,
    Key: request.key,
    ETag: `"${etag}"`
  })
}

/** The parts that the body of a Complete names. */
function chosenParts(upload: StoredUpload, body: Body): StoredPart[] {
  const named = contents(body.bytes.toString(), 'Part').map(part => ({
    number: Number(text(part, 'PartNumber')),
    etag: (text(part, 'ETag') ?? '').replace(/^"|"$/g, '')
  }))
  if (named.length === 0) throw malformedXml()
  // AWS leaves the others out of the object; Ceph refuses, and so nobody may rely on it.
  if (named.length < upload.parts.size) {
    throw new S3Error('InvalidPart', 400, 'Parts were uploaded that are not among those to complete with')
  }
  const parts = named.map(({ number, etag }, index) => {
    if (index > 0 && number <= named[index - 1]!.number) {
      throw new S3Error('InvalidPartOrder', 400, 'The list of parts was not in ascending order')
    }
    const part = upload.parts.get(number)
    if (part === undefined || part.etag !== etag) {
      throw new S3Error('InvalidPart', 400, 'One or more of the specified parts could not be found', {
        PartNumber: `${number}`
      })
    }
    return part
  })
  if (parts.slice(0, -1).some(part => part.size < MIN_PART_BYTES)) {
    throw new S3Error('EntityTooSmall', 400, 'Your proposed upload is smaller than the minimum allowed size')
  }
  return parts
}

export function abortUpload(bucket: Bucket, request: S3Request): Answer {
  bucket.uploads.delete(uploadOf(bucket, request).id)
  return empty(204)
}

export function listParts(bucket: Bucket, request: S3Request): Answer {
  const upload = uploadOf(bucket, request)
  const max = Math.min(numberFrom(request, 'max-parts', MAX_LISTED, 2 ** 31), MAX_LISTED)
  const after = numberFrom(request, 'part-number-marker', 0, MAX_PARTS)
  const all = [...upload.parts].filter(([number]) => number > after).sort(([a], [b]) => a - b)
  const listed = all.slice(0, max)
  return xml('ListPartsResult', {
    Bucket: bucket.name,
    Key: upload.key,
    UploadId: upload.id,
    PartNumberMarker: after,
    NextPartNumberMarker: listed.at(-1)?.[0] ?? 0,
    MaxParts: max,
    IsTruncated: listed.length < all.length,
    Part: listed.map(([number, part]) => ({
      PartNumber: number,
      LastModified: new Date(part.modifiedAt).toISOString(),
      ETag: `"${part.etag}"`,
      Size: part.size
    }))
  })
}

export function listUploads(bucket: Bucket, request: S3Request): Answer {
  const prefix = request.query.get('prefix') ?? ''
  const max = Math.min(numberFrom(request, 'max-uploads', MAX_LISTED, 2 ** 31), MAX_LISTED)
  const keyMarker = request.query.get('key-marker') ?? ''
  const idMarker = request.query.get('upload-id-marker') ?? ''
  const delimiter = request.query.get('delimiter') ?? ''
  if (delimiter !== '')
    throw new S3Error('NotImplemented', 501, 'Uploads are listed without a delimiter here')
  const isAfter = ({ key, id }: StoredUpload) => {
    const order = compareBytes(key, keyMarker)
    return order > 0 || (order === 0 && idMarker !== '' && id > idMarker)
  }
  const all = [...bucket.uploads.values()]
    .filter(upload => upload.key.startsWith(prefix) && isAfter(upload))
    .sort((a, b) => compareBytes(a.key, b.key) || (a.id < b.id ? -1 : 1))
  const listed = all.slice(0, max)
  const truncated = listed.length < all.length
  return xml('ListMultipartUploadsResult', {
    Bucket: bucket.name,
    KeyMarker: keyMarker,
    UploadIdMarker: idMarker,
    NextKeyMarker: truncated ? listed.at(-1)?.key : undefined,
    NextUploadIdMarker: truncated ? listed.at(-1)?.id : undefined,
    Prefix: prefix,
    MaxUploads: max,
    IsTruncated: truncated,
    Upload: listed.map(({ key, id, startedAt }) => ({
      Key: key,
      UploadId: id,
      Initiated: new Date(startedAt).toISOString(),
      StorageClass: 'STANDARD'
    }))
  })
}

function uploadOf(bucket: Bucket, request: S3Request): StoredUpload {
  return bucket.upload(request.key, request.query.get('uploadId'))
}

function partNumber(request: S3Request): number {
  const number = numberFrom(request, 'partNumber', 0, MAX_PARTS)
  if (number < 1) throw invalidArgument('Part number must be an integer between 1 and 10000')
  return number
}
