/** What is made of answers, whatever they say. */
import { once } from 'node:events'
import http, { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MIN_PART_BYTES } from '../../../../src/store/object/storage/part-size.ts'
import { Body } from '../../../../src/store/object/storage/s3/body.ts'
import { cutForCopy } from '../../../../src/store/object/storage/s3/compose.ts'
import { explain } from '../../../../src/store/object/storage/s3/explain.ts'
import {
  failureInside,
  failureOfAnswer,
  failureOfNetwork,
  S3Failure
} from '../../../../src/store/object/storage/s3/failure.ts'
import { parsePage } from '../../../../src/store/object/storage/s3/list.ts'
import { parseUploads } from '../../../../src/store/object/storage/s3/sweep.ts'
import { elements, encodeText, textOf } from '../../../../src/store/object/storage/s3/xml.ts'
import { MIB } from './suite/support.ts'

/** Text that looks like XML, and is not quite. */
const markup = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '<',
        '>',
        '/',
        '&',
        ';',
        '<Error>',
        '</Error>',
        '<Code>',
        '</Code>',
        '<Code/>',
        '<Message>'
      ),
      fc.constantFrom(
        '</Message>',
        '<Contents>',
        '</Contents>',
        '<Key>',
        '</Key>',
        '<Size>7',
        '</Size>',
        '&#x;'
      ),
      fc.constantFrom(
        '<ListBucketResult>',
        '<IsTruncated>true</IsTruncated>',
        '&#xffffff;',
        '&amp',
        '<Key',
        '\x1b['
      ),
      fc.constantFrom(
        '<ListMultipartUploadsResult>',
        '<Upload>',
        '</Upload>',
        '<UploadId>x</UploadId>',
        '\r\n'
      ),
      fc.string({ unit: 'binary' })
    ),
    { maxLength: 30 }
  )
  .map(parts => parts.join(''))

const attempted = { what: 'cannot read a from', name: 'bucket b at c', bucket: 'b', region: 'd', key: 'a' }

describe('XML', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), texts => {
        const xml = `<a x="1">${texts.map(text => `<Key>${encodeText(text)}</Key><Keys>no</Keys>`).join(' ')}</a>`
        const found = [...elements(xml, 'Key')].map(inside => textOf(`<k>${inside}</k>`, 'k'))
        expect(found).toEqual(texts)
      })
    )
  })

  it('takes time that grows with its length, and no faster', () => {
    // Were it quadratic, this would take minutes.
    for (const piece of ['<Key', '<Key>', '<Key ', '&', '&#', '</Key']) {
      const xml = piece.repeat(1_000_000)
      Array.from(elements(xml, 'Key'))
      textOf(`<k>${xml}</k>`, 'k')
    }
  })
})

describe('an answer that says no', () => {
  it('becomes one line, whatever it says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 300, max: 599 }), markup, (status, text) => {
        const error = explain(failureOfAnswer(status, {}, text), attempted) as Error & { code: string }
        expect(error.code).toMatch(/^ERR_/)
        expect(error.message.length).toBeLessThan(1000)
        expect(error.message).not.toMatch(/\p{C}/u)
        expect((error.cause as Error | undefined)?.message ?? '').not.toMatch(/\p{C}/u)
      }),
      { numRuns: 500 }
    )
  })

  it('becomes one line, whatever the code and the message are', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(fc.integer({ min: 300, max: 599 }), text, text, text, (status, code, message, region) => {
        const body = [
          `<Error><Code>${encodeText(code)}</Code>`,
          `<Message>${encodeText(message)}</Message><Region>${encodeText(region)}</Region></Error>`
        ].join('')
        const failure = failureOfAnswer(status, {}, body)
        expect(failure.message).not.toMatch(/\p{C}/u)
        const error = explain(failure, attempted) as Error
        expect(error.message).not.toMatch(/\p{C}/u)
        expect(failureInside(200, body)).toBeInstanceOf(S3Failure)
      })
    )
  })

  it('may pass, or may not', () => {
    const passes = (status: number, code: string) =>
      failureOfAnswer(status, {}, `<Error><Code>${code}</Code></Error>`).isPassing
    expect([
      passes(500, 'InternalError'),
      passes(503, 'SlowDown'),
      passes(429, 'X'),
      passes(400, 'RequestTimeout'),
      passes(502, 'X')
    ]).toEqual([true, true, true, true, true])
    expect([
      passes(400, 'X'),
      passes(403, 'X'),
      passes(404, 'X'),
      passes(501, 'NotImplemented'),
      passes(507, 'X'),
      passes(301, 'X')
    ]).toEqual([false, false, false, false, false, false])
    expect(failureInside(200, '<Error><Code>InternalError</Code></Error>')?.isPassing).toBe(true)
    expect(failureInside(200, '<Error><Code>AccessDenied</Code></Error>')?.isPassing).toBe(false)
  })

  it('names an untrusted certificate', () => {
    for (const code of ['SELF_SIGNED_CERT_IN_CHAIN', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID']) {
      const failure = failureOfNetwork(Object.assign(new Error('no'), { code }))
      expect(failure.isPassing).toBe(false)
      expect(explain(failure, attempted)).toMatchObject({ name: 'StorageAccessError' })
      expect(String(explain(failure, attempted))).toContain('NODE_EXTRA_CA_CERTS')
    }
  })
})

