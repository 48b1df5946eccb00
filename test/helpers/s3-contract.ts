/**
 * What the S3 storage relies on in a server, asked through the minio client. The test server and a real one both keep it: so
 * what is tested against the test server holds elsewhere.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Client } from 'minio'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { minioClient, type S3UnderTest } from './s3.ts'
import { type Asked, ask, askUrl, type RawAnswer } from './s3-server/asking.ts'
import { contents, text } from './s3-server/xml.ts'

const MIB = 1024 * 1024

export function testS3Contract(name: string, start: () => Promise<S3UnderTest>): void {
  describe(`S3 contract: ${name}`, () => {
    let s3: S3UnderTest
    let client: Client
    let prefix: string

    beforeAll(async () => {
      s3 = await start()
      client = minioClient(s3)
      prefix = s3.newPrefix()
    })
    afterAll(async () => {
      await s3?.stop()
    })

    const object = (
      method: string,
      key: string,
      rest: Omit<Asked, 'method'> = {},
      payload?: string | Buffer
    ) => ask(client, { method, bucketName: s3.bucket, objectName: prefix + key, ...rest }, payload)
    const put = (key: string, bytes: Buffer | string, headers: Record<string, string> = {}) =>
      object('PUT', key, { headers }, bytes)
    const list = (query: string) =>
      ask(client, { method: 'GET', bucketName: s3.bucket, query: `list-type=2&${query}` })
    const deleteMany = (body: string, headers: Record<string, string>) =>
      ask(client, { method: 'POST', bucketName: s3.bucket, query: 'delete', headers }, body)
    const as = (change: Partial<S3UnderTest>) => minioClient({ ...s3, ...change })

    describe('objects', () => {
      it('gives back what was put, with its ETag, type and metadata', async () => {
        const bytes = randomBytes(100_000)
        const headers = { 'Content-Type': 'application/x-test', 'X-Amz-Meta-Colour': 'green' }
        expect(await put('o/plain', bytes, headers)).toMatchObject({
          status: 200,
          headers: { etag: quoted(md5(bytes)) }
        })
        const got = await object('GET', 'o/plain')
        expect(got).toMatchObject({
          status: 200,
          headers: {
            etag: quoted(md5(bytes)),
            'content-length': '100000',
            'content-type': 'application/x-test',
            'x-amz-meta-colour': 'green',
            'accept-ranges': 'bytes'
          }
        })
        expect(got.body.equals(bytes)).toBe(true)
        const head = await object('HEAD', 'o/plain')
        expect(head).toMatchObject({
          status: 200,
          headers: { 'content-length': '100000', etag: quoted(md5(bytes)) }
        })
        expect(Math.abs(Date.parse(head.headers['last-modified']!) - Date.now())).toBeLessThan(120_000)
      })

      it('takes keys of any characters as they are', async () => {
        for (const key of [
          'a b+c',
          'ü/ß/日本',
          '(x)*!\'"',
          'a&b<c>d',
          'per%20cent',
          'dots/../x',
          'double//slash'
        ]) {
          expect((await put(`odd/${key}`, key)).status, key).toBe(200)
        }
        for (const key of ['a b+c', 'ü/ß/日本', '(x)*!\'"', 'a&b<c>d', 'per%20cent', 'double//slash']) {
          expect((await object('GET', `odd/${key}`)).body.toString(), key).toBe(key)
        }
      })

      it('replaces an object by another PUT', async () => {
        await put('o/again', 'first')
        await put('o/again', 'second one')
        expect((await object('GET', 'o/again')).body.toString()).toBe('second one')
      })

      it('keeps an empty object', async () => {
        expect((await put('o/empty', '')).status).toBe(200)
        const got = await object('GET', 'o/empty')
        expect(got).toMatchObject({ status: 200, headers: { 'content-length': '0' } })
        expect(got.body).toHaveLength(0)
      })

      it('says NoSuchKey of what is not there, and of a HEAD only the status', async () => {
        expect(await object('GET', 'o/none')).toMatchObject({ status: 404, code: 'NoSuchKey' })
        const head = await object('HEAD', 'o/none')
        expect(head.status).toBe(404)
        expect(head.body).toHaveLength(0)
      })

      it('deletes what is there, and does not mind what is not', async () => {
        await put('o/gone', 'x')
        expect((await object('DELETE', 'o/gone')).status).toBe(204)
        expect((await object('DELETE', 'o/gone')).status).toBe(204)
        expect((await object('GET', 'o/gone')).status).toBe(404)
      })

      it('refuses a key of more than 1024 bytes', async () => {
        expect(await put('k'.repeat(1100), 'x')).toMatchObject({ status: 400 })
      })
    })

    describe('ranges', () => {
      const bytes = randomBytes(1000)
      const ranged = (range: string) => object('GET', 'r/data', { headers: { Range: range } })
      beforeAll(async () => {
        await put('r/data', bytes)
        await put('r/empty', '')
      })

      it.each([
        ['bytes=0-0', 0, 1],
        ['bytes=10-19', 10, 20],
        ['bytes=990-', 990, 1000],
        ['bytes=990-5000', 990, 1000],
        ['bytes=-7', 993, 1000],
        ['bytes=0-999', 0, 1000]
      ])('%s', async (range, from, to) => {
        const got = await ranged(range)
        expect(got).toMatchObject({
          status: 206,
          headers: { 'content-range': `bytes ${from}-${to - 1}/1000`, 'content-length': `${to - from}` }
        })
        expect(got.body.equals(bytes.subarray(from, to))).toBe(true)
      })

      it('refuses one that begins behind the end', async () => {
        expect(await ranged('bytes=1000-1010')).toMatchObject({ status: 416, code: 'InvalidRange' })
        const empty = await object('GET', 'r/empty', { headers: { Range: 'bytes=0-0' } })
        expect(empty).toMatchObject({ status: 416, code: 'InvalidRange' })
      })
    })

    describe('conditions', () => {
      it('writes with If-None-Match: * only where there is nothing', async () => {
        expect((await put('c/once', 'a', { 'If-None-Match': '*' })).status).toBe(200)
        expect(await put('c/once', 'b', { 'If-None-Match': '*' })).toMatchObject({
          status: 412,
          code: 'PreconditionFailed'
        })
        expect((await object('GET', 'c/once')).body.toString()).toBe('a')
      })

      it('lets one of many racing writers win', async () => {
        const racing = Array.from({ length: 16 }, (_, i) =>
          put('c/race', `writer ${i}`, { 'If-None-Match': '*' })
        )
        const statuses = (await Promise.all(racing)).map(({ status }) => status)
        expect(statuses.filter(status => status === 200)).toHaveLength(1)
        expect(statuses.filter(status => status === 412 || status === 409)).toHaveLength(15)
      })

      it('reads with If-Match only what is known', async () => {
        await put('c/match', 'text')
        const get = (etag: string) => object('GET', 'c/match', { headers: { 'If-Match': etag } })
        expect((await get(md5('text'))).status).toBe(200)
        expect((await get(md5('other'))).status).toBe(412)
      })
    })

    describe('checksums', () => {
      it('refuses a body that is not what Content-MD5 says', async () => {
        const headers = { 'Content-MD5': createHash('md5').update('right').digest('base64') }
        expect(await put('s/md5', 'wrong', headers)).toMatchObject({ status: 400, code: 'BadDigest' })
        expect((await object('HEAD', 's/md5')).status).toBe(404)
        expect((await put('s/md5', 'right', headers)).status).toBe(200)
      })

      it('refuses a body that is not what x-amz-content-sha256 says', async () => {
        const url = await client.presignedPutObject(s3.bucket, `${prefix}s/sha`, 60)
        const sha256 = createHash('sha256').update('right').digest('hex')
        const answer = await askUrl(url, {
          method: 'PUT',
          body: 'wrong',
          headers: { 'x-amz-content-sha256': sha256 }
        })
        expect(answer.status).toBeGreaterThanOrEqual(400)
        expect((await object('HEAD', 's/sha')).status).toBe(404)
      })
    })

    describe('signatures', () => {
      it('takes presigned URLs, of GET and of PUT, with a range that was not signed', async () => {
        const putUrl = await client.presignedPutObject(s3.bucket, `${prefix}p/a b`, 60)
        expect((await askUrl(putUrl, { method: 'PUT', body: '0123456789' })).status).toBe(200)
        const getUrl = await client.presignedGetObject(s3.bucket, `${prefix}p/a b`, 60)
        expect((await askUrl(getUrl)).body.toString()).toBe('0123456789')
        const ranged = await askUrl(getUrl, { headers: { range: 'bytes=3-5' } })
        expect(ranged).toMatchObject({ status: 206, headers: { 'content-range': 'bytes 3-5/10' } })
        expect(ranged.body.toString()).toBe('345')
      })

      it('refuses a presigned URL for something else', async () => {
        const url = await client.presignedGetObject(s3.bucket, `${prefix}p/one`, 60)
        const forged = [url.replace('p/one', 'p/two'), url.replace('X-Amz-Expires=60', 'X-Amz-Expires=61')]
        for (const each of forged) {
          expect(await askUrl(each)).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' })
        }
        expect(await askUrl(url, { method: 'DELETE' })).toMatchObject({
          status: 403,
          code: 'SignatureDoesNotMatch'
        })
      })

      it('refuses a presigned URL that has expired', async () => {
        const earlier = new Date(Date.now() - 120_000)
        const url = await client.presignedUrl('GET', s3.bucket, `${prefix}p/late`, 60, {}, earlier)
        expect(await askUrl(url)).toMatchObject({ status: 403, code: 'AccessDenied' })
      })

      it('refuses what is not signed', async () => {
        const url = `${s3.endpoint}/${s3.bucket}/${prefix}o/plain`
        expect(await askUrl(url)).toMatchObject({ status: 403, code: 'AccessDenied' })
        expect(await askUrl(url, { method: 'PUT', body: 'x' })).toMatchObject({
          status: 403,
          code: 'AccessDenied'
        })
      })

      it('refuses an unknown key id, and a wrong secret', async () => {
        const asked = { bucketName: s3.bucket, objectName: `${prefix}x` }
        const stranger = as({ accessKey: 'NOSUCHACCESSKEY00001' })
        expect(await ask(stranger, { method: 'GET', ...asked })).toMatchObject({
          status: 403,
          code: 'InvalidAccessKeyId'
        })
        const liar = as({ secretKey: 'not the secret at all' })
        expect(await ask(liar, { method: 'GET', ...asked })).toMatchObject({
          status: 403,
          code: 'SignatureDoesNotMatch'
        })
        const head = await ask(liar, { method: 'HEAD', ...asked })
        expect(head.status).toBe(403)
        expect(head.body).toHaveLength(0)
      })

      it('refuses a clock that is an hour late', async () => {
        const date = new Date(Date.now() - 3600_000).toISOString().replace(/[-:]|\.\d+/g, '')
        const scope = `${s3.accessKey}/${date.slice(0, 8)}/${s3.region}/s3/aws4_request`
        const signed = 'SignedHeaders=host;x-amz-content-sha256;x-amz-date'
        const answer = await askUrl(`${s3.endpoint}/${s3.bucket}/x`, {
          headers: {
            authorization: `AWS4-HMAC-SHA256 Credential=${scope}, ${signed}, Signature=${'0'.repeat(64)}`,
            'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
            'x-amz-date': date
          }
        })
        expect(answer).toMatchObject({ status: 403, code: 'RequestTimeTooSkewed' })
      })
    })

    describe('buckets', () => {
      it('tells whether there is one', async () => {
        expect((await ask(client, { method: 'HEAD', bucketName: s3.bucket })).status).toBe(200)
        expect((await ask(client, { method: 'HEAD', bucketName: 'there-is-no-such-bucket' })).status).toBe(
          404
        )
        expect(await client.bucketExists('there-is-no-such-bucket')).toBe(false)
      })

      it('says NoSuchBucket to every call', async () => {
        const there = { bucketName: 'there-is-no-such-bucket' }
        const calls: Asked[] = [
          { method: 'GET', ...there, objectName: 'x' },
          { method: 'PUT', ...there, objectName: 'x' },
          { method: 'DELETE', ...there, objectName: 'x' },
          { method: 'GET', ...there, query: 'list-type=2' },
          { method: 'GET', ...there, query: 'uploads' },
          { method: 'POST', ...there, objectName: 'x', query: 'uploads' }
        ]
        for (const call of calls) {
          expect(await ask(client, call), call.method).toMatchObject({ status: 404, code: 'NoSuchBucket' })
        }
      })
    })

    describe('listing', () => {
      const keys = Array.from({ length: 1100 }, (_, i) => `many/${String(i).padStart(4, '0')}`)
      const odd = ['a b', 'a&b', 'a+b', 'a-b', 'a.b', 'a/b', 'a/c', 'z', 'é', '日', '\u{fffd}', '\u{10000}']
      beforeAll(async () => {
        const all = [...keys, ...odd.map(key => `sort/${key}`)]
        for (let i = 0; i < all.length; i += 50)
          await Promise.all(all.slice(i, i + 50).map(key => put(`l/${key}`, key)))
      })

      it('comes in pages of 1,000, in order', async () => {
        const root = `${prefix}l/`
        const first = await list(`prefix=${encodeURIComponent(`${root}many/`)}`)
        expect(contents(String(first.body), 'Key')).toEqual(keys.slice(0, 1000).map(key => root + key))
        expect(text(String(first.body), 'IsTruncated')).toBe('true')
        const token = encodeURIComponent(text(String(first.body), 'NextContinuationToken')!)
        const second = await list(`prefix=${encodeURIComponent(`${root}many/`)}&continuation-token=${token}`)
        expect(contents(String(second.body), 'Key')).toEqual(keys.slice(1000).map(key => root + key))
        expect(text(String(second.body), 'IsTruncated')).toBe('false')
        expect(text(String(second.body), 'NextContinuationToken')).toBeUndefined()
      })

      it('sorts by the bytes of the keys, and writes them so that any can be read', async () => {
        const found = []
        for await (const { name } of client.listObjectsV2(s3.bucket, `${prefix}l/sort/`, true))
          found.push(name)
        const sorted = [...odd].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        expect(found).toEqual(sorted.map(key => `${prefix}l/sort/${key}`))
      })

      it('begins after a key, which need not be there', async () => {
        const listedAfter = async (key: string) => {
          const start = encodeURIComponent(`${prefix}l/many/${key}`)
          const query = `prefix=${encodeURIComponent(`${prefix}l/many/`)}&start-after=${start}&max-keys=2`
          return contents(String((await list(query)).body), 'Key').map(found => found.slice(-4))
        }
        expect(await listedAfter('0499')).toEqual(['0500', '0501'])
        expect(await listedAfter('0499x')).toEqual(['0500', '0501'])
        expect(await listedAfter('1098')).toEqual(['1099'])
        expect(await listedAfter('2')).toEqual([])
      })

      it('tells sizes, times and ETags', async () => {
        const body = String((await list(`prefix=${encodeURIComponent(`${prefix}l/many/0007`)}`)).body)
        expect(text(body, 'Size')).toBe('9')
        expect(text(body, 'ETag')).toBe(quoted(md5('many/0007')))
        expect(Math.abs(Date.parse(text(body, 'LastModified')!) - Date.now())).toBeLessThan(120_000)
        expect(text(body, 'KeyCount')).toBe('1')
      })

      it('puts keys together up to a delimiter', async () => {
        const body = String((await list(`prefix=${encodeURIComponent(`${prefix}l/`)}&delimiter=%2F`)).body)
        const common = contents(body, 'CommonPrefixes').map(each => text(each, 'Prefix'))
        expect(common).toEqual([`${prefix}l/many/`, `${prefix}l/sort/`])
        expect(contents(body, 'Contents')).toEqual([])
      })
    })

    describe('deleting many', () => {
      const bodyOf = (keys: readonly string[], quiet: boolean) =>
        `<Delete><Quiet>${quiet}</Quiet>${keys.map(key => `<Object><Key>${prefix}${key}</Key></Object>`).join('')}</Delete>`
      const withMd5 = (body: string) => ({ 'Content-MD5': createHash('md5').update(body).digest('base64') })

      it('counts what is not there as deleted', async () => {
        await Promise.all(['d/1', 'd/2', 'd/3'].map(key => put(key, 'x')))
        const body = bodyOf(['d/1', 'd/3', 'd/none'], false)
        const answer = await deleteMany(body, withMd5(body))
        expect(answer.status).toBe(200)
        expect(contents(String(answer.body), 'Error')).toEqual([])
        expect(contents(String(answer.body), 'Deleted')).toHaveLength(3)
        expect((await object('HEAD', 'd/1')).status).toBe(404)
        expect((await object('HEAD', 'd/2')).status).toBe(200)
      })

      it('names only errors when it is to be quiet', async () => {
        const body = bodyOf(['d/2'], true)
        const answer = await deleteMany(body, withMd5(body))
        expect(answer.status).toBe(200)
        expect(contents(String(answer.body), 'Deleted')).toEqual([])
        expect((await object('HEAD', 'd/2')).status).toBe(404)
      })

      it('refuses a body that is not what Content-MD5 says', async () => {
        await put('d/4', 'x')
        const answer = await deleteMany(bodyOf(['d/4'], true), withMd5('something else'))
        // Ceph does not look at it.
        if (s3.isReal) return
        expect(answer).toMatchObject({ status: 400, code: 'BadDigest' })
        expect((await object('HEAD', 'd/4')).status).toBe(200)
      })
    })

    describe('uploads in parts', () => {
      const begin = async (key: string) =>
        text(String((await object('POST', key, { query: 'uploads' })).body), 'UploadId')!
      const part = async (key: string, id: string, number: number, bytes: Buffer | string) =>
        await object('PUT', key, { query: `partNumber=${number}&uploadId=${encodeURIComponent(id)}` }, bytes)
      const byId = (id: string) => ({ query: `uploadId=${encodeURIComponent(id)}` })
      const complete = (key: string, id: string, parts: readonly (readonly [number, string])[]) =>
        object('POST', key, byId(id), completeBody(parts))
      const big = randomBytes(5 * MIB)
      const other = randomBytes(5 * MIB)

      it('make one object, whatever order they came in', async () => {
        const id = await begin('u/object')
        const last = await part('u/object', id, 7, 'the end')
        const second = await part('u/object', id, 2, other)
        const first = await part('u/object', id, 1, big)
        expect(first).toMatchObject({ status: 200, headers: { etag: quoted(md5(big)) } })
        expect((await object('HEAD', 'u/object')).status).toBe(404)
        const parts = [etagOf(1, first), etagOf(2, second), etagOf(7, last)]
        expect((await complete('u/object', id, parts)).status).toBe(200)
        const got = await object('GET', 'u/object')
        expect(got.body.equals(Buffer.concat([big, other, Buffer.from('the end')]))).toBe(true)
        expect(got.headers.etag).toMatch(/^"[0-9a-f]{32}-3"$/)
      })

      it('replace a part by another of its number', async () => {
        const id = await begin('u/again')
        await part('u/again', id, 1, 'first')
        const second = await part('u/again', id, 1, 'second')
        await complete('u/again', id, [etagOf(1, second)])
        expect((await object('GET', 'u/again')).body.toString()).toBe('second')
      })

      it('refuse parts that are too small, that are not there, or out of order', async () => {
        const id = await begin('u/wrong')
        const small = etagOf(1, await part('u/wrong', id, 1, 'small'))
        const end = etagOf(2, await part('u/wrong', id, 2, 'end'))
        expect(await complete('u/wrong', id, [small, end])).toMatchObject({
          status: 400,
          code: 'EntityTooSmall'
        })
        expect(await complete('u/wrong', id, [[2, md5('other')]])).toMatchObject({
          status: 400,
          code: 'InvalidPart'
        })
        expect(await complete('u/wrong', id, [[3, md5('end')]])).toMatchObject({
          status: 400,
          code: 'InvalidPart'
        })
        expect((await complete('u/wrong', id, [end, small])).status).toBe(400)
        expect((await complete('u/wrong', id, [end])).status).toBe(400)
        expect((await complete('u/wrong', id, [])).status).toBe(400)
        expect((await object('HEAD', 'u/wrong')).status).toBe(404)
        expect((await object('DELETE', 'u/wrong', byId(id))).status).toBe(204)
      })

      it('refuse part numbers above 10,000', async () => {
        const id = await begin('u/number')
        const answer = await part('u/number', id, 10_001, 'x')
        // Ceph takes it.
        if (!s3.isReal)
          expect(answer).toMatchObject({
            status: 400,
            code: 'InvalidArgument'
          })
        await object('DELETE', 'u/number', byId(id))
      })

      it('are nothing once aborted', async () => {
        const id = await begin('u/aborted')
        const one = etagOf(1, await part('u/aborted', id, 1, 'x'))
        expect((await object('DELETE', 'u/aborted', byId(id))).status).toBe(204)
        expect(await part('u/aborted', id, 2, 'y')).toMatchObject({ status: 404, code: 'NoSuchUpload' })
        expect(await object('GET', 'u/aborted', byId(id))).toMatchObject({ status: 404 })
        expect(await object('DELETE', 'u/aborted', byId(id))).toMatchObject({
          status: 404,
          code: 'NoSuchUpload'
        })
        expect((await object('HEAD', 'u/aborted')).status).toBe(404)
        // Ceph answers 500 here, and the client would ask again.
        if (s3.isReal) return
        expect(await complete('u/aborted', id, [one])).toMatchObject({ status: 404, code: 'NoSuchUpload' })
      })

      it('are listed until they are complete, with their parts', async () => {
        const id = await begin('u/listed')
        const one = await part('u/listed', id, 1, big)
        const three = await part('u/listed', id, 3, 'three')
        const listed = String((await object('GET', 'u/listed', byId(id))).body)
        expect(contents(listed, 'PartNumber')).toEqual(['1', '3'])
        expect(contents(listed, 'Size')).toEqual([`${5 * MIB}`, '5'])
        expect(text(contents(listed, 'Part')[0]!, 'ETag')).toBe(quoted(md5(big)))
        const uploads = async () => {
          const query = `uploads&prefix=${encodeURIComponent(`${prefix}u/listed`)}`
          const body = String((await ask(client, { method: 'GET', bucketName: s3.bucket, query })).body)
          return contents(body, 'Upload').map(upload => [text(upload, 'Key'), text(upload, 'UploadId')])
        }
        expect(await uploads()).toEqual([[`${prefix}u/listed`, id]])
        await complete('u/listed', id, [etagOf(1, one), etagOf(3, three)])
        expect(await uploads()).toEqual([])
      })

      it('list uploads in pages', async () => {
        const ids = await Promise.all(['m/a', 'm/b', 'm/b', 'm/c', 'm/d'].map(begin))
        const found: (string | undefined)[] = []
        let markers = ''
        for (let pages = 0; pages < 5; pages++) {
          const query = `max-uploads=2&prefix=${encodeURIComponent(`${prefix}m/`)}${markers}&uploads`
          const body = String(
            (await ask(client, { method: 'GET', bucketName: s3.bucket, query: sortedQuery(query) })).body
          )
          found.push(...contents(body, 'UploadId').slice(0, 99))
          if (text(body, 'IsTruncated') !== 'true') break
          const key = encodeURIComponent(text(body, 'NextKeyMarker')!)
          markers = `&key-marker=${key}&upload-id-marker=${encodeURIComponent(text(body, 'NextUploadIdMarker')!)}`
        }
        expect([...found].sort()).toEqual([...ids].sort())
      })

      it('can be copied from other objects, also from ranges of them', async () => {
        await put('u/source', Buffer.concat([big, other]))
        await put('u/tail', 'and the tail')
        const id = await begin('u/composed')
        const copy = (number: number, source: string, range?: string) =>
          object('PUT', 'u/composed', {
            query: `partNumber=${number}&uploadId=${encodeURIComponent(id)}`,
            headers: {
              'x-amz-copy-source': encodeURI(`/${s3.bucket}/${prefix}${source}`),
              ...(range === undefined ? {} : { 'x-amz-copy-source-range': range })
            }
          })
        const answers = await Promise.all([
          copy(1, 'u/source', `bytes=1000-${5 * MIB + 1999}`),
          copy(2, 'u/source', `bytes=0-${5 * MIB - 1}`),
          copy(3, 'u/tail')
        ])
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
        const parts = answers.map((answer, i) => [i + 1, text(String(answer.body), 'ETag')!] as const)
        expect(await complete('u/composed', id, parts)).toMatchObject({ status: 200 })
        const wanted = Buffer.concat([
          big.subarray(1000),
          other.subarray(0, 2000),
          big,
          Buffer.from('and the tail')
        ])
        expect((await object('GET', 'u/composed')).body.equals(wanted)).toBe(true)
      })

      it('refuse copies of what is not there', async () => {
        await put('u/short', 'short')
        const id = await begin('u/uncopied')
        const copy = (source: string, headers: Record<string, string> = {}) =>
          object('PUT', 'u/uncopied', {
            query: `partNumber=1&uploadId=${encodeURIComponent(id)}`,
            headers: { 'x-amz-copy-source': `/${s3.bucket}/${prefix}${source}`, ...headers }
          })
        expect(await copy('u/none')).toMatchObject({ status: 404, code: 'NoSuchKey' })
        const beyond = await copy('u/short', { 'x-amz-copy-source-range': 'bytes=0-5' })
        expect([beyond.status, beyond.code]).toEqual([416, 'InvalidRange'])
        await object('DELETE', 'u/uncopied', byId(id))
      })

      it('refuse copies of ranges of objects of 5 MiB or less', async () => {
        // AWS does. MinIO and Ceph copy them.
        if (s3.isReal) return
        await put('u/small', big)
        const id = await begin('u/unranged')
        const copy = (headers: Record<string, string>) =>
          object('PUT', 'u/unranged', {
            query: `partNumber=1&uploadId=${encodeURIComponent(id)}`,
            headers: { 'x-amz-copy-source': `/${s3.bucket}/${prefix}u/small`, ...headers }
          })
        for (const range of ['bytes=0-9', `bytes=0-${5 * MIB - 1}`]) {
          const refused = await copy({ 'x-amz-copy-source-range': range })
          expect([refused.status, refused.code]).toEqual([400, 'InvalidRequest'])
        }
        expect(await copy({})).toMatchObject({ status: 200 })
        await object('DELETE', 'u/unranged', byId(id))
      })
    })

    describe('copies', () => {
      const copy = (source: string, target: string) =>
        object('PUT', target, {
          headers: { 'x-amz-copy-source': encodeURI(`/${s3.bucket}/${prefix}${source}`) }
        })

      it('are objects of their own', async () => {
        await put('k/a b', 'copied', { 'Content-Type': 'text/x-test' })
        const answer = await copy('k/a b', 'k/copy')
        expect(answer.status).toBe(200)
        expect(text(String(answer.body), 'ETag')?.replaceAll('"', '')).toBe(md5('copied'))
        await object('DELETE', 'k/a b')
        const got = await object('GET', 'k/copy')
        expect(got.body.toString()).toBe('copied')
        expect(got.headers['content-type']).toBe('text/x-test')
      })

      it('need something to copy', async () => {
        expect(await copy('k/none', 'k/nothing')).toMatchObject({ status: 404, code: 'NoSuchKey' })
      })
    })
  })
}

function etagOf(number: number, { headers }: RawAnswer): readonly [number, string] {
  return [number, headers.etag!]
}

function completeBody(parts: readonly (readonly [number, string])[]): string {
  const part = ([number, etag]: readonly [number, string]) =>
    `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`
  return `<CompleteMultipartUpload>${parts.map(part).join('')}</CompleteMultipartUpload>`
}

/** The client signs a query as it is given, and signatures are over sorted queries. */
function sortedQuery(query: string): string {
  return query.split('&').sort().join('&')
}

function md5(bytes: Buffer | string): string {
  return createHash('md5').update(bytes).digest('hex')
}

function quoted(text: string): string {
  return `"${text}"`
}
