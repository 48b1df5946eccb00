import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import { EMPTY_HASH, Hash } from '../../src/hash.ts'
import { MAX_REQUEST_BYTES } from '../../src/protocol/constants.ts'
import { RangesSeq } from '../../src/protocol/ranges-seq.ts'
import {
  decodeRequest,
  encodeRequest,
  MalformedRequestError,
  type Request,
  RequestTooLongError,
  tryDecodeRequest
} from '../../src/protocol/request.ts'
import { RequestCollector } from '../../src/protocol/request-collector.ts'
import {
  arbitraryDamage,
  arbitraryHash,
  arbitraryRanges,
  arbitrarySeq,
  fromHex,
  rangesOf,
  readsOrThrows,
  seqOf,
  toHex,
  type VectorEntry,
  vectors
} from './support.ts'

const arbitraryRequest: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ type: fc.constant('get' as const), hash: arbitraryHash, ranges: arbitrarySeq }),
  fc.record({ type: fc.constant('push' as const), hash: arbitraryHash, ranges: arbitrarySeq }),
  fc.record({ type: fc.constant('observe' as const), hash: arbitraryHash, ranges: arbitraryRanges }),
  fc.record({
    type: fc.constant('get_many' as const),
    hashes: fc.array(arbitraryHash, { maxLength: 4 }),
    ranges: arbitrarySeq
  })
)

/** Each request of the golden vectors with what it means. */
function* goldenRequests(): Generator<[name: string, hex: string, request: Request]> {
  interface Case {
    name: string
    request: string
    boundaries: string[]
  }
  const { blobs } = vectors<{ blobs: { size: number; hash: string; cases: Case[] }[] }>('blobs.json')
  for (const blob of blobs) {
    for (const { name, request, boundaries } of blob.cases) {
      const ranges = RangesSeq.blob(rangesOf(boundaries))
      yield [`${blob.size} ${name}`, request, { type: 'get', hash: Hash.parse(blob.hash), ranges }]
    }
  }

  const sequences = vectors<{
    cases: { name: string; root: string; request: string; ranges: VectorEntry[] }[]
  }>('hashseq.json')
  for (const { name, root, request, ranges } of sequences.cases) {
    yield [`hash sequence ${name}`, request, { type: 'get', hash: Hash.parse(root), ranges: seqOf(ranges) }]
  }

  const collectionCases: Record<string, RangesSeq> = {
    all: RangesSeq.all,
    rootAndMeta: RangesSeq.fromList([ChunkRanges.all, ChunkRanges.all])
  }
  const { collections } = vectors<{ collections: { hash: string; cases: Case[] }[] }>('collections.json')
  for (const { hash, cases } of collections) {
    for (const { name, request } of cases) {
      yield [
        `collection ${name}`,
        request,
        { type: 'get', hash: Hash.parse(hash), ranges: collectionCases[name]! }
      ]
    }
  }

  interface Derived {
    name: string
    type: number
    hex: string
    hash: string
    hashes: string[]
    boundaries: string[]
    ranges: VectorEntry[]
  }
  for (const vector of vectors<{ requests: Derived[] }>('requests-0.9x-derived.json').requests) {
    yield [vector.name, vector.hex, derivedRequest(vector)]
  }

  function derivedRequest({ type, hash, hashes, boundaries, ranges }: Derived): Request {
    switch (type) {
      case 1:
        return { type: 'observe', hash: Hash.parse(hash), ranges: rangesOf(boundaries) }
      case 8:
        return { type: 'push', hash: Hash.parse(hash), ranges: seqOf(ranges) }
      case 9:
        return { type: 'get_many', hashes: hashes.map(Hash.parse), ranges: seqOf(ranges) }
      default:
        throw new Error(`type ${type}`)
    }
  }
}

