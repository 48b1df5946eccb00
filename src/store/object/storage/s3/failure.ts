/** What can go wrong with one request. Outside of this backend it is seen only as the `cause` of a StorageError. */
import { MAX_QUOTE_CHARS } from './constants.ts'
import { hasElement, textOf } from './xml.ts'

/**
 * `answer`: the server says that it cannot or will not. `network`: there was no answer, or not all of it. `timeout`: the server
 * was silent for too long. `tls`: the server could not prove who it is. `foreign`: what answers is no S3 server.
 */
export type FailureKind = 'answer' | 'network' | 'timeout' | 'tls' | 'foreign'

export interface FailureDetails {
  /** S3's own code (`NoSuchKey`) or the operating system's (`ECONNREFUSED`). */
  readonly code: string
  /** Of the answer. */
  readonly status?: number | undefined
  /** What the server says the bucket's region is. */
  readonly region?: string | undefined
  /** Whether the socket had been idle, and the server may just have closed it: trying again at once is all that is needed. */
  readonly isStale?: boolean | undefined
}

export class S3Failure extends Error {
  override readonly name = 'S3Failure'
  readonly kind: FailureKind
  readonly code: string
  readonly status: number | undefined
  readonly region: string | undefined
  readonly isStale: boolean

  constructor(kind: FailureKind, message: string, details: FailureDetails) {
    super(message)
    this.kind = kind
    this.code = details.code
    this.status = details.status
    this.region = details.region
    this.isStale = details.isStale ?? false
  }

  /** Whether another try may succeed. */
  get isPassing(): boolean {
    if (this.kind === 'network' || this.kind === 'timeout') return true
    if (this.status === undefined || PASSING_CODES.has(this.code)) return this.kind === 'answer'
    return this.status >= 500 ? this.status !== 501 && this.status !== 507 : PASSING_STATUSES.has(this.status)
  }
}

const PASSING_STATUSES = new Set([408, 425, 429])
const PASSING_CODES = new Set([
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests'
])

/** What headers of an answer are looked at for. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** Codes of answers that have no body, such as those to HEAD. */
const CODES_OF_STATUSES: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  307: 'TemporaryRedirect',
  403: 'AccessDenied',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  412: 'PreconditionFailed',
  416: 'InvalidRange',
  429: 'TooManyRequests',
  500: 'InternalError',
  501: 'NotImplemented',
  503: 'ServiceUnavailable',
  507: 'InsufficientStorage'
}

/**
 * The failure that an answer speaks of.
 *
 * @param body the beginning of it, as text
 */
export function failureOfAnswer(status: number, headers: AnswerHeaders, body: string): S3Failure {
  const region = tidy(textOf(body, 'Region') ?? single(headers['x-amz-bucket-region']) ?? '') || undefined
  if (hasElement(body, 'Error') && textOf(body, 'Code') !== undefined) {
    const code = tidy(textOf(body, 'Code') ?? '')
    const message = tidy(textOf(body, 'Message') ?? '')
    return new S3Failure('answer', quoted(status, code, message), { code, status, region })
  }
  const header = single(headers['x-minio-error-code'])
  const code = (header && tidy(header)) || CODES_OF_STATUSES[status] || `HTTP${status}`
  const isForeign = body.trim() !== '' && status < 500 && status !== 408 && status !== 429
  return new S3Failure(isForeign ? 'foreign' : 'answer', quoted(status, code, ''), { code, status, region })
}

/** The failure inside an answer that began as a success, which S3 does when its work takes long. */
export function failureInside(status: number, body: string): S3Failure | undefined {
  if (!hasElement(body, 'Error')) return undefined
  const code = tidy(textOf(body, 'Code') ?? '') || 'InternalError'
  const message = tidy(textOf(body, 'Message') ?? '')
  // Its status is that of the success, which says nothing: whether it may pass is told by the code alone.
  return new S3Failure('answer', quoted(status, code, message), { code, status })
}

/** The answer is none that S3 gives. */
export function foreignAnswer(what: string): S3Failure {
  return new S3Failure('foreign', what, { code: 'UnexpectedAnswer' })
}

export function timeoutFailure(what: string): S3Failure {
  return new S3Failure('timeout', what, { code: 'ETIMEDOUT' })
}

/** The answer ended early. */
export function cutFailure(what: string): S3Failure {
  return new S3Failure('network', what, { code: 'ECONNRESET' })
}

const TLS_CODES =
  /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO$)/

/** The failure that an error of Node's network is. */
export function failureOfNetwork(error: unknown, isReusedSocket = false): S3Failure {
  if (error instanceof S3Failure) return error
  const code = codeOf(error)
  const text = tidy(error instanceof Error ? error.message : String(error)) || code
  if (code.startsWith('HPE_')) return new S3Failure('foreign', 'what answers there speaks no HTTP', { code })
  if (TLS_CODES.test(code)) return new S3Failure('tls', text, { code })
  const isReset = code === 'ECONNRESET' || code === 'EPIPE'
  return new S3Failure('network', text, { code, isStale: isReusedSocket && isReset })
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return 'UNKNOWN'
  return typeof error.code === 'string' ? error.code : 'UNKNOWN'
}

function quoted(status: number, code: string, message: string): string {
  return message === '' ? `${code} (${status})` : `${code} (${status}): ${message}`
}

function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}

/** Somebody else's words, as they may go into a message: on one line, without control characters, not long. */
export function tidy(text: string): string {
  const cut = text.slice(0, 4 * MAX_QUOTE_CHARS)
  const line = cut.replace(/[\p{C}\s]+/gu, ' ').trim()
  return line.length > MAX_QUOTE_CHARS ? `${line.slice(0, MAX_QUOTE_CHARS)}…` : line
}
