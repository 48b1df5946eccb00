/** The section `blob_store`: three kinds of stores, each with keys of its own. */
import { z } from 'zod'
import { S3_FIELDS } from '../store/object/storage/s3/options.ts'
import { nearest } from './nearest.ts'
import { SPELLINGS, type Spelling } from './spelling.ts'
import { STORE_TYPES, type StoreType } from './store-types.ts'

/** Largest blob that the object stores take unless they are told otherwise, in bytes: S3 has no larger objects. */
export const DEFAULT_MAX_BLOB_SIZE: number = 5 * 1024 ** 4

/** What no section, and a section without a type, mean. */
const DEFAULT_TYPE = 'legacy'

const path = z
  .string()
  .min(1)
  .default('blobs')
  .describe('The folder of the store; relative to the home folder.')

const sync = z
  .enum(['full', 'none'])
  .default('full')
  .describe('"full": what was added survives a power failure. "none": many small blobs are added faster.')

const dbPath = z
  .string()
  .min(1)
  .default('blobs.db')
  .describe(
    'The database that tells what is held; relative to the home folder. "blobs recover" makes it anew.'
  )

const maxBlobSize = z
  .int()
  .positive('must be 1 or more')
  .default(DEFAULT_MAX_BLOB_SIZE)
  .describe('Largest blob that is taken, in bytes, whatever a peer claims.')

const maxSize = z
  .int()
  .positive('must be 1 or more')
  .optional()
  .describe(
    'Most bytes of data to hold: what goes beyond is refused before it is written. Without it there is no limit.'
  )

const legacy = z.strictObject({
  type: z
    .literal('legacy')
    .optional()
    .default(DEFAULT_TYPE)
    .describe('"legacy": one file per blob, with its outboard beside it.'),
  path,
  sync,
  maxSize
})

const filesystem = z.strictObject({
  type: z
    .literal('filesystem')
    .describe('"filesystem": objects as in a bucket, in a folder, and a database.'),
  path,
  dbPath,
  sync,
  maxBlobSize,
  maxSize
})

const s3 = z
  .strictObject({
    type: z
      .literal('s3')
      .describe('"s3": objects in a bucket, and a database that can be made anew from it.'),
    endpoint: S3_FIELDS.endpoint.describe(
      'The server: https://s3.example.org, or http:// without encryption.'
    ),
    accessKey: S3_FIELDS.accessKey.describe(
      'Without keys here those of the environment are used: AWS_… or MINIO_….'
    ),
    secretKey: S3_FIELDS.secretKey.describe('The secret that belongs to it.'),
    sessionToken: S3_FIELDS.sessionToken.describe('Goes with keys that are lent for some time.'),
    bucket: S3_FIELDS.bucket.describe('The bucket. It has to be there.'),
    region: S3_FIELDS.region.describe('The region of the bucket.'),
    prefix: S3_FIELDS.prefix.describe(
      'What all keys begin with, so that several can share a bucket: "node-a/".'
    ),
    pathStyle: S3_FIELDS.pathStyle.describe(
      'Whether the bucket is named in the path of URLs; without this, except at amazonaws.com.'
    ),
    dbPath,
    readThrough: z
      .boolean()
      .default(false)
      .describe(
        'Whether to look into the bucket for what the database does not know: for nodes that share one.'
      ),
    maxBlobSize,
    maxSize
  })
  .superRefine(({ accessKey, secretKey, sessionToken }, context) => {
    const lacks = (key: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [key], message })
    }
    if (accessKey !== undefined && secretKey === undefined) {
      lacks('secretKey', 'is missing; set both keys, or neither and let them come from the environment')
    }
    if (accessKey === undefined && (secretKey ?? sessionToken) !== undefined) {
      lacks('accessKey', 'is missing; set both keys, or neither and let them come from the environment')
    }
  })

/** Keys and their meaning, by the type of the store. */
export const STORE_SHAPES = {
  legacy: legacy.shape,
  filesystem: filesystem.shape,
  s3: s3.shape
} as const satisfies Record<StoreType, object>

export const storeSchema = z
  .discriminatedUnion('type', [legacy, filesystem, s3], {
    error: ({ code, input }) => (code === 'invalid_union' ? noSuchType(input) : undefined)
  })
  .describe('Where blobs are kept.')

/** Which store, with the defaults filled in. */
export type StoreConfig = z.output<typeof storeSchema>

export type StoreInput = z.input<typeof storeSchema>

export type S3Config = Extract<StoreConfig, { type: 's3' }>

/** The type that a section, not checked any further, has; undefined when it is none that there is. */
export function storeTypeOf(section: unknown): StoreType | undefined {
  const type = typeOf(section) ?? DEFAULT_TYPE
  return STORE_TYPES.find(known => known === type)
}

/**
 * What to say of a key that only stores of another type have.
 *
 * @param key as it is spelt in the source
 * @returns undefined when none has it
 */
export function keyOfOtherStore(key: string, type: StoreType, spelling: Spelling): string | undefined {
  const owners = STORE_TYPES.filter(
    other =>
      other !== type && Object.keys(STORE_SHAPES[other]).some(name => SPELLINGS[spelling](name) === key)
  )
  if (owners.length === 0) return undefined
  const quoted = owners.map(owner => `"${owner}"`).join(' or ')
  const ours = type === DEFAULT_TYPE ? `"${type}", which is also what no type means` : `"${type}"`
  return `key "${key}" belongs to type = ${quoted}; the section's type is ${ours}`
}

function typeOf(section: unknown): unknown {
  return typeof section === 'object' && section !== null && 'type' in section ? section.type : undefined
}

function noSuchType(section: unknown): string {
  const known = STORE_TYPES.map(type => `"${type}"`).join(', ')
  const type = typeOf(section)
  if (typeof type !== 'string') return `expected one of ${known}`
  const near = nearest(type, STORE_TYPES)
  return `there is no type "${type}"; ${near === undefined ? `there are ${known}` : `did you mean "${near}"?`}`
}
