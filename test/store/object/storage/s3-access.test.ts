/** What is wrong with an address and its keys is told at the start, in one line, and without the secret. */
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Environment, type S3Options, S3Storage } from '../../../../src/store/object/storage/s3/index.ts'
import { type S3UnderTest, s3UnderTest } from '../../../helpers/s3.ts'
import { S3TestServer } from '../../../helpers/s3-server/index.ts'
import { bytes } from './suite/support.ts'

let s3: S3UnderTest
/** Of faults: a real server has none. */
let server: S3TestServer

beforeAll(async () => {
  s3 = await s3UnderTest()
  server = s3.server ?? (await S3TestServer.start())
})

afterAll(async () => {
  await server?.stop()
  await s3?.stop()
})

const WRONG_SECRET = 'this/is+not=TheSecret'

function options(changes: Partial<S3Options> = {}): S3Options {
  const { endpoint, accessKey, secretKey, region, bucket } = s3
  return { endpoint, accessKey, secretKey, region, bucket, ...changes }
}

/** The failure of opening, of which no word may be a secret, however closely it is looked at. */
async function failure(given: S3Options, env: Environment = {}): Promise<Error> {
  const error: unknown = await S3Storage.open(given, { env }).then(
    storage => storage.close().then(() => undefined),
    error => error
  )
  if (!(error instanceof Error)) throw new Error('it could be opened')
  const shown = [inspect(error, { depth: 20, showHidden: true }), JSON.stringify(error), String(error.stack)]
  for (const secret of [s3.secretKey, WRONG_SECRET, given.sessionToken].filter(text => text !== undefined)) {
    for (const text of shown) expect(text).not.toContain(secret)
  }
  for (const text of shown) expect(text).not.toMatch(/X-Amz-Signature|Signature=[0-9a-f]{64}/)
  expect(error.message).not.toContain('\n')
  return error
}

async function listening(listener: RequestListener): Promise<{ endpoint: string; close(): void }> {
  const http = createServer(listener)
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    close: () => {
      http.closeAllConnections()
      http.close()
    }
  }
}

const ACCESS = { name: 'StorageAccessError', code: 'ERR_STORAGE_ACCESS' }

