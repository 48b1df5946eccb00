/** The test server is held to what a real one answers, and its faults to what they promise. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import type { Client } from 'minio'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { minioClient, parseS3Url, s3UnderTest } from './s3.ts'
import { testS3Contract } from './s3-contract.ts'
import { type Asked, ask, askUrl } from './s3-server/asking.ts'
import { type FaultKind, internalError, type Place, S3TestServer, slowDown } from './s3-server/index.ts'
import { contents, document, text } from './s3-server/xml.ts'

testS3Contract('the test server', () => s3UnderTest({}))
if (process.env.BLOBS_TEST_S3_URL) testS3Contract('the real server', s3UnderTest)

describe('S3TestServer', () => {
  let server: S3TestServer
  let client: Client

  beforeAll(async () => {
    server = await S3TestServer.start()
    client = minioClient({ ...server, endpoint: server.url })
  })
  afterAll(async () => {
    await server?.stop()
  })
  beforeEach(() => {
    server.faults.clear()
    server.requests.clear()
    server.objects.clear()
  })

  const url = (method: string, key: string, query: Record<string, string> = {}) =>
    client.presignedUrl(method, server.bucket, key, 60, query)
  const put = async (key: string, body: string) =>
    await askUrl(await url('PUT', key), { method: 'PUT', body })
  const get = async (key: string, headers: Record<string, string> = {}) =>
    await askUrl(await url('GET', key), { headers })
  const call = (method: string, key: string, rest: Partial<Asked> = {}, payload = '') =>
    ask(client, { method, bucketName: server.bucket, objectName: key, ...rest }, payload)

  describe('faults', () => {
    it.each([
      ['503 SlowDown', slowDown, 503, 'SlowDown'],
      ['500 InternalError', internalError, 500, 'InternalError'],
      [
        'an error that says 200',
        { kind: 'error-in-200', code: 'InternalError' } as const,
        200,
        'InternalError'
      ]
    ])('%s: nothing is done, once', async (_, kind, status, code) => {
      const fault = server.faults.add({ method: 'PUT' }, kind)
      expect(await put('key', 'x')).toMatchObject({ status, code })
      expect(server.objects.keys()).toEqual([])
      expect((await put('key', 'x')).status).toBe(200)
      expect(fault.hits).toBe(1)
    })

    it('happen to the requests that match, and to no other', async () => {
      server.faults.add({ operation: ['GetObject', 'HeadObject'], key: /^a/ }, slowDown, { times: Infinity })
      server.faults.add({ query: { partNumber: '2', uploadId: true } }, slowDown, { times: Infinity })
      for (const key of ['a', 'b']) server.objects.set(key, Buffer.from(key))
      expect((await get('a')).status).toBe(503)
      expect((await askUrl(await url('HEAD', 'a'), { method: 'HEAD' })).status).toBe(503)
      expect((await get('b')).status).toBe(200)
      expect((await put('a', 'x')).status).toBe(200)
      const uploadId = await client.initiateNewMultipartUpload(server.bucket, 'a', {})
      const part = async (partNumber: string) =>
        await askUrl(await url('PUT', 'a', { uploadId, partNumber }), { method: 'PUT', body: 'x' })
      expect((await part('1')).status).toBe(200)
      expect((await part('2')).status).toBe(503)
    })

    it('begin after so many requests, and happen so many times', async () => {
      server.objects.set('key', Buffer.from('x'))
      server.faults.add({ method: 'GET' }, slowDown, { after: 1, times: 2 })
      const statuses = []
      for (let i = 0; i < 5; i++) statuses.push((await get('key')).status)
      expect(statuses).toEqual([200, 503, 503, 200, 200])
    })

    it('happen with a probability, and the same again for the same seed', async () => {
      server.objects.set('key', Buffer.from('x'))
      const series = async (seed: number) => {
        const fault = server.faults.add({ method: 'GET' }, slowDown, {
          times: Infinity,
          probability: 0.5,
          seed
        })
        const statuses = []
        for (let i = 0; i < 40; i++) statuses.push((await get('key')).status)
        fault.remove()
        return statuses
      }
      const first = await series(7)
      expect(await series(7)).toEqual(first)
      expect(await series(8)).not.toEqual(first)
      expect(new Set(first)).toEqual(new Set([200, 503]))
    })

    it.each<readonly [Place, boolean]>([
      ['request', false],
      ['answer', true]
    ])('reset at the %s: done is %s', async (at, done) => {
      server.faults.add(
        { method: 'PUT' },
        { kind: 'reset', at, ...(at === 'request' ? { afterBytes: 1 } : {}) }
      )
      await expect(put('key', 'x'.repeat(100_000))).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } })
      expect(server.objects.keys()).toEqual(done ? ['key'] : [])
      expect((await put('key', 'x')).status).toBe(200)
    })

    it('reset in the body, stalled in the body, truncated: it begins well and does not end', async () => {
      const bytes = randomBytes(300_000)
      const kinds: FaultKind[] = [
        { kind: 'reset', at: 'body', afterBytes: 1000 },
        { kind: 'stall', at: 'body', afterBytes: 1000 },
        { kind: 'truncate', afterBytes: 1000 }
      ]
      for (const kind of kinds) {
        server.objects.set('key', bytes)
        server.faults.add({ method: 'GET' }, kind)
        const leaving = new AbortController()
        const response = await fetch(await url('GET', 'key'), { signal: leaving.signal })
        expect(response.headers.get('content-length'), kind.kind).toBe('300000')
        const pieces: Uint8Array[] = []
        const whole = async () => {
          for await (const piece of response.body!) {
            pieces.push(piece)
            if (kind.kind === 'stall' && Buffer.concat(pieces).length === 1000) leaving.abort()
          }
        }
        await expect(whole(), kind.kind).rejects.toThrow(kind.kind === 'stall' ? /abort/ : /terminated/)
        const received = Buffer.concat(pieces)
        expect(received.length, kind.kind).toBeLessThanOrEqual(1000)
        expect(received.equals(bytes.subarray(0, received.length)), kind.kind).toBe(true)
        expect((await get('key')).body.equals(bytes), kind.kind).toBe(true)
      }
    })

    it('stalled before the answer: it is done, and nothing comes', async () => {
      server.faults.add({ method: 'PUT' }, { kind: 'stall', at: 'answer' })
      const leaving = new AbortController()
      const target = await url('PUT', 'key')
      const answer = fetch(target, { method: 'PUT', body: 'x', signal: leaving.signal })
      const refused = expect(answer).rejects.toThrow(/abort/)
      await expect.poll(() => server.requests.all[0]?.status).toBe(200)
      leaving.abort()
      await refused
      expect(server.objects.keys()).toEqual(['key'])
    })

    it('a length that lies: the answer looks whole and is short', async () => {
      server.objects.set('key', Buffer.from('0123456789'))
      server.faults.add({ method: 'GET' }, { kind: 'truncate', afterBytes: 3, lie: true })
      const short = await get('key', { range: 'bytes=0-9' })
      expect(short).toMatchObject({
        status: 206,
        headers: { 'content-length': '3', 'content-range': 'bytes 0-9/10' }
      })
      expect(short.body.toString()).toBe('012')
    })

    it('a wrong bit: the answer is wrong, the object is not', async () => {
      server.objects.set('key', Buffer.from('0123456789'))
      server.faults.add({ method: 'GET' }, { kind: 'corrupt', at: 2 })
      expect((await get('key', { range: 'bytes=5-9' })).body.toString()).toBe('56689')
      expect((await get('key', { range: 'bytes=5-9' })).body.toString()).toBe('56789')
    })

    it('a range that is ignored: the whole object comes', async () => {
      server.objects.set('key', Buffer.from('0123456789'))
      server.faults.add({ method: 'GET' }, { kind: 'ignore-range' })
      const whole = await get('key', { range: 'bytes=5-9' })
      expect(whole.status).toBe(200)
      expect(whole.body.toString()).toBe('0123456789')
    })

    it('a lost object: the answer is good, and nothing is there', async () => {
      server.faults.add({ method: 'PUT' }, { kind: 'lose' })
      expect((await put('key', 'x')).status).toBe(200)
      expect((await get('key')).status).toBe(404)
    })

    it('an empty ETag: the upload is complete all the same', async () => {
      server.faults.add({ operation: 'CompleteMultipartUpload' }, { kind: 'empty-etag' })
      const id = await client.initiateNewMultipartUpload(server.bucket, 'key', {})
      const query = `partNumber=1&uploadId=${encodeURIComponent(id)}`
      const { headers } = await call('PUT', 'key', { query }, 'content')
      const done = await client.completeMultipartUpload(server.bucket, 'key', id, [
        { part: 1, etag: headers.etag! }
      ])
      expect(done.etag).toBe('')
      expect(server.objects.get('key')?.toString()).toBe('content')
    })

    it('something else listens there', async () => {
      server.faults.add({}, { kind: 'html', status: 200 })
      expect(await get('key')).toMatchObject({ status: 200, headers: { 'content-type': 'text/html' } })
    })

    it('late: it is done as it should be', async () => {
      const fault = server.faults.add({ method: 'PUT' }, { kind: 'delay', ms: 20 })
      expect((await put('key', 'x')).status).toBe(200)
      expect(fault.hits).toBe(1)
    })
  })

  it('tells what it was asked', async () => {
    await put('a/b', 'twelve bytes')
    await get('a/b', { range: 'bytes=2-5' })
    await call('HEAD', 'none')
    expect(server.requests.all).toMatchObject([
      { operation: 'PutObject', method: 'PUT', bucket: server.bucket, key: 'a/b', bytesIn: 12, status: 200 },
      { operation: 'GetObject', key: 'a/b', range: 'bytes=2-5', bytesIn: 0, bytesOut: 4, status: 206 },
      { operation: 'HeadObject', key: 'none', status: 404 }
    ])
    expect(server.requests.of('GetObject', /^a/)).toHaveLength(1)
    expect(server.requests.of('GetObject', /^b/)).toHaveLength(0)
  })

  it('lets a test at its objects', async () => {
    server.objects.set('b', Buffer.from('abc'))
    server.objects.set('a', Buffer.from('x'))
    expect(server.objects.keys()).toEqual(['a', 'b'])
    server.objects.flip('b', 1)
    expect((await get('b')).body.toString()).toBe('acc')
    expect(server.objects.delete('b')).toBe(true)
    expect((await get('b')).status).toBe(404)
  })

  it('can be stopped, and goes on where it was with what it held', async () => {
    await put('key', 'kept')
    const before = server.url
    await server.stop()
    await expect(get('key')).rejects.toThrow('fetch failed')
    await server.restart()
    expect(server.url).toBe(before)
    expect((await get('key')).body.toString()).toBe('kept')
  })

  it('cuts what is under way when it stops', async () => {
    server.faults.add({ method: 'GET' }, { kind: 'stall', at: 'answer' })
    server.objects.set('key', Buffer.from('x'))
    const cut = expect(get('key')).rejects.toThrow('fetch failed')
    await expect.poll(() => server.requests.all).toHaveLength(1)
    await server.restart()
    await cut
    expect((await get('key')).body.toString()).toBe('x')
  })

  it('says which region it has to who names another one', async () => {
    const elsewhere = minioClient({ ...server, endpoint: server.url, region: 'eu-west-1' })
    const answer = await ask(elsewhere, { method: 'GET', bucketName: server.bucket, objectName: 'x' })
    expect(answer).toMatchObject({ status: 400, code: 'AuthorizationHeaderMalformed' })
    expect(text(answer.body.toString(), 'Region')).toBe('us-east-1')
  })

  it('says NotImplemented to calls that it does not have', async () => {
    expect(await call('GET', '', { query: 'versioning' })).toMatchObject({
      status: 501,
      code: 'NotImplemented'
    })
    expect(await call('GET', 'key', { query: 'tagging' })).toMatchObject({
      status: 501,
      code: 'NotImplemented'
    })
  })
})

describe('XML', () => {
  it('reads what it wrote, whatever the text', () => {
    const anyText = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(fc.array(anyText), texts => {
        const xml = document('Root', { One: texts.map(each => ({ Two: each })) })
        expect(contents(xml, 'One').map(one => text(one, 'Two'))).toEqual(texts)
      })
    )
  })
})

describe('BLOBS_TEST_S3_URL', () => {
  it('names a server, a user, and perhaps a bucket and a region', () => {
    expect(parseS3Url('s3://key:se%2Fcret@host:9000')).toEqual({
      endpoint: 'http://host:9000',
      accessKey: 'key',
      secretKey: 'se/cret',
      region: 'us-east-1',
      bucket: ''
    })
    expect(parseS3Url('s3://key:secret@host/bucket/?region=eu-west-1&tls=true')).toMatchObject({
      endpoint: 'https://host',
      region: 'eu-west-1',
      bucket: 'bucket'
    })
  })

  it('is not repeated when it is wrong', () => {
    for (const wrong of [
      '',
      'http://key:hunter2@host/',
      's3://key@host/b',
      's3://host/b',
      's3://k:hunter2@h/a/b'
    ]) {
      expect(() => parseS3Url(wrong)).toThrow('BLOBS_TEST_S3_URL must be like')
      expect(() => parseS3Url(wrong)).not.toThrow('hunter2')
    }
  })
})
