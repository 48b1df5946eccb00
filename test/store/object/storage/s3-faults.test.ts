/** What goes wrong on the way to an S3 server, and with the server itself. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ObjectStorage } from '../../../../src/store/object/storage/index.ts'
import { putStream } from '../../../../src/store/object/storage/put-stream.ts'
import { QUEUE_BYTES } from '../../../../src/store/object/storage/s3/constants.ts'
import { type S3Options, S3Storage } from '../../../../src/store/object/storage/s3/index.ts'
import {
  type FaultKind,
  internalError,
  type Operation,
  S3TestServer,
  slowDown
} from '../../../helpers/s3-server/index.ts'
import {
  bytes,
  expectNone,
  expectObject,
  expectSame,
  keysOf,
  MIB,
  readAll,
  streamOf
} from './suite/support.ts'

let server: S3TestServer
let storage: S3Storage
const notices: string[] = []

beforeAll(async () => {
  server = await S3TestServer.start()
})

afterAll(async () => {
  await server.stop()
})

beforeEach(async () => {
  storage = await open()
})

afterEach(async () => {
  server.faults.clear()
  await storage.close()
  server.objects.clear()
  server.requests.clear()
  notices.length = 0
})

/** What gives up a silent server soon. Where none is silent, who stands still is the machine. */
const IMPATIENT = { requestTimeoutMs: 1000 }

async function reopen(options: Partial<S3Options>): Promise<void> {
  await storage.close()
  storage = await open(options)
}

async function open(options: Partial<S3Options> = {}): Promise<S3Storage> {
  const { url: endpoint, accessKey, secretKey, bucket } = server
  const all = {
    endpoint,
    accessKey,
    secretKey,
    bucket,
    retryForMs: 30_000,
    ...options
  }
  return await S3Storage.open(all, { onNotice: text => notices.push(text) })
}

/** What fails once or twice and then works. */
const PASSING: Record<string, FaultKind> = {
  SlowDown: slowDown,
  'an internal error': internalError,
  'a proxy without a server': { kind: 'html', status: 502 },
  'too many requests': { kind: 'error', status: 429, code: 'TooManyRequests' },
  'a request that took too long': { kind: 'error', status: 400, code: 'RequestTimeout' },
  'a reset before the answer': { kind: 'reset', at: 'answer' },
  'a reset on arrival': { kind: 'reset', at: 'request' },
  silence: { kind: 'stall', at: 'answer' }
}

async function upload(target: ObjectStorage, key: string, content: Uint8Array): Promise<void> {
  const begun = await target.upload(key, 5 * MIB)
  for (let i = 0; i * 5 * MIB < content.length; i++) {
    await begun.put(i, [content.subarray(i * 5 * MIB, (i + 1) * 5 * MIB)])
  }
  await begun.complete(content.length)
}

