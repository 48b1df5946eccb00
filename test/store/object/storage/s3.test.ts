import { afterAll, beforeAll } from 'vitest'
import { S3Storage } from '../../../../src/store/object/storage/s3/index.ts'
import { type S3UnderTest, s3UnderTest } from '../../../helpers/s3.ts'
import { testStorage } from './suite.ts'

let s3: S3UnderTest

beforeAll(async () => {
  s3 = await s3UnderTest()
})

afterAll(async () => {
  await s3?.stop()
})

/** The prefix of each storage, which opens it again. */
const prefixes = new WeakMap<S3Storage, string>()

async function open(prefix: string): Promise<S3Storage> {
  const { endpoint, accessKey, secretKey, region, bucket } = s3
  const storage = await S3Storage.open({ endpoint, accessKey, secretKey, region, bucket, prefix })
  prefixes.set(storage, prefix)
  return storage
}

testStorage({
  name: 'S3Storage',
  setup: async () => await open(s3.newPrefix()),
  teardown: async storage => await storage.close(),
  reopen: async storage => await open(prefixes.get(storage)!),
  timeoutMs: 300_000
})