describe('lists', () => {
  it('are lists or failures, whatever they say', () => {
    fc.assert(
      fc.property(markup, fc.constantFrom('', 'a', 'p/x'), (text, after) => {
        for (const parse of [
          () => parsePage(text, 'p/', after),
          () => parsePage(`<ListBucketResult>${text}</ListBucketResult>`, '', after),
          () =>
            parseUploads(`<ListMultipartUploadsResult>${text}</ListMultipartUploadsResult>`, {
              key: after,
              id: ''
            })
        ]) {
          try {
            parse()
          } catch (error) {
            expect(error).toBeInstanceOf(S3Failure)
          }
        }
      }),
      { numRuns: 500 }
    )
  })

  it('have their keys without the prefix, decoded', () => {
    const content = (key: string) =>
      `<Contents><Key>${key}</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><Size>12</Size></Contents>`
    const xml = `<?xml version="1.0"?><ListBucketResult xmlns="x"><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>${content('p%2Fa%2Fb')}${content('p%2Fc%20d')}</ListBucketResult>`
    expect(parsePage(xml, 'p/', '')).toEqual({
      objects: [{ key: 'a/b', size: 12, modifiedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 678) }],
      next: 'p/c d'
    })
  })
})

describe('slices', () => {
  it('are cut for copying into parts that are neither too large nor too small, and nothing is lost', () => {
    const slice = fc.record({
      key: fc.constant('a'),
      offset: fc.nat(2 ** 40),
      length: fc.oneof(
        fc.integer({ min: 1, max: 10 * MIB }),
        fc.integer({ min: MIN_PART_BYTES, max: 2 ** 43 })
      )
    })
    fc.assert(
      fc.property(slice, given => {
        const parts = cutForCopy(given)
        let at = given.offset
        for (const part of parts) {
          expect(part.offset).toBe(at)
          expect(part.length).toBeLessThanOrEqual(1024 * MIB)
          expect(part.length).toBeGreaterThanOrEqual(Math.min(given.length, MIN_PART_BYTES))
          at += part.length
        }
        expect(at).toBe(given.offset + given.length)
      })
    )
  })
})

describe('a body', () => {
  it('that nobody takes gives its socket up', async () => {
    const server = createServer((_, response) => response.end(Buffer.alloc(32 * MIB)))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const request = http.get({ port: (server.address() as AddressInfo).port, agent: false })
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    const body = new Body(answer, new AbortController().signal, 10_000, 50)
    expect((await body.next())!.length).toBeGreaterThan(0)
    await once(request, 'close')
    // What had come is still there; then whoever wants the rest has to ask anew, at once.
    const rest = async () => {
      while ((await body.next()) !== undefined);
    }
    await expect(rest()).rejects.toMatchObject({ isStale: true, isPassing: true })
    body.close()
    server.close()
  })
})