describe('what passes is waited for', () => {
  const calls: [Operation, () => Promise<void>][] = [
    [
      'PutObject',
      async () => {
        await storage.put('a', [bytes(5 * MIB), bytes(10)])
        await expectObject(storage, 'a', Buffer.concat([bytes(5 * MIB), bytes(10)]))
      }
    ],
    [
      'GetObject',
      async () => {
        await storage.put('a', [bytes(MIB)])
        expectSame(
          await readAll(storage, { key: 'a', offset: 5, length: 1000 }),
          bytes(MIB).subarray(5, 1005)
        )
      }
    ],
    [
      'HeadObject',
      async () => {
        await storage.put('a', [bytes(10)])
        expect((await storage.stat('a'))?.size).toBe(10)
      }
    ],
    [
      'ListObjectsV2',
      async () => {
        await storage.put('a', [bytes(10)])
        expect(await keysOf(storage)).toEqual(['a'])
      }
    ],
    ['DeleteObject', async () => await deleteAll(['a'])],
    ['DeleteObjects', async () => await deleteAll(['a', 'b'])],
    ['CreateMultipartUpload', async () => await uploads()],
    ['UploadPart', async () => await uploads()],
    ['CompleteMultipartUpload', async () => await uploads()],
    ['UploadPartCopy', async () => await composes()],
    ['CopyObject', async () => await moves()],
    ['AbortMultipartUpload', async () => await aborts()],
    ['ListMultipartUploads', async () => await sweeps()]
  ]

  async function deleteAll(keys: string[]) {
    for (const key of keys) await storage.put(key, [bytes(10)])
    await storage.delete(keys)
    expect(server.objects.keys()).toEqual([])
  }

  async function uploads() {
    await upload(storage, 'a', bytes(6 * MIB))
    await expectObject(storage, 'a', bytes(6 * MIB))
  }

  async function composes() {
    await storage.put('a', [bytes(7 * MIB)])
    const slice = { key: 'a', offset: 1, length: 6 * MIB }
    await storage.compose('b', [slice, slice])
    const part = bytes(7 * MIB).subarray(1, 6 * MIB + 1)
    await expectObject(storage, 'b', Buffer.concat([part, part]))
  }

  async function moves() {
    await storage.put('a', [bytes(10)])
    await storage.move('a', 'b')
    await expectObject(storage, 'b', bytes(10))
    await expectNone(storage, 'a')
  }

  async function aborts() {
    const begun = await storage.upload('a', 5 * MIB)
    await begun.put(0, [bytes(10)])
    await begun.abort()
    expect(server.objects.uploads()).toEqual([])
    expect(notices).toEqual([])
  }

  async function sweeps() {
    await storage.upload('a', 5 * MIB)
    await storage.sweepUploads(Date.now() + 60_000)
    expect(server.objects.uploads()).toEqual([])
  }

  for (const [operation, call] of calls) {
    for (const [name, kind] of Object.entries(PASSING)) {
      // All of them share one loop: two calls meet everything, the others what happens most.
      const isFull = operation === 'PutObject' || operation === 'GetObject'
      if (!isFull && !['SlowDown', 'a reset before the answer'].includes(name)) continue
      it(`${name} of ${operation}`, async () => {
        const isSilent = kind.kind === 'stall'
        if (isSilent) await reopen(IMPATIENT)
        const fault = server.faults.add({ operation }, kind, { times: isSilent ? 1 : 2 })
        await call()
        expect(fault.hits).toBeGreaterThan(0)
      })
    }
  }

  for (const operation of ['CompleteMultipartUpload', 'UploadPartCopy', 'CopyObject'] as const) {
    it(`an error of ${operation} inside an answer that began as a success`, async () => {
      const fault = server.faults.add(
        { operation },
        { kind: 'error-in-200', code: 'InternalError' },
        { times: 2 }
      )
      const call = calls.find(([name]) => name === operation)![1]
      await call()
      expect(fault.hits).toBe(2)
    })
  }

  it('without a word on the terminal', async () => {
    const spies = (['log', 'warn', 'error'] as const).map(name => vi.spyOn(console, name))
    server.faults.add({}, slowDown, { times: 5 })
    await storage.put('a', [bytes(10)])
    await upload(storage, 'b', bytes(100))
    for (const spy of spies) {
      expect(spy).not.toHaveBeenCalled()
      spy.mockRestore()
    }
  })

  it('but not for ever', async () => {
    await reopen({ retryForMs: 1500 })
    server.faults.add({ operation: 'PutObject' }, slowDown, { times: Number.POSITIVE_INFINITY })
    await expect(storage.put('a', [bytes(10)])).rejects.toMatchObject({
      name: 'StorageUnavailableError',
      message: expect.stringMatching(
        /^cannot write a to bucket .*the server is in trouble .*SlowDown \(503\)/
      )
    })
    expect(server.requests.of('PutObject').length).toBeGreaterThan(1)
  })
})

describe('what does not pass is not tried again', () => {
  const REFUSED: [string, FaultKind, object][] = [
    ['AccessDenied', { kind: 'error', status: 403, code: 'AccessDenied' }, { name: 'StorageAccessError' }],
    ['NoSuchBucket', { kind: 'error', status: 404, code: 'NoSuchBucket' }, { name: 'StorageAccessError' }],
    ['a full disk', { kind: 'error', status: 507, code: 'XMinioStorageFull' }, { code: 'ERR_STORE_FULL' }],
    ['a used-up quota', { kind: 'error', status: 403, code: 'QuotaExceeded' }, { code: 'ERR_STORE_FULL' }],
    ['an argument', { kind: 'error', status: 400, code: 'InvalidArgument' }, { name: 'StorageError' }],
    ['a page for people', { kind: 'html', status: 404 }, { name: 'StorageAccessError' }]
  ]
  for (const [name, kind, expected] of REFUSED) {
    it(name, async () => {
      server.faults.add({ operation: 'PutObject' }, kind, { times: 9 })
      await expect(storage.put('a', [bytes(10)])).rejects.toMatchObject(expected)
      expect(server.requests.of('PutObject')).toHaveLength(1)
    })
  }

  it('an object that is not there', async () => {
    await expect(readAll(storage, { key: 'a', offset: 0, length: 1 })).rejects.toMatchObject({ key: 'a' })
    expect(server.requests.of('GetObject')).toHaveLength(1)
  })
})

