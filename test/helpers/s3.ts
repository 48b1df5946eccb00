/** The S3 server that tests run against: a real one when `BLOBS_TEST_S3_URL` names it, else the test server of ours. */
import { randomBytes } from 'node:crypto'
import { Client } from 'minio'
import { S3TestServer } from './s3-server/index.ts'

/** Names a real server: `s3://key:secret@host:port/bucket`. */
export const S3_URL_VARIABLE = 'BLOBS_TEST_S3_URL'

export interface S3UnderTest {
  /** Where it is, without secrets. */
  readonly name: string
  /** As in `http://127.0.0.1:9000`. */
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly region: string
  /** Empty in the beginning, or shared with others: tests keep below prefixes of their own. */
  readonly bucket: string
  readonly isReal: boolean
  /** Where faults are programmed and requests counted; not there when the server is real. */
  readonly server?: S3TestServer
  /** A prefix that nobody else uses, with a slash at its end. */
  newPrefix(): string
  /** Removes what the tests have left, and ends the server if it is ours. */
  stop(): Promise<void>
}

/** Of a URL like `s3://key:secret@host:port/bucket?region=us-east-1&tls=true`. */
export interface S3Address {
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly region: string
  /** Empty when the URL names none. */
  readonly bucket: string
}

export async function s3UnderTest(env: NodeJS.ProcessEnv = process.env): Promise<S3UnderTest> {
  const url = env[S3_URL_VARIABLE]
  const s3 = url === undefined || url === '' ? await ours() : await real(parseS3Url(url))
  process.stdout.write(`S3 tests use ${s3.name}\n`)
  return s3
}

export function parseS3Url(text: string): S3Address {
  // What is wrong is not repeated: there is a secret in it.
  const wrong = 'BLOBS_TEST_S3_URL must be like s3://key:secret@host:port/bucket?region=us-east-1'
  const url = URL.parse(text)
  if (url?.protocol !== 's3:' || url.host === '' || url.username === '' || url.password === '')
    throw new Error(wrong)
  const bucket = url.pathname.replace(/^\/|\/$/g, '')
  if (bucket.includes('/')) throw new Error(wrong)
  return {
    endpoint: `${url.searchParams.get('tls') === 'true' ? 'https' : 'http'}://${url.host}`,
    accessKey: decodeURIComponent(url.username),
    secretKey: decodeURIComponent(url.password),
    region: url.searchParams.get('region') ?? 'us-east-1',
    bucket
  }
}

/** A client of the kind that real users have. */
export function minioClient(s3: Omit<S3Address, 'bucket'>): Client {
  const { hostname, port, protocol } = new URL(s3.endpoint)
  const useSSL = protocol === 'https:'
  return new Client({
    endPoint: hostname,
    port: port === '' ? (useSSL ? 443 : 80) : Number(port),
    useSSL,
    accessKey: s3.accessKey,
    secretKey: s3.secretKey,
    region: s3.region,
    pathStyle: true
  })
}

async function ours(): Promise<S3UnderTest> {
  const server = await S3TestServer.start()
  const { url: endpoint, accessKey, secretKey, region, bucket } = server
  return {
    name: 'the test server',
    ...{ endpoint, accessKey, secretKey, region, bucket, server },
    isReal: false,
    newPrefix,
    stop: () => server.stop()
  }
}

/** In a bucket of the tests' own, unless the URL names one: then all is below one random prefix. */
async function real(address: S3Address): Promise<S3UnderTest> {
  const client = minioClient(address)
  const random = randomBytes(6).toString('hex')
  const isOwn = address.bucket === ''
  const bucket = isOwn ? `blobs-test-${random}` : address.bucket
  const root = isOwn ? '' : `blobs-test-${random}/`
  if (isOwn) await client.makeBucket(bucket, address.region)
  return {
    ...address,
    name: `bucket ${bucket} at ${address.endpoint}`,
    bucket,
    isReal: true,
    newPrefix: () => root + newPrefix(),
    stop: async () => {
      await removeAll(client, bucket, root)
      if (isOwn) await client.removeBucket(bucket)
    }
  }
}

async function removeAll(client: Client, bucket: string, prefix: string): Promise<void> {
  for await (const { key } of client.listIncompleteUploads(bucket, prefix, true)) {
    await client.removeIncompleteUpload(bucket, key)
  }
  let keys: string[] = []
  for await (const { name } of client.listObjectsV2(bucket, prefix, true)) {
    keys.push(name)
    if (keys.length < 1000) continue
    await client.removeObjects(bucket, keys)
    keys = []
  }
  if (keys.length > 0) await client.removeObjects(bucket, keys)
}

function newPrefix(): string {
  return `${randomBytes(6).toString('hex')}/`
}
