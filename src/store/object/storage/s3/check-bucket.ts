/** One cheap request at the start, which finds out nearly everything that can be wrong with an address and its keys. */
import { StorageAccessError } from '../errors.ts'
import type { RunOptions, S3Client } from './client.ts'
import { S3Failure } from './failure.ts'
import { listQuery, parsePage } from './list.ts'

/** @throws StorageAccessError, StorageUnavailableError */
export async function checkBucket(client: S3Client, mayCreate: boolean, options: RunOptions): Promise<void> {
  try {
    await look(client, options)
  } catch (error) {
    if (!mayCreate || !isMissing(error)) throw error
    await create(client, options)
    await look(client, options)
  }
}

/** A list, because unlike to HEAD the answer says what is wrong; and because listing is what the store cannot do without. */
async function look(client: S3Client, options: RunOptions): Promise<void> {
  await client.run('cannot use', options, async signal => {
    const { text } = await client.ask({ method: 'GET', query: listQuery(client.prefix, '', 1) }, signal)
    parsePage(text, client.prefix, '')
  })
}

async function create(client: S3Client, options: RunOptions): Promise<void> {
  await client.run('cannot make', options, async signal => {
    try {
      await client.call(signal, minio => minio.makeBucket(client.bucket, client.region))
    } catch (failure) {
      // Another node may just have made it.
      if (!(failure instanceof S3Failure) || failure.code !== 'BucketAlreadyOwnedByYou') throw failure
    }
  })
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof StorageAccessError)) return false
  return error.cause instanceof S3Failure && error.cause.code === 'NoSuchBucket'
}