describe('reading', () => {
  const content = bytes(4 * MIB)
  const whole = { key: 'a', offset: 0, length: content.length }

  beforeEach(async () => {
    await storage.put('a', [content])
  })

  for (const [name, kind] of Object.entries<FaultKind>({
    'a cut answer': { kind: 'truncate', afterBytes: 1_000_000 },
    'an answer that is too short, and says so': { kind: 'truncate', afterBytes: 1_000_000, lie: true },
    'a reset': { kind: 'reset', at: 'body', afterBytes: 1_000_000 },
    'a server that falls silent': { kind: 'stall', at: 'body', afterBytes: 1_000_000 }
  })) {
    it(`goes on after ${name}, from there`, async () => {
      if (kind.kind === 'stall') await reopen(IMPATIENT)
      const fault = server.faults.add({ operation: 'GetObject' }, kind, { times: 2 })
      expectSame(await readAll(storage, whole), content)
      expect(fault.hits).toBe(2)
      const starts = server.requests.of('GetObject').map(({ range }) => Number(/=(\d+)-/.exec(range!)![1]))
      expect(starts[0]).toBe(0)
      expect(starts[1]).toBeGreaterThan(0)
      expect(starts[2]).toBeGreaterThan(starts[1]!)
    })
  }

  it('does not count the time that the consumer takes', async () => {
    await reopen({ requestTimeoutMs: 200 })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const pieces: Uint8Array[] = []
    for await (const piece of storage.read(whole)) {
      pieces.push(piece)
      if (pieces.length > 1) continue
      // Whoever waits for the server has begun to.
      await sleep(20)
      vi.advanceTimersByTime(600)
    }
    expectSame(Buffer.concat(pieces), content)
    expect(server.requests.of('GetObject')).toHaveLength(1)
  })

  it('goes on when the server has cut the line of a slow consumer', async () => {
    const reading = storage.read(whole)[Symbol.asyncIterator]()
    const pieces = [(await reading.next()).value as Uint8Array]
    await server.restart()
    for (let next = await reading.next(); !next.done; next = await reading.next()) pieces.push(next.value)
    expectSame(Buffer.concat(pieces), content)
  })

  it('uses one socket again and again', async () => {
    const sockets = new Set<unknown>()
    const listener = (socket: unknown) => sockets.add(socket)
    const counting = await countingProxy(server.port, listener)
    const proxied = await open({ endpoint: counting.url })
    for (let i = 0; i < 20; i++) {
      let isFirst = true
      // As much as is received before it is asked for: the last byte is then taken before the end is noticed.
      for await (const _piece of proxied.read({ key: 'a', offset: i, length: QUEUE_BYTES })) {
        if (isFirst) await sleep(20)
        isFirst = false
      }
    }
    await proxied.close()
    await counting.close()
    expect(sockets.size).toBeLessThanOrEqual(2)
  })

  it('takes no more than it needs from a server that ignores ranges', async () => {
    server.faults.add({ operation: 'GetObject' }, { kind: 'ignore-range' }, { times: 2 })
    expectSame(await readAll(storage, { ...whole, length: 100_000 }), content.subarray(0, 100_000))
    await expect(readAll(storage, { ...whole, offset: 1, length: 10 })).rejects.toMatchObject({
      name: 'StorageError',
      message: expect.stringContaining('ignores which bytes are asked for')
    })
  })

  it('ends at once when the signal aborts while the server is silent', async () => {
    await reopen({ requestTimeoutMs: 60_000 })
    server.faults.add({ operation: 'GetObject' }, { kind: 'stall', at: 'body', afterBytes: 1_000_000 })
    const stop = new AbortController()
    const reason = new Error('no longer wanted')
    const reading = (async () => {
      let received = 0
      for await (const piece of storage.read(whole, { signal: stop.signal })) {
        received += piece.length
        if (received >= 900_000) setTimeout(() => stop.abort(reason), 10)
      }
    })()
    await expect(reading).rejects.toBe(reason)
  })

  it('ends at once when the storage is closed while the server is silent', async () => {
    server.faults.add({ operation: 'GetObject' }, { kind: 'stall', at: 'answer' })
    const reading = readAll(storage, whole)
    const failing = expect(reading).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' })
    await expect.poll(() => server.requests.of('GetObject').length).toBeGreaterThan(0)
    await storage.close()
    await failing
    await expect(storage.stat('a')).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' })
  })
})

