import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatS3Url, parseS3Url, type S3UrlParts } from '../../../../src/store/object/storage/s3/index.ts'

describe("a bucket's URL", () => {
  it('says where the bucket is', () => {
    expect(parseS3Url('s3://minioadmin:minioadmin@localhost:9000/blobs')).toEqual({
      endpoint: 'http://localhost:9000',
      accessKey: 'minioadmin',
      secretKey: 'minioadmin',
      bucket: 'blobs'
    })
    expect(parseS3Url('s3://key:se%2Fcret%40@s3.example.org/blobs/node-a/x?region=eu-west-1')).toEqual({
      endpoint: 'https://s3.example.org',
      accessKey: 'key',
      secretKey: 'se/cret@',
      bucket: 'blobs',
      prefix: 'node-a/x/',
      region: 'eu-west-1'
    })
    expect(parseS3Url('s3://[::1]:9000/blobs/?tls=true')).toEqual({
      endpoint: 'https://[::1]:9000',
      bucket: 'blobs'
    })
    expect(parseS3Url('S3://host:443/blobs')).toEqual({ endpoint: 'https://host', bucket: 'blobs' })
    expect(parseS3Url('s3://host/blobs?tls=false')).toEqual({ endpoint: 'http://host', bucket: 'blobs' })
  })

  const characters = Array.from({ length: 0x7e - 0x20 }, (_, i) => String.fromCharCode(0x21 + i))
  const key = fc.string({ unit: fc.constantFrom(...characters), minLength: 1, maxLength: 50 })
  const word = fc.stringMatching(/^[a-z0-9][a-z0-9-]{1,20}[a-z0-9]$/)
  // What is all digits is an address, and may be none that there is; what begins with xn-- is to be read as Punycode.
  const host = word.map(name => `h${name}`)
  const parts = fc
    .record({
      isTls: fc.boolean(),
      host: fc.oneof(host, fc.constantFrom('127.0.0.1', '[::1]', 'a.example.org')),
      port: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
      keys: fc.option(fc.tuple(key, key), { nil: undefined }),
      bucket: word,
      prefix: fc.array(word, { maxLength: 3 }),
      region: fc.option(word, { nil: undefined })
    })
    .map(({ isTls, host, port, keys, bucket, prefix, region }): S3UrlParts => {
      const endpoint = new URL(`${isTls ? 'https' : 'http'}://${host}${port === undefined ? '' : `:${port}`}`)
        .origin
      return {
        endpoint,
        bucket,
        ...(keys && { accessKey: keys[0], secretKey: keys[1] }),
        ...(prefix.length > 0 && { prefix: `${prefix.join('/')}/` }),
        ...(region && { region })
      }
    })

  it('is what is written, when it is read again', () => {
    fc.assert(
      fc.property(parts, given => {
        expect(parseS3Url(formatS3Url(given))).toEqual(given)
      })
    )
  })

  const WRONG: Record<string, string> = {
    '': 'another form',
    'http://host/bucket': 'another form',
    's3://host/bucket#part': 'another form',
    's3://SECRET@host/bucket': 'without a secret',
    's3://key:SECRET/more@host/bucket': 'in a secret, write / as %2F',
    's3://key:SECRET%@host/bucket': 'write it as %25',
    's3://key:SECRET%20x@host/bucket': 'the secret must be printable',
    's3://key:SECRET@host:99999/bucket': 'the host or the port is wrong',
    's3://key:SECRET@/bucket': 'the host or the port is wrong',
    's3://key:SECRET@host': 'the bucket must be',
    's3://key:SECRET@host/B': 'the bucket must be',
    's3://key:SECRET@host/bucket/../x': 'the prefix must be',
    's3://key:SECRET@host/bucket?tls=yes': 'tls must be true or false',
    's3://key:SECRET@host/bucket?secret=SECRET': 'region and tls, and nothing else'
  }
  for (const [text, expected] of Object.entries(WRONG)) {
    it(`that is wrong is refused: ${text}`, () => {
      expect(() => parseS3Url(text)).toThrow(expected)
    })
  }

  it('never shows its secret, however it is broken', () => {
    const secret = 'ThisIsTheSecret'
    const broken = fc.tuple(fc.string(), fc.string(), fc.nat(60), fc.string())
    fc.assert(
      fc.property(broken, ([before, after, at, noise]) => {
        const url = `s3://key:${encodeURIComponent(before)}${secret}${after}@host:9000/bucket?region=x`
        const text = url.slice(0, at) + noise + url.slice(at)
        try {
          parseS3Url(text)
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_INVALID_S3_OPTIONS' })
          expect(String(error)).not.toContain(secret)
        }
      })
    )
  })
})
