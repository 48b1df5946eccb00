/** Turns what went wrong with a request into what a storage throws: one line that says what to do. */
import { StoreError, StoreFullError } from '../../../errors.ts'
import { ObjectNotFoundError, StorageAccessError, StorageError, StorageUnavailableError } from '../errors.ts'
import { S3Failure } from './failure.ts'

export interface Attempted {
  /** As in `cannot read a/b from`. */
  readonly what: string
  /** The storage's name. */
  readonly name: string
  readonly bucket: string
  /** That was assumed. */
  readonly region: string
  /** Whose absence "not found" means. */
  readonly key?: string | undefined
}

const FULL = new Set([
  'QuotaExceeded',
  'StorageFull',
  'InsufficientStorage',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded'
])

const WRONG_REGION = new Set([
  'AuthorizationHeaderMalformed',
  'AuthorizationQueryParametersError',
  'IllegalLocationConstraintException',
  'PermanentRedirect',
  'TemporaryRedirect',
  'MovedPermanently'
])

/** What to do about refusals that have a code of their own. */
const REFUSALS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'there is no such bucket; make it or correct its name',
  InvalidBucketName: 'this cannot be the name of a bucket; correct it',
  InvalidAccessKeyId: 'the server does not know the access key; correct it',
  SignatureDoesNotMatch: 'the secret key is wrong; correct it',
  InvalidToken: 'the session token is wrong; correct it, or leave it out if the keys are no temporary ones',
  ExpiredToken: 'the session token has expired; get new temporary keys',
  TokenRefreshRequired: 'the session token has expired; get new temporary keys',
  RequestTimeTooSkewed: "this computer's clock and the server's differ too much; set the wrong one",
  RequestExpired: "this computer's clock and the server's differ too much; set the wrong one",
  AccessDenied: 'access is denied; check the keys and what they are allowed to do',
  AccountProblem: "there is a problem with the server's account; ask whoever runs it",
  AllAccessDisabled: 'all access to it has been disabled; ask whoever runs it',
  UserSuspended: "the keys' user is suspended; ask whoever runs the server",
  InvalidObjectState: 'the object is archived and cannot be read; restore it'
}

/** What to do about errors of the operating system. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing answers at this address; start the server or correct the endpoint',
  ENOTFOUND: 'there is no host of this name; correct the endpoint',
  EAI_AGAIN: "the host's name cannot be looked up now; check the network",
  EHOSTUNREACH: 'the host cannot be reached; check the network',
  ENETUNREACH: 'the network cannot be reached; check it',
  ETIMEDOUT: 'it does not answer'
}

/** @returns a StorageError, one of its kinds or a StoreFullError; errors that are none of a request's as they are */
export function explain(error: unknown, attempted: Attempted): unknown {
  if (!(error instanceof S3Failure)) return error instanceof StoreError ? error : wrapped(error, attempted)
  const { code, status, kind } = error
  const place = `${attempted.what} ${attempted.name}`
  const options = { cause: error }
  const said = `the server says ${error.message}`

  if (attempted.key !== undefined && (code === 'NoSuchKey' || code === 'NotFound')) {
    return new ObjectNotFoundError(attempted.key, attempted.name, options)
  }
  if (FULL.has(code) || status === 507) {
    return new StoreFullError(`${place}: there is no room left; make room and try again (${said})`, options)
  }
  if (kind === 'tls') {
    const hint =
      code === 'EPROTO'
        ? 'it does not speak TLS; is its URL one with http://?'
        : 'its certificate is not trusted; if it is your own, name its authority in NODE_EXTRA_CA_CERTS'
    return new StorageAccessError(`${place}: ${hint} (${error.message})`, options)
  }
  if (
    WRONG_REGION.has(code) &&
    (error.region !== undefined || /region/i.test(error.message) || status === 301)
  ) {
    return new StorageAccessError(`${place}: ${wrongRegion(error, attempted)}`, options)
  }
  const refusal = REFUSALS[code]
  if (refusal !== undefined) return new StorageAccessError(`${place}: ${refusal} (${said})`, options)
  if (kind === 'foreign') {
    return new StorageAccessError(
      `${place}: what answers there is no S3 server; correct the endpoint (${error.message})`,
      options
    )
  }
  if (status === 401 || status === 403) {
    return new StorageAccessError(`${place}: access is denied; check the keys (${said})`, options)
  }
  if (error.isPassing) {
    const reason =
      UNREACHABLE[code] ?? (kind === 'answer' ? 'the server is in trouble' : 'the connection breaks')
    const detail = kind === 'answer' ? said : error.message
    return new StorageUnavailableError(`${place}: ${reason} (${detail})`, options)
  }
  return new StorageError(`${place}: ${said}`, options)
}

function wrongRegion({ region }: S3Failure, attempted: Attempted): string {
  if (region === undefined)
    return `the bucket is in another region than ${attempted.region}; set the right one`
  if (region === attempted.region) {
    return `the server has it at another address; set the endpoint of region ${region}`
  }
  return `the bucket is in region ${region}, not ${attempted.region}; set region to ${region}`
}

function wrapped(error: unknown, { what, name }: Attempted): StorageError {
  const reason = error instanceof Error ? error.message : String(error)
  return new StorageError(`${what} ${name}: ${reason}`)
}