describe('golden requests', () => {
  const golden = Array.from(goldenRequests())

  test('are all here', () => {
    expect(golden.length).toBeGreaterThan(30)
    expect(new Set(golden.map(([, , request]) => request.type)).size).toBe(4)
  })

  test.each(golden)('%s', (_, hex, request) => {
    expect(toHex(encodeRequest(request))).toBe(hex)
    expect(decodeRequest(fromHex(hex))).toEqual(request)
    expect(tryDecodeRequest(fromHex(hex))).toEqual({ request, length: hex.length / 2 })
  })

  test('odd requests are understood as the real provider understood them', () => {
    const { cases } = vectors<{ cases: { name: string; request: string }[] }>('errors.json')
    const odd = Object.fromEntries(
      cases.map(({ name, request }) => [name, () => decodeRequest(fromHex(request))])
    )
    expect(odd.notFound!()).toMatchObject({ type: 'get', ranges: RangesSeq.blob(ChunkRanges.all) })
    expect(odd.emptySequence!()).toMatchObject({ type: 'get', ranges: RangesSeq.empty })
    expect(odd.zeroWidthSpans!()).toMatchObject({ ranges: RangesSeq.blob(ChunkRanges.range(8)) })
    expect(odd.emptyRequest).toThrow(MalformedRequestError)
    expect(odd.unknownVariant).toThrow('2 is no type of request that exists (at byte 0)')
  })
})

describe('decoding', () => {
  test('any request comes back, also one byte at a time', () => {
    fc.assert(
      fc.property(arbitraryRequest, fc.uint8Array({ maxLength: 20 }), (request, rest) => {
        const bytes = encodeRequest(request)
        expect(decodeRequest(bytes)).toEqual(request)
        expect(decodeRequest(Buffer.concat([bytes, rest]))).toEqual(request)
        expect(tryDecodeRequest(Buffer.concat([bytes, rest]))).toEqual({ request, length: bytes.length })
        for (let length = 0; length < bytes.length; length++) {
          expect(tryDecodeRequest(bytes.subarray(0, length))).toBe(undefined)
        }
      })
    )
  })

  test('whatever comes is a request or a malformed one', () => {
    let good = 0
    fc.assert(
      fc.property(arbitraryDamage(arbitraryRequest.map(encodeRequest)), bytes => {
        const request = readsOrThrows(() => decodeRequest(bytes), MalformedRequestError)
        const tried = readsOrThrows(() => tryDecodeRequest(bytes), MalformedRequestError)
        expect(tried?.request).toEqual(request)
        if (request) {
          good++
          expect(decodeRequest(encodeRequest(request))).toEqual(request)
        }
      }),
      { numRuns: 3000 }
    )
    expect(good).toBeGreaterThan(100)
  })

  const hash = EMPTY_HASH.toString()
  test.each([
    ['nothing', '', 0],
    ['a hash cut off', `00 ${hash.slice(2)}`, 1],
    ['no ranges', `00 ${hash}`, 33],
    ['ranges cut off', `00 ${hash} 02 00 01 00 01`, 38],
    ['a reserved type', `07 ${hash} 01 00 01 00`, 0],
    ['a type that is spelt longer', `8000 ${hash} 01 00 01 00`, 0],
    ['more hashes than there are bytes', `09 808080808080808010 ${hash}`, 1],
    ['one hash too few', `09 02 ${hash}`, 1],
    ['a push longer than allowed', `08 818040 ${hash}`, 1],
    ['a push with a length too small', `08 23 ${hash} 01 00 01 00`, 36],
    ['a push without ranges', `08 20 ${hash} 01 00 01 00`, 34]
  ])('%s is refused with its place', (_, hex, position) => {
    expect(() => decodeRequest(fromHex(hex))).toThrow(MalformedRequestError)
    expect(() => decodeRequest(fromHex(hex))).toThrow(`(at byte ${position})`)
    try {
      decodeRequest(fromHex(hex))
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_MALFORMED_REQUEST', position })
    }
  })

  test('a push that contradicts itself is not waited for', () => {
    const pushes = [`08 23 ${hash} 01 00 01 00`, `08 818040`, `08 20 ${hash}`]
    for (const hex of pushes) {
      expect(() => tryDecodeRequest(fromHex(hex))).toThrow(MalformedRequestError)
    }
  })

  test('bytes within the length of a push are ignored, and the data starts behind them', () => {
    const hex = `08 25 ${hash} 01 00 01 00 ff`
    expect(tryDecodeRequest(fromHex(`${hex} 0102`))).toEqual({
      request: { type: 'push', hash: EMPTY_HASH, ranges: RangesSeq.all },
      length: 2 + 37
    })
  })
})