describe('what the server says to have stored is looked for', () => {
  it('a small object', async () => {
    server.faults.add({ operation: 'PutObject' }, { kind: 'lose' })
    await expect(storage.put('a', [bytes(10)])).rejects.toMatchObject({
      message: expect.stringContaining('but it is not there')
    })
  })

  it('a large one', async () => {
    server.faults.add({ operation: 'PutObject' }, { kind: 'lose' })
    await expect(storage.put('a', [bytes(MIB)])).rejects.toMatchObject({ code: 'ERR_STORAGE' })
  })

  it('an upload', async () => {
    server.faults.add({ operation: 'CompleteMultipartUpload' }, { kind: 'lose' })
    await expect(upload(storage, 'a', bytes(6 * MIB))).rejects.toMatchObject({ code: 'ERR_STORAGE' })
  })

  it('a copy, whose source then stays', async () => {
    await storage.put('a', [bytes(10)])
    server.faults.add({ operation: 'CopyObject' }, { kind: 'lose' })
    await expect(storage.move('a', 'b')).rejects.toMatchObject({ code: 'ERR_STORAGE' })
    await expectObject(storage, 'a', bytes(10))
  })
})

describe('completing', () => {
  it('is content with an empty ETag', async () => {
    server.faults.add({ operation: 'CompleteMultipartUpload' }, { kind: 'empty-etag' })
    await upload(storage, 'a', bytes(6 * MIB))
    await expectObject(storage, 'a', bytes(6 * MIB))
  })

  it('finds that it was done when the answer was lost', async () => {
    const fault = server.faults.add({ operation: 'CompleteMultipartUpload' }, { kind: 'reset', at: 'body' })
    await upload(storage, 'a', bytes(6 * MIB))
    expect(fault.hits).toBe(1)
    expect(server.requests.of('CompleteMultipartUpload')).toHaveLength(1)
    await expectObject(storage, 'a', bytes(6 * MIB))
  })

  it('ends when the upload was swept meanwhile, also where that is called an internal error', async () => {
    for (const code of ['NoSuchUpload', 'InternalError']) {
      const begun = await storage.upload('a', 5 * MIB)
      await begun.put(0, [bytes(10)])
      await storage.sweepUploads(Date.now() + 60_000)
      const status = code === 'InternalError' ? 500 : 404
      server.faults.add(
        { operation: 'CompleteMultipartUpload' },
        { kind: 'error', status, code },
        { times: 9 }
      )
      await expect(begun.complete(10)).rejects.toMatchObject({ name: 'StorageError' })
      expect(server.requests.of('CompleteMultipartUpload')).toHaveLength(1)
      server.requests.clear()
      server.faults.clear()
      await expectNone(storage, 'a')
    }
  })
})

describe('giving up an upload', () => {
  it('does not wait long for a silent server, and says what it has left behind', async () => {
    await reopen({ requestTimeoutMs: 60_000 })
    const begun = await storage.upload('a', 5 * MIB)
    await begun.put(0, [bytes(10)])
    server.faults.add({ operation: 'AbortMultipartUpload' }, { kind: 'stall', at: 'request' })
    await begun.abort()
    expect(notices).toEqual([
      expect.stringMatching(
        /^cannot give up a in bucket .*: it took longer than 2 s; the parts .* until they are swept$/
      )
    ])
    expect(server.objects.uploads()).toHaveLength(1)
    expect(server.requests.of('AbortMultipartUpload')).toHaveLength(1)
  })
})

describe('a server that cannot copy', () => {
  for (const [status, code] of [
    [501, 'NotImplemented'],
    [405, 'MethodNotAllowed']
  ] as const) {
    it(`has it copied here, and says so once (${status})`, async () => {
      const operation = ['UploadPartCopy', 'CopyObject'] as const
      server.faults.add({ operation }, { kind: 'error', status, code }, { times: Number.POSITIVE_INFINITY })
      await storage.put('a', [bytes(11 * MIB)])
      const part = { key: 'a', offset: 3, length: 10 * MIB }
      await storage.compose('b', [part, part])
      const copied = bytes(11 * MIB).subarray(3, 10 * MIB + 3)
      await expectObject(storage, 'b', Buffer.concat([copied, copied]))
      await storage.move('a', 'c')
      await expectObject(storage, 'c', bytes(11 * MIB))
      await expectNone(storage, 'a')
      expect(notices).toEqual([expect.stringContaining('cannot copy by itself')])
      expect(server.objects.uploads()).toEqual([])
    })
  }
})