describe('at the start', () => {
  it('a wrong secret is found', async () => {
    expect(await failure(options({ secretKey: WRONG_SECRET }))).toMatchObject({
      ...ACCESS,
      message: expect.stringMatching(/^cannot use bucket .* at http.*: the secret key is wrong; correct it/)
    })
  })

  it('an unknown access key is found', async () => {
    expect(await failure(options({ accessKey: 'NOBODYHASTHISKEY00' }))).toMatchObject({
      ...ACCESS,
      message: expect.stringContaining('the server does not know the access key')
    })
  })

  it('a missing bucket is found', async () => {
    expect(await failure(options({ bucket: 'blobs-test-nobody-made-this' }))).toMatchObject({
      ...ACCESS,
      message: expect.stringContaining('there is no such bucket; make it or correct its name')
    })
  })

  it('a missing bucket is made when that is asked for', async () => {
    const bucket = `blobs-test-${Math.random().toString(36).slice(2)}`
    const { url: endpoint, accessKey, secretKey } = server
    for (let time = 0; time < 2; time++) {
      const storage = await S3Storage.open({ endpoint, accessKey, secretKey, bucket, createBucket: true })
      await storage.put('a', [bytes(10)])
      await storage.close()
    }
  })

  it('a wrong region is found, and the right one named', async () => {
    const { url: endpoint, accessKey, secretKey, bucket } = server
    const given = { endpoint, accessKey, secretKey, bucket, region: 'eu-west-7' }
    expect(await failure(given)).toMatchObject({
      ...ACCESS,
      message: expect.stringContaining(
        `the bucket is in region ${server.region}, not eu-west-7; set region to`
      )
    })
  })

  it('an address where nothing answers is found', async () => {
    const free = await listening(() => undefined)
    free.close()
    expect(await failure(options({ endpoint: free.endpoint, retryForMs: 200 }))).toMatchObject({
      name: 'StorageUnavailableError',
      message: expect.stringContaining(
        'nothing answers at this address; start the server or correct the endpoint'
      )
    })
  })

  it('a host that nobody has is found', async () => {
    expect(await failure(options({ endpoint: 'http://nobody.invalid:9000', retryForMs: 200 }))).toMatchObject(
      {
        name: 'StorageUnavailableError',
        message: expect.stringContaining('host')
      }
    )
  })

  it('a server of something else is found', async () => {
    for (const status of [200, 404, 403, 302]) {
      const web = await listening((_, response) => {
        response.writeHead(status, { 'content-type': 'text/html' })
        response.end('<!doctype html><html><body>Welcome to \x1b[31mred\x1b[0m nginx</body></html>')
      })
      const error = await failure(options({ endpoint: web.endpoint, retryForMs: 200 }))
      web.close()
      expect(error).toMatchObject(ACCESS)
      expect(error.message).not.toContain('\x1b')
    }
  })

  it('a server that speaks no HTTP is found', async () => {
    const tcp = createTcpServer(socket => {
      socket.on('error', () => undefined)
      socket.end('220 mail.example ESMTP\r\n')
    })
    await new Promise<void>(resolve => tcp.listen(0, '127.0.0.1', resolve))
    const endpoint = `http://127.0.0.1:${(tcp.address() as AddressInfo).port}`
    expect(await failure(options({ endpoint, retryForMs: 200 }))).toMatchObject({
      ...ACCESS,
      message: expect.stringContaining('no S3 server')
    })
    tcp.close()
  })

  it('a server without TLS is found when TLS is asked for', async () => {
    const endpoint = server.url.replace('http:', 'https:')
    expect(await failure(options({ endpoint, retryForMs: 200 }))).toMatchObject({
      ...ACCESS,
      message: expect.stringContaining('it does not speak TLS; is its URL one with http://?')
    })
  })

  it('a clock that is wrong is found', async () => {
    const kind = { kind: 'error', status: 403, code: 'RequestTimeTooSkewed' } as const
    const fault = server.faults.add({ operation: 'ListObjectsV2' }, kind)
    const { url: endpoint, accessKey, secretKey, bucket } = server
    expect(await failure({ endpoint, accessKey, secretKey, bucket })).toMatchObject({
      ...ACCESS,
      message: expect.stringContaining("this computer's clock and the server's differ too much")
    })
    fault.remove()
  })

  it('a server that repeats the secret does not get it into a message', async () => {
    const parrot = await listening((_, response) => {
      response.writeHead(403)
      response.end(
        `<Error><Code>Parrot</Code><Message>I know ${WRONG_SECRET} and token-token</Message></Error>`
      )
    })
    const given = options({
      endpoint: parrot.endpoint,
      secretKey: WRONG_SECRET,
      sessionToken: 'token-token'
    })
    const error = await failure(given)
    parrot.close()
    expect(error.message).toContain('I know *** and ***')
  })

  it('a signal ends it', async () => {
    const silent = await listening(() => undefined)
    const reason = new Error('no longer wanted')
    const stop = new AbortController()
    setTimeout(() => stop.abort(reason), 50)
    const opening = S3Storage.open(options({ endpoint: silent.endpoint }), { signal: stop.signal })
    await expect(opening).rejects.toBe(reason)
    silent.close()
  })
})

