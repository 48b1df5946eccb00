/** AWS Signature Version 4, checked as the specification has it: in a header or in the query (a presigned URL). */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { S3Error } from './errors.ts'
import { decode, type S3Request } from './request.ts'

export interface Identity {
  readonly accessKey: string
  readonly secretKey: string
  readonly region: string
}

const ALGORITHM = 'AWS4-HMAC-SHA256'
/** A clock may be wrong by this many milliseconds. */
const MAX_SKEW_MS = 15 * 60 * 1000

interface Signature {
  readonly credential: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  /** As in `20260102T030405Z`. */
  readonly date: string
  /** Seconds, of a presigned URL. */
  readonly expires?: number
  readonly payloadHash: string
}

/** @throws S3Error when the request is not signed by somebody who has the secret */
export function checkSignature(request: S3Request, identity: Identity): void {
  const given = request.query.has('X-Amz-Signature') ? fromQuery(request) : fromHeader(request)
  const [accessKey, day, region, service, end] = given.credential.split('/')
  if (service !== 's3' || end !== 'aws4_request' || day !== given.date.slice(0, 8))
    throw malformed('Credential')
  if (accessKey !== identity.accessKey) {
    throw new S3Error(
      'InvalidAccessKeyId',
      403,
      'The access key id you provided does not exist in our records'
    )
  }
  checkTime(given)
  if (region !== identity.region) {
    const message = `The authorization header is malformed; the region '${region}' is wrong; expecting '${identity.region}'`
    throw new S3Error('AuthorizationHeaderMalformed', 400, message, { Region: identity.region })
  }
  const wanted = Buffer.from(sign(request, given, identity), 'hex')
  const signature = Buffer.from(given.signature, 'hex')
  if (signature.length !== wanted.length || !timingSafeEqual(signature, wanted)) {
    const message = 'The request signature we calculated does not match the signature you provided'
    throw new S3Error('SignatureDoesNotMatch', 403, message)
  }
}

function fromHeader(request: S3Request): Signature {
  const header = request.headers.authorization
  if (header === undefined) throw new S3Error('AccessDenied', 403, 'Access Denied')
  const match =
    /^AWS4-HMAC-SHA256 +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]+)$/.exec(header)
  if (match === null) throw malformed('Authorization')
  const payloadHash = request.headers['x-amz-content-sha256']
  if (typeof payloadHash !== 'string') throw malformed('x-amz-content-sha256')
  return {
    credential: match[1]!,
    signedHeaders: match[2]!.split(';'),
    signature: match[3]!,
    date: String(request.headers['x-amz-date'] ?? ''),
    payloadHash
  }
}

function fromQuery(request: S3Request): Signature {
  const parameter = (name: string) => request.query.get(name) ?? ''
  if (parameter('X-Amz-Algorithm') !== ALGORITHM) throw malformed('X-Amz-Algorithm')
  const expires = Number(parameter('X-Amz-Expires'))
  if (!(expires > 0 && expires <= 604_800)) throw malformed('X-Amz-Expires')
  const header = request.headers['x-amz-content-sha256']
  return {
    credential: parameter('X-Amz-Credential'),
    signedHeaders: parameter('X-Amz-SignedHeaders').split(';'),
    signature: parameter('X-Amz-Signature'),
    date: parameter('X-Amz-Date'),
    expires,
    payloadHash: typeof header === 'string' ? header : 'UNSIGNED-PAYLOAD'
  }
}

function checkTime({ date, expires }: Signature): void {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date)
  if (match === null) throw malformed('X-Amz-Date')
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number)
  const signedAt = Date.UTC(year!, month! - 1, day!, hour!, minute!, second!)
  const age = Date.now() - signedAt
  if (age < -MAX_SKEW_MS || (expires === undefined && age > MAX_SKEW_MS)) {
    const message = "The difference between the request time and the server's time is too large"
    throw new S3Error('RequestTimeTooSkewed', 403, message)
  }
  if (expires !== undefined && age > expires * 1000)
    throw new S3Error('AccessDenied', 403, 'Request has expired')
}

function sign(request: S3Request, given: Signature, { secretKey, region }: Identity): string {
  const scope = `${given.date.slice(0, 8)}/${region}/s3/aws4_request`
  const text = [ALGORITHM, given.date, scope, sha256(canonicalRequest(request, given))].join('\n')
  const day = hmac(`AWS4${secretKey}`, given.date.slice(0, 8))
  const key = hmac(hmac(hmac(day, region), 's3'), 'aws4_request')
  return hmac(key, text).toString('hex')
}

function canonicalRequest(request: S3Request, { signedHeaders, payloadHash }: Signature): string {
  if (!signedHeaders.includes('host')) throw malformed('SignedHeaders')
  const path = request.path
    .split('/')
    .map(part => encode(decode(part)))
    .join('/')
  const query = [...request.query]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&')
  const headers = signedHeaders.map(name => {
    const value = request.headers[name]
    if (value === undefined) throw malformed(`SignedHeaders: there is no ${name}`)
    return `${name}:${String(value).trim().replace(/ +/g, ' ')}\n`
  })
  return [request.method, path, query, headers.join(''), signedHeaders.join(';'), payloadHash].join('\n')
}

/** As `encodeURIComponent`, and the four characters that it leaves alone. */
export function encode(text: string): string {
  const code = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  return encodeURIComponent(text).replace(/[!'()*]/g, code)
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function malformed(what: string): S3Error {
  return new S3Error('AuthorizationHeaderMalformed', 400, `The authorization is malformed: ${what}`)
}
