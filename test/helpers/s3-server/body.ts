/** Bodies of requests: taken into memory, and held against every checksum that came with them. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { invalidArgument, S3Error } from './errors.ts'
import type { S3Request } from './request.ts'

export interface Body {
  readonly bytes: Buffer
  /** MD5, in hex. */
  readonly md5: string
}

/** More than this in one PUT is refused, as S3 does. */
export const MAX_PUT_BYTES = 5 * 1024 ** 3

export async function readBody(incoming: IncomingMessage, request: S3Request): Promise<Body> {
  const length = announcedLength(request)
  const sha256 = wantedSha256(request)
  const hashers = { md5: createHash('md5'), sha256: createHash('sha256') }
  const pieces: Buffer[] = []
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    hashers.md5.update(piece)
    if (sha256 !== undefined) hashers.sha256.update(piece)
    pieces.push(piece)
  }
  const bytes = Buffer.concat(pieces)
  if (bytes.length < length)
    throw new S3Error('IncompleteBody', 400, 'The body is shorter than Content-Length says')
  if (sha256 !== undefined && hashers.sha256.digest('hex') !== sha256) {
    const message = "The provided 'x-amz-content-sha256' header does not match what was computed"
    throw new S3Error('XAmzContentSHA256Mismatch', 400, message)
  }
  const md5 = hashers.md5.digest()
  checkMd5(request, md5)
  return { bytes, md5: md5.toString('hex') }
}

function announcedLength(request: S3Request): number {
  const header = request.headers['content-length']
  if (header === undefined) {
    if (request.method === 'PUT' && request.headers['transfer-encoding'] !== undefined) {
      throw new S3Error('MissingContentLength', 411, 'You must provide the Content-Length HTTP header')
    }
    return 0
  }
  const length = Number(header)
  if (length > MAX_PUT_BYTES) throw new S3Error('EntityTooLarge', 400, 'Your proposed upload is too large')
  return length
}

function wantedSha256(request: S3Request): string | undefined {
  const header = request.headers['x-amz-content-sha256']
  if (header === undefined || header === 'UNSIGNED-PAYLOAD') return undefined
  if (typeof header === 'string' && /^[0-9a-f]{64}$/.test(header)) return header
  if (String(header).startsWith('STREAMING-')) {
    throw new S3Error('NotImplemented', 501, 'Payloads signed chunk by chunk are not implemented')
  }
  throw invalidArgument('x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a SHA-256')
}

function checkMd5(request: S3Request, md5: Buffer): void {
  const header = request.headers['content-md5']
  if (header === undefined) return
  const wanted = Buffer.from(String(header), 'base64')
  if (wanted.length !== 16)
    throw new S3Error('InvalidDigest', 400, 'The Content-MD5 you specified was invalid')
  if (!wanted.equals(md5)) {
    throw new S3Error('BadDigest', 400, 'The Content-MD5 you specified did not match what we received')
  }
}