describe('the keys', () => {
  const given = () => {
    const { endpoint, region, bucket } = options()
    return { endpoint, region, bucket } as S3Options
  }

  it('may stand in the environment', async () => {
    const { accessKey, secretKey } = s3
    for (const env of [
      { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey },
      { MINIO_ACCESS_KEY: accessKey, MINIO_SECRET_KEY: secretKey },
      { MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey, AWS_ACCESS_KEY_ID: '' },
      {
        AWS_ACCESS_KEY_ID: accessKey,
        AWS_SECRET_ACCESS_KEY: secretKey,
        MINIO_ACCESS_KEY: 'other',
        MINIO_SECRET_KEY: 'other'
      }
    ]) {
      await (await S3Storage.open(given(), { env: env as Environment })).close()
    }
  })

  it('in the options come first', async () => {
    const env = {
      AWS_ACCESS_KEY_ID: 'other',
      AWS_SECRET_ACCESS_KEY: WRONG_SECRET,
      AWS_SESSION_TOKEN: 'other'
    }
    await (await S3Storage.open(options(), { env })).close()
  })

  it('are missed by name', async () => {
    expect(await failure(given())).toMatchObject({
      code: 'ERR_INVALID_S3_OPTIONS',
      message: expect.stringContaining('set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY')
    })
    expect(await failure(given(), { AWS_SECRET_ACCESS_KEY: WRONG_SECRET })).toMatchObject({
      message: expect.stringContaining('no AWS_ACCESS_KEY_ID')
    })
    expect(await failure(given(), { MINIO_ACCESS_KEY: 'some' })).toMatchObject({
      message: expect.stringContaining('no MINIO_SECRET_KEY')
    })
    const spaced = { AWS_ACCESS_KEY_ID: 'some', AWS_SECRET_ACCESS_KEY: `${WRONG_SECRET} \n` }
    expect(await failure(given(), spaced)).toMatchObject({
      message: expect.stringContaining('must be printable ASCII')
    })
  })

  it('go with a session token', async () => {
    const { url: endpoint, accessKey, secretKey, bucket } = server
    const storage = await S3Storage.open({ endpoint, accessKey, secretKey, bucket, sessionToken: 'a-token' })
    await storage.put('a', [bytes(10)])
    expect(server.requests.all.at(-1)?.headers['x-amz-security-token']).toBe('a-token')
    await storage.close()
  })
})

describe('options', () => {
  const WRONG: Record<string, object> = {
    'endpoint: must be a URL': { endpoint: 'localhost:9000' },
    'endpoint: must have no user and password': {
      endpoint: `http://me:${WRONG_SECRET.replaceAll('/', '')}@host`
    },
    'endpoint: must be only the scheme': { endpoint: 'http://host/bucket' },
    'bucket: must be a bucket name': { bucket: 'No_Bucket' },
    'region: must be a region': { region: 'us east' },
    'prefix: must be words': { prefix: '/a' },
    'secretKey: must be printable': { secretKey: `${WRONG_SECRET}\n` },
    'accessKey and secretKey belong together': { secretKey: undefined },
    'retryForMs: ': { retryForMs: -1 },
    secretkey: { secretkey: WRONG_SECRET }
  }
  for (const [expected, change] of Object.entries(WRONG)) {
    it(`that are wrong are named: ${expected}`, async () => {
      expect(await failure({ ...options(), ...change } as S3Options)).toMatchObject({
        code: 'ERR_INVALID_S3_OPTIONS',
        message: expect.stringContaining(expected)
      })
    })
  }

  it('the prefix gets its slash', async () => {
    const prefix = s3.newPrefix()
    const one = await S3Storage.open(options({ prefix: prefix.slice(0, -1) }))
    const other = await S3Storage.open(options({ prefix }))
    await one.put('a/b', [bytes(10)])
    expect((await other.stat('a/b'))?.size).toBe(10)
    expect(other.name).toBe(`bucket ${s3.bucket} at ${s3.endpoint} below ${prefix}`)
    await other.delete(['a/b'])
    await one.close()
    await other.close()
  })
})

describe('an open storage', () => {
  it('shows no secret', async () => {
    const storage = await S3Storage.open(options())
    const shown = inspect(storage, { depth: 20, showHidden: true, getters: true }) + JSON.stringify(storage)
    expect(shown).not.toContain(s3.secretKey)
    expect(shown).not.toContain(s3.accessKey)
    await storage.close()
  })

  it('leaves no socket behind when it is closed', async () => {
    const { url: endpoint, accessKey, secretKey, bucket } = server
    let open = 0
    const proxy = createTcpServer(incoming => {
      open++
      const outgoing = connect(Number(new URL(endpoint).port), '127.0.0.1')
      incoming.pipe(outgoing).pipe(incoming)
      incoming.on('close', () => open--)
      for (const socket of [incoming, outgoing]) socket.on('error', () => undefined)
    })
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
    const proxied = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const storage = await S3Storage.open({ endpoint: proxied, accessKey, secretKey, bucket })
    await Promise.all(Array.from({ length: 10 }, (_, i) => storage.put(`s/${i}`, [bytes(10)])))
    expect(open).toBeGreaterThan(0)
    await storage.close()
    await expect.poll(() => open).toBe(0)
    proxy.close()
  })
})
