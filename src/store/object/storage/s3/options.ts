/** How an S3 storage is opened. */
import { z } from 'zod'
import { StorageError } from '../errors.ts'
import {
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_REQUEST_TIMEOUT_MS,
  DEFAULT_RETRY_MS,
  MAX_QUOTE_CHARS
} from './constants.ts'

/** An option is missing or wrong. The message names it and never shows its value, which may be a secret. */
export class InvalidS3OptionsError extends StorageError {
  override readonly name = 'InvalidS3OptionsError'
  override readonly code = 'ERR_INVALID_S3_OPTIONS'
}

const endpoint = z
  .string()
  .superRefine((text, context) => {
    const reason = whyNoEndpoint(text)
    if (reason !== undefined) context.addIssue({ code: 'custom', message: reason })
  })
  .describe("The server's URL, such as http://localhost:9000; https:// for TLS.")

const bucket = z
  .string()
  .regex(
    /^(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    'must be a bucket name: 3 to 63 of a-z, 0-9, "." and "-", beginning and ending with a letter or digit'
  )
  .describe('The bucket. It has to exist.')

const region = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, 'must be a region such as us-east-1')
  .describe("The bucket's region.")

const prefix = z
  .string()
  .max(512)
  .regex(
    /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/(?!$)|\/$|$))*$/,
    'must be words of letters, digits, "_", "-" and "." with "/" between them'
  )
  .transform(text => (text === '' || text.endsWith('/') ? text : `${text}/`))
  .describe('What all keys begin with, so that several stores can share a bucket; "/" is added to its end.')

const key = (what: string) =>
  z
    .string()
    .regex(/^[\x21-\x7e]{1,4096}$/, 'must be printable ASCII without spaces, and not empty')
    .describe(what)

const ms = (byDefault: number, what: string) =>
  z
    .int()
    .positive()
    .max(24 * 3600 * 1000)
    .default(byDefault)
    .describe(what)

/** The options one by one, for schemas that spell their names in another way. */
export const S3_FIELDS = {
  endpoint,
  bucket,
  region: region.default('us-east-1'),
  prefix: prefix.default(''),
  accessKey: key('The access key; without it, that of the environment.').optional(),
  secretKey: key('The secret that belongs to the access key.').optional(),
  sessionToken: key('The token that temporary keys come with.').optional(),
  pathStyle: z
    .boolean()
    .optional()
    .describe(
      'Whether the bucket stands in the path of URLs (the default, except at amazonaws.com) or in the host.'
    ),
  createBucket: z.boolean().default(false).describe('Whether to make the bucket when there is none.'),
  requestTimeoutMs: ms(
    DEFAULT_REQUEST_TIMEOUT_MS,
    'How long to wait for a server that neither takes nor sends a byte, in ms.'
  ),
  connectTimeoutMs: ms(DEFAULT_CONNECT_TIMEOUT_MS, 'How long to wait for a connection, in ms.'),
  retryForMs: ms(
    DEFAULT_RETRY_MS,
    'How long a request that failed is tried again, in ms. Longer survives longer outages, shorter fails sooner.'
  )
} as const

export const s3OptionsSchema = z
  .strictObject(S3_FIELDS)
  .refine(options => (options.accessKey === undefined) === (options.secretKey === undefined), {
    error: 'accessKey and secretKey belong together: give both, or neither to take them from the environment'
  })
  .refine(options => options.sessionToken === undefined || options.accessKey !== undefined, {
    error: 'sessionToken belongs to accessKey and secretKey: give all three'
  })

/** What has to be told: `endpoint` and `bucket`; and the keys, when the environment has none. */
export type S3Options = z.input<typeof s3OptionsSchema>

export interface Credentials {
  readonly accessKey: string
  readonly secretKey: string
  readonly sessionToken?: string | undefined
}

/** All options, with the defaults filled in. */
export type S3Settings = Omit<
  z.output<typeof s3OptionsSchema>,
  'accessKey' | 'secretKey' | 'sessionToken'
> & {
  readonly credentials: Credentials
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Where credentials may stand in the environment, in the order in which they are looked for. */
const VARIABLES = [
  ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'],
  ['MINIO_ACCESS_KEY', 'MINIO_SECRET_KEY', undefined],
  ['MINIO_ROOT_USER', 'MINIO_ROOT_PASSWORD', undefined]
] as const

/** @throws InvalidS3OptionsError naming everything that is wrong */
export function parseS3Options(options: unknown, env: Environment): S3Settings {
  const result = s3OptionsSchema.safeParse(options)
  if (!result.success) {
    // The messages of the schema are ours, or name types and keys: none has a value in it.
    const problems = result.error.issues.map(issue =>
      issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`
    )
    throw new InvalidS3OptionsError(
      `the S3 options are wrong: ${problems.join('; ').slice(0, 5 * MAX_QUOTE_CHARS)}`
    )
  }
  const { accessKey, secretKey, sessionToken, ...rest } = result.data
  if (accessKey !== undefined && secretKey !== undefined) {
    return { ...rest, credentials: { accessKey, secretKey, sessionToken } }
  }
  return { ...rest, credentials: credentialsOf(env) }
}

function credentialsOf(env: Environment): Credentials {
  for (const [accessName, secretName, tokenName] of VARIABLES) {
    const accessKey = env[accessName] || undefined
    const secretKey = env[secretName] || undefined
    const sessionToken = (tokenName !== undefined && env[tokenName]) || undefined
    if (accessKey === undefined && secretKey === undefined) continue
    const missing = accessKey === undefined ? accessName : secretKey === undefined ? secretName : undefined
    if (missing !== undefined) {
      const present = missing === accessName ? secretName : accessName
      throw new InvalidS3OptionsError(`the environment has ${present}, but no ${missing}; set both`)
    }
    const checked = z.strictObject(CREDENTIALS).safeParse({ accessKey, secretKey, sessionToken })
    if (!checked.success) {
      throw new InvalidS3OptionsError(
        `${accessName}, ${secretName}${tokenName === undefined ? '' : ` and ${tokenName}`} ` +
          'must be printable ASCII without spaces'
      )
    }
    return { accessKey: accessKey!, secretKey: secretKey!, sessionToken }
  }
  throw new InvalidS3OptionsError(
    'there are no keys for S3: give an access key and a secret key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
  )
}

const CREDENTIALS = {
  accessKey: S3_FIELDS.accessKey,
  secretKey: S3_FIELDS.secretKey,
  sessionToken: S3_FIELDS.sessionToken
}

function whyNoEndpoint(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return 'must be a URL that begins with http:// or https://'
  }
  if (url.username !== '' || url.password !== '') {
    return 'must have no user and password in it; the keys are options of their own'
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    return 'must be only the scheme, the host and the port; the bucket is an option of its own'
  }
  return undefined
}
