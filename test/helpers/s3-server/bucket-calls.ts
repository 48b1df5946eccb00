/** Calls about buckets, and about many objects of one. */
import { type Answer, empty, xml } from './answer.ts'
import type { Body } from './body.ts'
import { type Bucket, type Buckets, compareBytes } from './buckets.ts'
import { invalidArgument, malformedXml, S3Error } from './errors.ts'
import { numberFrom, type S3Request } from './request.ts'
import { encode } from './signature.ts'
import { contents, text } from './xml.ts'

const MAX_LISTED = 1000

export function listBuckets(buckets: Buckets): Answer {
  return xml('ListAllMyBucketsResult', {
    Buckets: {
      Bucket: buckets.all.map(({ name }) => ({ Name: name, CreationDate: new Date(0).toISOString() }))
    }
  })
}

/** Making one's own bucket again succeeds. */
export function createBucket(buckets: Buckets, request: S3Request): Answer {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(request.bucket)) {
    throw new S3Error('InvalidBucketName', 400, 'The specified bucket is not valid')
  }
  buckets.create(request.bucket)
  return empty(200, { location: `/${request.bucket}` })
}

export function deleteBucket(buckets: Buckets, bucket: Bucket): Answer {
  if (bucket.size > 0) throw new S3Error('BucketNotEmpty', 409, 'The bucket you tried to delete is not empty')
  buckets.delete(bucket.name)
  return empty(204)
}

/** `us-east-1` is told as nothing, for historical reasons. */
export function bucketLocation(region: string): Answer {
  return xml('LocationConstraint', region === 'us-east-1' ? '' : region)
}

export function deleteObjects(bucket: Bucket, request: S3Request, body: Body): Answer {
  if (request.headers['content-md5'] === undefined) {
    throw new S3Error('InvalidRequest', 400, 'Missing required header for this request: Content-MD5')
  }
  const xmlBody = body.bytes.toString()
  const keys = contents(xmlBody, 'Object').map(object => text(object, 'Key') ?? '')
  if (keys.length === 0 || keys.length > MAX_LISTED || keys.includes('')) throw malformedXml()
  for (const key of keys) bucket.delete(key)
  const quiet = text(xmlBody, 'Quiet')?.trim() === 'true'
  return xml('DeleteResult', { Deleted: quiet ? [] : keys.map(key => ({ Key: key })) })
}

export function listObjects(bucket: Bucket, request: S3Request): Answer {
  const parameter = (name: string) => request.query.get(name) ?? ''
  const [prefix, delimiter, startAfter] = [
    parameter('prefix'),
    parameter('delimiter'),
    parameter('start-after')
  ]
  const max = Math.min(numberFrom(request, 'max-keys', MAX_LISTED, 2 ** 31), MAX_LISTED)
  const token = parameter('continuation-token')
  const page = listPage(bucket, { prefix, delimiter, after: token === '' ? startAfter : lastOf(token), max })
  const named =
    parameter('encoding-type') === 'url' ? (key: string) => encode(key).replaceAll('%2F', '/') : String
  return xml('ListBucketResult', {
    Name: bucket.name,
    Prefix: named(prefix),
    Delimiter: delimiter === '' ? undefined : named(delimiter),
    StartAfter: startAfter === '' ? undefined : named(startAfter),
    EncodingType: request.query.get('encoding-type'),
    ContinuationToken: token === '' ? undefined : token,
    NextContinuationToken: page.next === undefined ? undefined : tokenOf(page.next),
    KeyCount: page.keys.length + page.prefixes.length,
    MaxKeys: max,
    IsTruncated: page.next !== undefined,
    Contents: page.keys.map(key => {
      const { modifiedAt, etag, size } = bucket.get(key)
      const LastModified = new Date(modifiedAt).toISOString()
      return { Key: named(key), LastModified, ETag: `"${etag}"`, Size: size, StorageClass: 'STANDARD' }
    }),
    CommonPrefixes: page.prefixes.map(common => ({ Prefix: named(common) }))
  })
}

interface PageOptions {
  readonly prefix: string
  readonly delimiter: string
  readonly after: string
  readonly max: number
}

interface Page {
  readonly keys: readonly string[]
  readonly prefixes: readonly string[]
  /** The last entry of the page, when there are more. */
  readonly next: string | undefined
}

function listPage(bucket: Bucket, { prefix, delimiter, after, max }: PageOptions): Page {
  const sorted = bucket.keys()
  const keys: string[] = []
  const prefixes: string[] = []
  let last = after
  for (let i = firstAfter(sorted, after); i < sorted.length; i++) {
    const key = sorted[i]!
    if (!key.startsWith(prefix)) {
      if (compareBytes(key, prefix) > 0) break
      continue
    }
    const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const entry = end < 0 ? key : key.slice(0, end + delimiter.length)
    if (end >= 0 && entry === last) continue
    if (keys.length + prefixes.length === max) return { keys, prefixes, next: max === 0 ? undefined : last }
    ;(end < 0 ? keys : prefixes).push(entry)
    last = entry
  }
  return { keys, prefixes, next: undefined }
}

/** Index of the first key after this one. */
function firstAfter(sorted: readonly string[], after: string): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareBytes(sorted[middle]!, after) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** A token means nothing to clients, so it does not look like a key. */
function tokenOf(last: string): string {
  return Buffer.from(`after:${last}`).toString('base64')
}

function lastOf(token: string): string {
  const text = Buffer.from(token, 'base64').toString()
  if (!text.startsWith('after:')) throw invalidArgument('The continuation token provided is incorrect')
  return text.slice('after:'.length)
}
