/** How reading ends: every way a peer, a connection or a caller can end it, and that no byte is lost before. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import fc from 'fast-check'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi
} from 'vitest'
import {
  StreamIdleTimeoutError,
  StreamResetError,
  UnexpectedBytesError
} from '../../src/libp2p/stream-errors.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { streamWriter, writeAll } from '../../src/libp2p/stream-writer.ts'
import { createTestPair, MUXER_OPTIONS, type TestPair } from '../helpers/libp2p.ts'
import { drainAndHash, KIB, MIB, patternSource, readAll, until } from './streams.ts'

const HELLO = new TextEncoder().encode('hello')

describe.each(MUXER_OPTIONS)('with %s yamux options', muxer => {
  let pair: TestPair
  let sender: Stream
  let receiver: Stream

  beforeAll(async () => {
    pair = await createTestPair(muxer)
  })
  beforeEach(async () => {
    ;[sender, receiver] = await pair.openStream()
  })
  afterEach(() => {
    sender.abort(new Error('the test is over'))
    receiver.abort(new Error('the test is over'))
  })
  afterAll(() => pair.stop())

  test('what must come first, and comes behind something else, is not believed', async () => {
    receiver.pause()
    for (const text of ['no', 'hello', 'yes']) sender.send(new TextEncoder().encode(text))
    await until(() => receiver.readBufferLength === 10)
    const reader = streamReader(receiver, { expected: HELLO })
    receiver.resume()
    await expect(reader.next()).rejects.toThrow(UnexpectedBytesError)
    expect(reader.isAsExpected).toBe(false)
  })

  test('what is here can be taken without waiting', async () => {
    const reader = streamReader(receiver)
    expect(reader.takeNow()).toBeUndefined()
    for (const text of ['one', 'two']) sender.send(new TextEncoder().encode(text))
    await sender.close()
    await until(() => reader.bufferedBytes === 6)
    const taken = [reader.takeNow(), reader.takeNow()].map(bytes => bytes?.length)
    expect(taken.every(length => length === 3)).toBe(true)
    expect(reader.bytesRead).toBe(6)
    expect(reader.takeNow()).toBeUndefined()
    expect(await reader.next()).toEqual({ done: true, value: undefined })
  })

  describe('the peer closes its side', () => {
    test('before the first next()', async () => {
      const reader = streamReader(receiver)
      await writeAll(sender, [HELLO])
      await until(() => receiver.remoteWriteStatus === 'closed')
      await sleep(20)
      expect(await readAll(reader)).toEqual(Buffer.from(HELLO))
      expect(await reader.next()).toEqual({ done: true, value: undefined })
    })

    test('before there is a reader', async () => {
      await writeAll(sender, [HELLO])
      await until(() => receiver.remoteWriteStatus === 'closed')
      expect(await readAll(streamReader(receiver))).toEqual(Buffer.from(HELLO))
    })

    test('after we closed ours, before there is a reader', async () => {
      await writeAll(receiver, [HELLO])
      await writeAll(sender, [HELLO])
      await until(() => receiver.status === 'closed')
      expect(await readAll(streamReader(receiver))).toEqual(Buffer.from(HELLO))
    })

    test('after we closed ours, before the first next(), with more bytes than the reader queues', async () => {
      const reader = streamReader(receiver, { maxBufferedBytes: 64 * KIB })
      const source = patternSource(250 * KIB, 50 * KIB)
      await writeAll(receiver, [])
      await writeAll(sender, source)
      await until(() => receiver.status === 'closed')
      expect(receiver.readBufferLength).toBeGreaterThan(0)
      expect(await drainAndHash(reader)).toEqual({ bytes: 250 * KIB, digest: source.digest() })
    })

    test('while next() waits', async () => {
      const read = readAll(streamReader(receiver))
      await sleep(20)
      await writeAll(sender, [])
      expect((await read).length).toBe(0)
    })

    test('and then resets: what came before the close is complete', async () => {
      const reader = streamReader(receiver)
      await writeAll(sender, [HELLO])
      await until(() => receiver.remoteWriteStatus === 'closed')
      sender.abort(new Error('done with it'))
      await until(() => receiver.status === 'reset')
      expect(await readAll(reader)).toEqual(Buffer.from(HELLO))
    })
  })

  describe('fails with StreamResetError', () => {
    test('when the peer resets in the middle, after every byte that came', async () => {
      const reader = streamReader(receiver)
      await streamWriter(sender).write(new Uint8Array(200_000))
      await until(() => reader.bufferedBytes + receiver.readBufferLength === 200_000)
      sender.abort(new Error('disk failed'))
      await until(() => receiver.status === 'reset')
      const error = await readAll(reader).then(
        () => undefined,
        (err: unknown) => err
      )
      expect(error).toBeInstanceOf(StreamResetError)
      expect(error).toMatchObject({ code: 'ERR_STREAM_RESET', reason: 'reset', position: 200_000 })
      await expect(reader.next()).rejects.toBe(error)
    })

    test('when the peer resets while next() waits', async () => {
      const next = streamReader(receiver).next()
      sender.abort(new Error('gone'))
      await expect(next).rejects.toMatchObject({ reason: 'reset', position: 0 })
    })

    test('when the peer had reset before there was a reader', async () => {
      sender.abort(new Error('gone'))
      await until(() => receiver.status === 'reset')
      await expect(streamReader(receiver).next()).rejects.toMatchObject({ reason: 'reset' })
    })

    test('when this side aborts the stream, with the reason as the cause', async () => {
      const next = streamReader(receiver).next()
      const reason = new Error('not wanted any more')
      receiver.abort(reason)
      await expect(next).rejects.toMatchObject({ reason: 'aborted', cause: reason })
    })
  })

  test('ends when this side calls closeRead()', async () => {
    const next = streamReader(receiver).next()
    await receiver.closeRead()
    expect(await next).toEqual({ done: true, value: undefined })
  })

  describe('idle timeout', () => {
    test('counts from the last byte while the consumer waits', async () => {
      const reader = streamReader(receiver, { idleTimeoutMs: 100 })
      await streamWriter(sender).write(HELLO)
      await until(() => reader.bufferedBytes === HELLO.length)
      const error = await readAll(reader).then(
        () => undefined,
        (err: unknown) => err
      )
      expect(error).toBeInstanceOf(StreamIdleTimeoutError)
      expect(error).toMatchObject({ code: 'ERR_STREAM_IDLE_TIMEOUT', idleTimeoutMs: 100, position: 5 })
    })

    test('does not count while the consumer is busy', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
      onTestFinished(() => void vi.useRealTimers())
      const reader = streamReader(receiver, { idleTimeoutMs: 200 })
      const writer = streamWriter(sender)
      await writer.write(HELLO)
      await reader.next()
      vi.advanceTimersByTime(400)
      const next = reader.next()
      await writer.write(HELLO)
      expect((await next).value).toEqual(Buffer.from(HELLO))
    })
  })

  describe('abort signal', () => {
    test('rejects the waiting next() with its reason, and all later ones', async () => {
      const abort = new AbortController()
      const reader = streamReader(receiver, { signal: abort.signal })
      const next = reader.next()
      const reason = new Error('changed my mind')
      abort.abort(reason)
      await expect(next).rejects.toBe(reason)
      await expect(reader.next()).rejects.toBe(reason)
    })

    test('drops what was queued', async () => {
      const abort = new AbortController()
      const reader = streamReader(receiver, { signal: abort.signal })
      await streamWriter(sender).write(HELLO)
      await until(() => reader.bufferedBytes === HELLO.length)
      abort.abort()
      await expect(reader.next()).rejects.toBe(abort.signal.reason)
      expect(reader.bufferedBytes).toBe(0)
    })

    test('that was given before', async () => {
      const reader = streamReader(receiver, { signal: AbortSignal.abort() })
      await expect(reader.next()).rejects.toMatchObject({ name: 'AbortError' })
    })

    test('leaves the stream open', async () => {
      const abort = new AbortController()
      streamReader(receiver, { signal: abort.signal })
      abort.abort()
      expect(receiver.status).toBe('open')
    })
  })

  test('return() ends a waiting next()', async () => {
    const reader = streamReader(receiver)
    const next = reader.next()
    await reader.return()
    expect(await next).toEqual({ done: true, value: undefined })
  })

  test('several next() at once get the pieces in order', async () => {
    const reader = streamReader(receiver)
    const writer = streamWriter(sender)
    const both = Promise.all([reader.next(), reader.next(), reader.next()])
    await writer.write(Uint8Array.of(1))
    await sleep(20)
    await writer.write(Uint8Array.of(2))
    await sleep(20)
    await writer.end()
    expect((await both).map(({ value }) => value?.[0])).toEqual([1, 2, undefined])
  })

  test('request, half-close, answer, half-close: the stream is closed on both sides', async () => {
    const answered = (async () => {
      const request = await readAll(streamReader(receiver))
      await writeAll(receiver, [request, request])
    })()
    const reader = streamReader(sender)
    await writeAll(sender, [HELLO])
    expect(new TextDecoder().decode(await readAll(reader))).toBe('hellohello')
    await answered
    await until(() => sender.status === 'closed' && receiver.status === 'closed')
  })

  test('bytes sent one at a time', async () => {
    const reader = streamReader(receiver)
    const source = patternSource(3000, 1)
    const [received] = await Promise.all([drainAndHash(reader), writeAll(sender, source)])
    expect(received).toEqual({ bytes: 3000, digest: source.digest() })
  })

  test('pieces of any size, read at any pace, arrive whole and in order', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(200), fc.nat(300_000)), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.integer({ min: 1, max: 2 * MIB }),
        fc.nat(3),
        async (lengths, queue, every) => {
          const [from, to] = await pair.openStream()
          const pieces = lengths.map((length, i) => new Uint8Array(length).fill(i + 1))
          const reader = streamReader(to, { maxBufferedBytes: queue })
          const slowly = (async function* () {
            let count = 0
            for await (const piece of reader) {
              yield piece
              if (every > 0 && count++ % every === 0) await sleep(0)
            }
          })()
          const [received] = await Promise.all([readAll(slowly), writeAll(from, pieces)])
          to.abort(new Error('read'))
          expect(Buffer.compare(received, Buffer.concat(pieces))).toBe(0)
        }
      ),
      { numRuns: 25 }
    )
  })
})

describe.each(MUXER_OPTIONS)('a lost connection, with %s yamux options', muxer => {
  let pair: TestPair
  let sender: Stream
  let receiver: Stream

  beforeEach(async () => {
    pair = await createTestPair(muxer)
    ;[sender, receiver] = await pair.openStream()
  })
  afterEach(() => pair.stop())

  test('in the middle of a transfer: both sides fail', async () => {
    const reader = streamReader(receiver)
    const connection = pair.listenerConnection()
    const sent = expect(writeAll(sender, patternSource(64 * MIB, MIB))).rejects.toBeInstanceOf(
      StreamResetError
    )
    const read = (async () => {
      for await (const _ of reader) if (reader.bytesRead > 4 * MIB) connection.abort(new Error('cable cut'))
    })()
    await Promise.all([sent, expect(read).rejects.toBeInstanceOf(StreamResetError)])
  })

  test('while the reader waits', async () => {
    const read = readAll(streamReader(receiver))
    await streamWriter(sender).write(HELLO)
    await sleep(20)
    pair.connection.abort(new Error('cable cut'))
    await expect(read).rejects.toBeInstanceOf(StreamResetError)
  })

  test('with bytes waiting in a paused stream: they are handed over first', async () => {
    const reader = streamReader(receiver, { maxBufferedBytes: 64 * KIB })
    await streamWriter(sender).write(new Uint8Array(200 * KIB))
    await until(() => reader.bufferedBytes + receiver.readBufferLength === 200 * KIB)
    expect(receiver.readBufferLength).toBeGreaterThan(0)
    await pair.listenerConnection().close()
    expect(receiver.status).toBe('closed')
    await expect(readAll(reader)).rejects.toMatchObject({
      code: 'ERR_STREAM_RESET',
      reason: 'connection-lost',
      position: 200 * KIB
    })
  })
})
