/**
 * Objects in a bucket of an S3 server, on the `minio` client.
 *
 * ```ts
 * const storage = await S3Storage.open({ endpoint: 'http://localhost:9000', bucket: 'blobs', accessKey, secretKey })
 * ```
 */
export {
  type Credentials,
  type Environment,
  InvalidS3OptionsError,
  S3_FIELDS,
  type S3Options,
  s3OptionsSchema
} from './options.ts'
export { type S3OpenOptions, S3Storage } from './storage.ts'
export { formatS3Url, parseS3Url, type S3UrlParts } from './url.ts'
