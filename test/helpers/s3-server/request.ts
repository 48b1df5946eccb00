/** What a request asks for. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { invalidArgument, S3Error } from './errors.ts'

export type Operation =
  | 'ListBuckets'
  | 'CreateBucket'
  | 'HeadBucket'
  | 'DeleteBucket'
  | 'GetBucketLocation'
  | 'ListObjectsV2'
  | 'DeleteObjects'
  | 'ListMultipartUploads'
  | 'PutObject'
  | 'CopyObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObject'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'UploadPartCopy'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'
  | 'ListParts'
  | 'unknown'

export interface S3Request {
  readonly method: string
  readonly operation: Operation
  /** Empty when the request is about the server. */
  readonly bucket: string
  /** Empty when the request is about a bucket. */
  readonly key: string
  /** The path as it came. */
  readonly path: string
  readonly query: ReadonlyMap<string, string>
  readonly headers: IncomingHttpHeaders
}

/** Query parameters that ask for something the server does not have; without this check they would be taken for a plain GET or PUT. */
const UNSUPPORTED = [
  'acl', 'cors', 'encryption', 'lifecycle', 'notification', 'object-lock', 'policy', 'replication', 'restore', 'retention',
  'legal-hold', 'select', 'tagging', 'torrent', 'versioning', 'versionId', 'versions', 'website', 'attributes'
] // biome-ignore format: a list

export function parseRequest(incoming: IncomingMessage): S3Request {
  const target = incoming.url ?? '/'
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = parseQuery(mark < 0 ? '' : target.slice(mark + 1))
  const slash = path.indexOf('/', 1)
  const bucket = decode(slash < 0 ? path.slice(1) : path.slice(1, slash))
  const key = slash < 0 ? '' : decode(path.slice(slash + 1))
  const method = incoming.method ?? 'GET'
  const parts = { method, bucket, key, query, headers: incoming.headers }
  return { ...parts, path, operation: operationOf(parts) }
}

function parseQuery(query: string): Map<string, string> {
  const parameters = new Map<string, string>()
  for (const parameter of query.split('&')) {
    if (parameter === '') continue
    const equals = parameter.indexOf('=')
    if (equals < 0) parameters.set(decode(parameter), '')
    else parameters.set(decode(parameter.slice(0, equals)), decode(parameter.slice(equals + 1)))
  }
  return parameters
}

export function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    throw new S3Error('InvalidURI', 400, 'Could not parse the specified URI')
  }
}

function operationOf(request: Omit<S3Request, 'path' | 'operation'>): Operation {
  if (UNSUPPORTED.some(name => request.query.has(name))) return 'unknown'
  if (request.key !== '') return objectOperation(request)
  return request.bucket === '' ? serverOperation(request) : bucketOperation(request)
}

function serverOperation({ method }: { readonly method: string }): Operation {
  return method === 'GET' ? 'ListBuckets' : 'unknown'
}

function bucketOperation({ method, query }: Pick<S3Request, 'method' | 'query'>): Operation {
  switch (method) {
    case 'PUT':
      return 'CreateBucket'
    case 'HEAD':
      return 'HeadBucket'
    case 'DELETE':
      return 'DeleteBucket'
    case 'POST':
      return query.has('delete') ? 'DeleteObjects' : 'unknown'
    case 'GET':
      if (query.has('location')) return 'GetBucketLocation'
      if (query.has('uploads')) return 'ListMultipartUploads'
      return query.get('list-type') === '2' ? 'ListObjectsV2' : 'unknown'
    default:
      return 'unknown'
  }
}

function objectOperation({
  method,
  query,
  headers
}: Pick<S3Request, 'method' | 'query' | 'headers'>): Operation {
  const isPart = query.has('uploadId')
  const isCopy = headers['x-amz-copy-source'] !== undefined
  switch (method) {
    case 'PUT':
      if (isPart) return isCopy ? 'UploadPartCopy' : 'UploadPart'
      return isCopy ? 'CopyObject' : 'PutObject'
    case 'GET':
      return isPart ? 'ListParts' : 'GetObject'
    case 'HEAD':
      return 'HeadObject'
    case 'DELETE':
      return isPart ? 'AbortMultipartUpload' : 'DeleteObject'
    case 'POST':
      if (query.has('uploads')) return 'CreateMultipartUpload'
      return isPart ? 'CompleteMultipartUpload' : 'unknown'
    default:
      return 'unknown'
  }
}

/** A whole number from the query. */
export function numberFrom(request: S3Request, name: string, fallback: number, max: number): number {
  const given = request.query.get(name)
  if (given === undefined || given === '') return fallback
  const value = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN
  if (!(value <= max)) throw invalidArgument(`${name} must be a number from 0 to ${max}`)
  return value
}