describe('what the server copies', () => {
  it('are slices above 5 MiB; smaller ones, which AWS may refuse, go through here', async () => {
    await storage.put('large', [bytes(7 * MIB)])
    await storage.put('five', [bytes(5 * MIB, 1)])
    await storage.put('small', [bytes(1000, 2)])
    await storage.compose('all', [
      { key: 'large', offset: 1, length: 6 * MIB },
      { key: 'five', offset: 0, length: 5 * MIB },
      { key: 'large', offset: 0, length: 5 * MIB + 1 },
      { key: 'small', offset: 1, length: 998 }
    ])
    await expectObject(
      storage,
      'all',
      Buffer.concat([
        bytes(7 * MIB).subarray(1, 6 * MIB + 1),
        bytes(5 * MIB, 1),
        bytes(7 * MIB).subarray(0, 5 * MIB + 1),
        bytes(1000, 2).subarray(1, 999)
      ])
    )
    expect(server.requests.of('UploadPartCopy')).toHaveLength(2)
    expect(server.requests.of('UploadPart')).toHaveLength(2)
  })
})

describe('lists', () => {
  it('of a server that does not go on are not listed for ever', async () => {
    const page = (keys: string[]) =>
      `<ListBucketResult><IsTruncated>true</IsTruncated>${keys
        .map(key => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`)
        .join('')}</ListBucketResult>`
    for (const keys of [['a', 'b'], []]) {
      const stuck = createServer((_, response) => response.end(page(keys)))
      await new Promise<void>(resolve => stuck.listen(0, '127.0.0.1', resolve))
      const endpoint = `http://127.0.0.1:${(stuck.address() as AddressInfo).port}`
      const opening = open({ endpoint })
      const listing = opening.then(async opened => await keysOf(opened).finally(() => opened.close()))
      await expect(listing).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_STORAGE/) })
      stuck.closeAllConnections()
      stuck.close()
    }
  })

  it('leave out what others keep in the bucket', async () => {
    server.objects.set('Folder/', bytes(0))
    server.objects.set('a b', bytes(1))
    server.objects.set('ä+%20&<', bytes(1))
    await storage.put('a', [bytes(1)])
    expect(await keysOf(storage)).toEqual(['a'])
  })
})

describe('a server that stops in the middle and comes back', () => {
  it('is waited for by all that is under way', async () => {
    const content = bytes(20 * MIB)
    await storage.put('from', [content.subarray(0, 16 * MIB)])
    await reopen({})
    const writing = putStream(storage, 'a', content.length, slowly(streamOf(content, MIB)))
    const reading = (async () => {
      const pieces: Uint8Array[] = []
      for await (const piece of slowly(storage.read({ key: 'from', offset: 0, length: 16 * MIB })))
        pieces.push(piece)
      return Buffer.concat(pieces)
    })()
    const putting = (async () => {
      for (let i = 0; i < 20; i++) {
        await storage.put(`small/${i}`, [bytes(1000, i)])
        await sleep(10)
      }
    })()
    await expect.poll(() => server.requests.of('UploadPart').length).toBeGreaterThan(0)
    await server.stop()
    await sleep(2000)
    await server.restart()
    await Promise.all([writing, putting])
    expectSame(await reading, content.subarray(0, 16 * MIB))
    await expectObject(storage, 'a', content)
    expect(await keysOf(storage, { prefix: 'small/' })).toHaveLength(20)
  })
})

async function* slowly<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const item of source) {
    await sleep(2)
    yield item
  }
}

/** Passes everything on to a port, and shows the sockets that come in. */
async function countingProxy(port: number, onSocket: (socket: unknown) => void) {
  const net = await import('node:net')
  const proxy = net.createServer(incoming => {
    onSocket(incoming)
    const outgoing = net.connect(port, '127.0.0.1')
    incoming.pipe(outgoing).pipe(incoming)
    for (const socket of [incoming, outgoing]) socket.on('error', () => undefined)
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    close: async () => await new Promise(resolve => proxy.close(resolve))
  }
}
