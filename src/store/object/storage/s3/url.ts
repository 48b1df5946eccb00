/**
 * One line that says where a bucket is: `s3://key:secret@host:port/bucket/prefix?region=us-east-1&tls=true`.
 *
 * Key, secret and what follows are percent-encoded. Without keys, those of the environment are meant. Without `tls`, it is TLS
 * when there is no port or it is 443, and not otherwise.
 */
import { InvalidS3OptionsError, S3_FIELDS } from './options.ts'

/** What such a line says; see {@link S3Options}. */
export interface S3UrlParts {
  readonly endpoint: string
  readonly bucket: string
  readonly accessKey?: string
  readonly secretKey?: string
  readonly prefix?: string
  readonly region?: string
}

const FORM = 's3://key:secret@host:port/bucket[/prefix][?region=...&tls=true]'

/** @throws InvalidS3OptionsError, which does not show the line, because there is a secret in it */
export function parseS3Url(text: string): S3UrlParts {
  const match = /^s3:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(text)
  if (match === null) throw wrong('it has another form')
  const [, authority, path = '', query = ''] = match as unknown as [string, string, string?, string?]

  const split = authority.lastIndexOf('@')
  const keys = split < 0 ? undefined : authority.slice(0, split)
  const host = authority.slice(split + 1)
  const { accessKey, secretKey } = parseKeys(keys)
  const { region, tls } = parseQuery(query)

  // An address without a port may have colons only between brackets.
  const port = /:(\d+)$/.exec(host)?.[1]
  const isTls = tls ?? (port === undefined || port === '443')
  const endpoint = `${isTls ? 'https' : 'http'}://${host}`
  if (!/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host) || !URL.canParse(endpoint)) {
    const hint = text.includes('@') ? ' (in a secret, write / as %2F and @ as %40)' : ''
    throw wrong(`the host or the port is wrong${hint}`)
  }

  const [bucket = '', ...folders] = path.split('/').map(part => decode(part, 'path'))
  const prefix = folders.join('/')
  check('bucket', S3_FIELDS.bucket.safeParse(bucket))
  check('prefix', S3_FIELDS.prefix.safeParse(prefix))
  return {
    endpoint: new URL(endpoint).origin,
    bucket,
    ...(accessKey === undefined ? {} : { accessKey }),
    ...(secretKey === undefined ? {} : { secretKey }),
    ...(prefix === '' ? {} : { prefix: S3_FIELDS.prefix.parse(prefix) }),
    ...(region === undefined ? {} : { region })
  }
}

/** The line for what it says. There is the secret in it: it is not for showing. */
export function formatS3Url(parts: S3UrlParts): string {
  const { protocol, host } = new URL(parts.endpoint)
  const hasKeys = parts.accessKey !== undefined && parts.secretKey !== undefined
  const keys = hasKeys
    ? `${encodeURIComponent(parts.accessKey!)}:${encodeURIComponent(parts.secretKey!)}@`
    : ''
  const query = new URLSearchParams()
  if (parts.region !== undefined) query.set('region', parts.region)
  query.set('tls', String(protocol === 'https:'))
  const path = [parts.bucket, ...(parts.prefix ?? '').split('/')].map(encodeURIComponent).join('/')
  return `s3://${keys}${host}/${path.replace(/\/+$/, '')}?${query}`
}

function parseKeys(keys: string | undefined): { accessKey?: string; secretKey?: string } {
  if (keys === undefined) return {}
  const split = keys.indexOf(':')
  if (split < 0) throw wrong('there is an access key without a secret')
  const accessKey = decode(keys.slice(0, split), 'access key')
  const secretKey = decode(keys.slice(split + 1), 'secret')
  check('access key', S3_FIELDS.accessKey.safeParse(accessKey))
  check('secret', S3_FIELDS.secretKey.safeParse(secretKey))
  return { accessKey, secretKey }
}

function parseQuery(query: string): { region?: string; tls?: boolean } {
  const found: { region?: string; tls?: boolean } = {}
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'region') {
      check('region', S3_FIELDS.region.safeParse(value))
      found.region = value
    } else if (name === 'tls') {
      if (value !== 'true' && value !== 'false') throw wrong('tls must be true or false')
      found.tls = value === 'true'
    } else {
      throw wrong('after "?" there may be region and tls, and nothing else')
    }
  }
  return found
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong(`the ${what} has a "%" that begins no percent-encoding; write it as %25`)
  }
}

interface Checked {
  readonly success: boolean
  readonly error?: { readonly issues: readonly { readonly message: string }[] } | undefined
}

function check(what: string, result: Checked): void {
  if (!result.success) throw wrong(`the ${what} ${result.error?.issues[0]?.message ?? 'is wrong'}`)
}

function wrong(reason: string): InvalidS3OptionsError {
  return new InvalidS3OptionsError(`this is no URL of a bucket: ${reason}; it looks like ${FORM}`)
}
