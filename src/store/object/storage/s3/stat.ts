/** What there is to know of an object. */
import type { ObjectInfo } from '../index.ts'
import type { S3Client } from './client.ts'
import { foreignAnswer, S3Failure } from './failure.ts'

/** Asks once. @throws S3Failure */
export async function statOnce(
  client: S3Client,
  key: string,
  signal: AbortSignal
): Promise<ObjectInfo | undefined> {
  try {
    const stat = await client.call(signal, minio => minio.statObject(client.bucket, client.fullKey(key)))
    if (!Number.isSafeInteger(stat.size)) throw foreignAnswer(`the answer does not tell the size of ${key}`)
    // Some proxies leave the date out; a time that is long ago would have objects swept that are not old.
    const modifiedAt = stat.lastModified.getTime()
    return { key, size: stat.size, modifiedAt: Number.isNaN(modifiedAt) ? Date.now() : modifiedAt }
  } catch (failure) {
    if (failure instanceof S3Failure && failure.status === 404) return undefined
    throw failure
  }
}