describe('limits', () => {
  const many = (count: number): Request => ({
    type: 'get_many',
    hashes: Array.from({ length: count }, () => EMPTY_HASH),
    ranges: RangesSeq.all
  })

  test('the longest request is sent and read, a longer one is neither', () => {
    const count = Math.floor((MAX_REQUEST_BYTES - 8) / 32)
    const bytes = encodeRequest(many(count))
    expect(decodeRequest(bytes)).toMatchObject({ hashes: { length: count } })
    expect(() => encodeRequest(many(count + 1))).toThrow(RequestTooLongError)

    const trailing = new Uint8Array(1 + MAX_REQUEST_BYTES)
    trailing.set(bytes)
    expect(decodeRequest(trailing)).toMatchObject({ type: 'get_many' })
    const tooLong = new Uint8Array(2 + MAX_REQUEST_BYTES)
    tooLong.set(bytes)
    expect(() => decodeRequest(tooLong)).toThrow(MalformedRequestError)
    expect(() => tryDecodeRequest(tooLong)).toThrow(MalformedRequestError)
  })

  test('the data of a push does not count', () => {
    const head = encodeRequest({ type: 'push', hash: EMPTY_HASH, ranges: RangesSeq.all })
    const bytes = new Uint8Array(3 * MAX_REQUEST_BYTES)
    bytes.set(head)
    expect(tryDecodeRequest(bytes)).toMatchObject({ length: head.length })
  })
})

describe('collecting the pieces', () => {
  /** Cuts bytes into pieces of the given sizes, used in turn. */
  function* pieces(bytes: Uint8Array, sizes: number[]): Generator<Uint8Array> {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = sizes[i % sizes.length]!
      yield bytes.slice(at, at + size)
      at += size
    }
  }

  const arbitrarySizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 })

  test('a push is known as soon as it is complete, with the data behind it', () => {
    const push = arbitraryRequest.filter(request => request.type === 'push')
    fc.assert(
      fc.property(push, fc.uint8Array({ maxLength: 100 }), arbitrarySizes, (request, data, sizes) => {
        const head = encodeRequest(request)
        const stream = Array.from(pieces(Buffer.concat([head, data]), sizes))
        const collector = new RequestCollector()
        let given = 0
        for (const [i, piece] of stream.entries()) {
          given += piece.length
          const collected = collector.push(piece)
          if (given < head.length) {
            expect(collected).toBe(undefined)
          } else {
            expect(collected?.request).toEqual(request)
            const rest = Buffer.concat([collected!.rest, ...stream.slice(i + 1)])
            expect(toHex(rest)).toBe(toHex(data))
            return
          }
        }
        expect.fail('the push was not noticed')
      })
    )
  })

  test('any other request is known at the end of the stream', () => {
    const other = arbitraryRequest.filter(request => request.type !== 'push')
    fc.assert(
      fc.property(other, arbitrarySizes, (request, sizes) => {
        const collector = new RequestCollector()
        for (const piece of pieces(encodeRequest(request), sizes)) {
          expect(collector.push(piece)).toBe(undefined)
        }
        expect(collector.finish()).toEqual(request)
      })
    )
  })

  test('an end too early is malformed, also without a byte', () => {
    expect(() => new RequestCollector().finish()).toThrow(MalformedRequestError)
    const push = encodeRequest({ type: 'push', hash: EMPTY_HASH, ranges: RangesSeq.all })
    const collector = new RequestCollector()
    expect(collector.push(new Uint8Array(0))).toBe(undefined)
    expect(collector.push(push.subarray(0, -1))).toBe(undefined)
    expect(() => collector.finish()).toThrow(MalformedRequestError)
  })

  test('a peer that never stops is stopped', () => {
    const collector = new RequestCollector()
    const piece = new Uint8Array(64 * 1024)
    expect(() => {
      for (let i = 0; i < 100; i++) collector.push(piece)
    }).toThrow(MalformedRequestError)
  })

  test('single bytes cost no more than one piece', () => {
    const bytes = encodeRequest({
      type: 'push',
      hash: EMPTY_HASH,
      ranges: RangesSeq.fromList(
        Array.from({ length: 60_000 }, (_, i) => (i % 2 ? ChunkRanges.all : ChunkRanges.last))
      )
    })
    expect(bytes.length).toBeGreaterThan(300_000)
    const collector = new RequestCollector()
    for (let i = 0; i < bytes.length - 1; i++) {
      if (collector.push(bytes.subarray(i, i + 1))) expect.fail('too early')
    }
    expect(collector.push(bytes.subarray(-1))?.request.type).toBe('push')
  })
})
