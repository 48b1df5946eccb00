/** The bucket that the benchmarks may write to. */
import { parseS3Url } from '../../dist/store/object/storage/s3/url.js'

/** Names the bucket for the store `s3`: `s3://key:secret@host:port/bucket`. */
export const S3_URL_VARIABLE = 'BLOBS_BENCH_S3_URL'

export function s3Options(): ReturnType<typeof parseS3Url> {
  const url = process.env[S3_URL_VARIABLE]
  if (url === undefined) throw new Error(`${S3_URL_VARIABLE} must name a bucket`)
  return parseS3Url(url)
}
