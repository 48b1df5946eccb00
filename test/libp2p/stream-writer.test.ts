/** How writing ends: every way a peer, a connection or a caller can end it, and that nothing waits for ever. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
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
  StreamBusyError,
  StreamEndedError,
  StreamIdleTimeoutError,
  StreamNotReadError,
  StreamResetError
} from '../../src/libp2p/stream-errors.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { streamWriter, WRITE_PIECE_BYTES, writeAll } from '../../src/libp2p/stream-writer.ts'
import { MOST_IN_A_TURN, Turns } from '../../src/libp2p/turns.ts'
import { createTestPair, MUXER_OPTIONS, type TestPair } from '../helpers/libp2p.ts'
import {
  BUFFER_LIMIT_BYTES,
  drainAndHash,
  KIB,
  MIB,
  patternSource,
  readAll,
  until,
  untilSteady
} from './streams.ts'

const TOO_MUCH = new Uint8Array(64 * MIB)

/** A method that muxers call on their streams, which is not in the interface of streams. */
function callOf(
  stream: Stream,
  name: 'onMuxerDrain' | 'onMuxerNeedsDrain' | 'onRemoteCloseRead'
): () => void {
  const method: unknown = Reflect.get(stream, name)
  if (typeof method !== 'function') throw new Error(`the stream has no ${name}: it is not of @libp2p/utils`)
  return () => method.call(stream)
}

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

  test('many small writes arrive whole and in order', async () => {
    const reader = streamReader(receiver)
    const source = patternSource(500 * KIB, 100)
    const [received] = await Promise.all([drainAndHash(reader), writeAll(sender, source)])
    expect(received).toEqual({ bytes: 500 * KIB, digest: source.digest() })
  })

  test('one write of everything is sent in pieces', async () => {
    const reader = streamReader(receiver)
    const [bytes] = patternSource(24 * MIB, 24 * MIB)
    const writer = streamWriter(sender)
    const sent = writer.write(bytes ?? new Uint8Array(0)).then(() => writer.end())
    const [received] = await Promise.all([readAll(reader), sent])
    expect(Buffer.compare(received, bytes ?? new Uint8Array(0))).toBe(0)
    expect(writer.bytesWritten).toBe(24 * MIB)
  })

  test('nothing written, only the end', async () => {
    const read = readAll(streamReader(receiver))
    expect(await writeAll(sender, [])).toBe(0)
    expect((await read).length).toBe(0)
  })

  describe('while it waits for a peer that does not read', () => {
    test('a reset by the peer rejects', async () => {
      streamReader(receiver)
      const writer = streamWriter(sender)
      const sent = writer.write(TOO_MUCH)
      const position = await untilSteady(() => writer.bytesWritten)
      receiver.abort(new Error('not wanted'))
      const error = await sent.catch((err: unknown) => err)
      expect(error).toBeInstanceOf(StreamResetError)
      expect(error).toMatchObject({ code: 'ERR_STREAM_RESET', reason: 'reset', position })
      await expect(writer.write(TOO_MUCH)).rejects.toMatchObject({ reason: 'reset' })
      await expect(writer.end()).rejects.toMatchObject({ reason: 'reset' })
    })

    test('an abort of this side rejects, with the reason as the cause', async () => {
      streamReader(receiver)
      const writer = streamWriter(sender)
      const sent = writer.write(TOO_MUCH)
      await untilSteady(() => writer.bytesWritten)
      const reason = new Error('disk failed')
      writer.abort(reason)
      await expect(sent).rejects.toMatchObject({ reason: 'aborted', cause: reason })
      await until(() => receiver.status === 'reset')
    })

    test('the idle timeout rejects', async () => {
      streamReader(receiver)
      const writer = streamWriter(sender, { idleTimeoutMs: 150 })
      const error = await writer.write(TOO_MUCH).catch((err: unknown) => err)
      expect(error).toBeInstanceOf(StreamIdleTimeoutError)
      expect(error).toMatchObject({ code: 'ERR_STREAM_IDLE_TIMEOUT', idleTimeoutMs: 150 })
      expect(writer.bytesWritten).toBeLessThan(BUFFER_LIMIT_BYTES)
    })

    // Other streams drain the connection all the time, and the muxer tells every stream.
    test('drains of the connection neither let more bytes through nor put off the idle timeout', async () => {
      streamReader(receiver)
      const writer = streamWriter(sender, { idleTimeoutMs: 300 })
      const drains = setInterval(() => callOf(sender, 'onMuxerDrain')(), 5)
      await expect(writer.write(TOO_MUCH)).rejects.toBeInstanceOf(StreamIdleTimeoutError)
      clearInterval(drains)
      expect(sender.writeBufferLength).toBeLessThanOrEqual(WRITE_PIECE_BYTES)
    })

    test('the signal rejects with its reason', async () => {
      streamReader(receiver)
      const abort = new AbortController()
      const writer = streamWriter(sender, { signal: abort.signal })
      const sent = writer.write(TOO_MUCH)
      await untilSteady(() => writer.bytesWritten)
      const reason = new Error('changed my mind')
      abort.abort(reason)
      await expect(sent).rejects.toBe(reason)
      await expect(writer.write(TOO_MUCH)).rejects.toBe(reason)
      await expect(writer.end()).rejects.toBe(reason)
      expect(sender.status).toBe('open')
    })

    test('the signal rejects also when it aborts while others have their turn', async () => {
      streamReader(receiver)
      const abort = new AbortController()
      const turns = new Turns()
      const taken = Promise.all(Array.from({ length: MOST_IN_A_TURN }, () => turns.enter()))
      const writer = streamWriter(sender, { signal: abort.signal, turns, pieceBytes: KIB })
      const sent = writer.write(TOO_MUCH.subarray(0, 2 * KIB))
      // The second piece has not been handed over yet, so nobody waits for room.
      callOf(sender, 'onMuxerNeedsDrain')()
      const reason = new Error('changed my mind')
      abort.abort(reason)
      await expect(sent).rejects.toBe(reason)
      await taken
    })

    // Yamux has no frame for it; this is what muxers that have one call when it comes.
    test('a peer that closes its reading side rejects', async () => {
      streamReader(receiver)
      const writer = streamWriter(sender)
      const sent = writer.write(TOO_MUCH)
      await untilSteady(() => writer.bytesWritten)
      callOf(sender, 'onRemoteCloseRead')()
      await expect(sent).rejects.toBeInstanceOf(StreamNotReadError)
    })

    test('a second write is refused, the first goes on', async () => {
      const reader = streamReader(receiver)
      const writer = streamWriter(sender)
      const sent = writer.write(TOO_MUCH.subarray(0, 16 * MIB))
      await expect(writer.write(Uint8Array.of(1))).rejects.toBeInstanceOf(StreamBusyError)
      await expect(writer.end()).rejects.toBeInstanceOf(StreamBusyError)
      const read = drainAndHash(reader)
      await sent
      await writer.end()
      expect((await read).bytes).toBe(16 * MIB)
    })
  })

  test('a slow peer that takes a little now and then does not run into the idle timeout', async () => {
    const reader = streamReader(receiver, { maxBufferedBytes: 64 * KIB })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const writer = streamWriter(sender, { idleTimeoutMs: 700 })
    let waited = 0
    const slow = (async () => {
      let written = 0
      for await (const _ of reader) {
        // Something has been taken since the last time.
        if (writer.bytesWritten === written || reader.bytesRead > 10 * MIB) continue
        await sleep(5)
        written = writer.bytesWritten
        vi.advanceTimersByTime(400)
        waited += 400
      }
    })()
    for (const piece of patternSource(16 * MIB, MIB)) await writer.write(piece)
    await writer.end()
    await slow
    expect(waited).toBeGreaterThan(700)
  })

  test('a signal given before', async () => {
    const writer = streamWriter(sender, { signal: AbortSignal.abort() })
    await expect(writer.write(Uint8Array.of(1))).rejects.toMatchObject({ name: 'AbortError' })
    await expect(writer.end()).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('after end(): a write is refused, a second end() is not, and the other direction goes on', async () => {
    const writer = streamWriter(sender)
    await writer.end()
    await writer.end()
    await expect(writer.write(Uint8Array.of(1))).rejects.toBeInstanceOf(StreamEndedError)
    const read = readAll(streamReader(sender))
    await writeAll(receiver, [Uint8Array.of(7)])
    expect(await read).toEqual(Buffer.of(7))
    await expect(writer.write(Uint8Array.of(1))).rejects.toBeInstanceOf(StreamEndedError)
  })

  test('a stream that somebody else closed is refused', async () => {
    const writer = streamWriter(sender)
    await sender.close()
    await expect(writer.write(Uint8Array.of(1))).rejects.toBeInstanceOf(StreamEndedError)
  })

  test('writeAll: a source that fails resets the stream, and its error is thrown', async () => {
    const reason = new Error('bad block')
    async function* source() {
      yield new Uint8Array(1000)
      throw reason
    }
    const read = readAll(streamReader(receiver))
    const failed = expect(read).rejects.toMatchObject({ reason: 'reset' })
    await expect(writeAll(sender, source())).rejects.toBe(reason)
    await failed
  })

  test('writeAll: a peer that resets ends the source too', async () => {
    let released = false
    function* source() {
      try {
        for (;;) yield TOO_MUCH.subarray(0, MIB)
      } finally {
        released = true
      }
    }
    const sent = writeAll(sender, source())
    for await (const _ of streamReader(receiver)) break
    receiver.abort(new Error('enough'))
    await expect(sent).rejects.toBeInstanceOf(StreamResetError)
    expect(released).toBe(true)
  })
})

describe.each(MUXER_OPTIONS)('a connection closed while it waits, with %s yamux options', muxer => {
  test.each(['close', 'abort'] as const)('%s', async how => {
    const pair = await createTestPair(muxer)
    try {
      const [sender, receiver] = await pair.openStream()
      streamReader(receiver)
      const writer = streamWriter(sender)
      const sent = expect(writer.write(TOO_MUCH)).rejects.toBeInstanceOf(StreamResetError)
      await untilSteady(() => writer.bytesWritten)
      const connection = pair.listenerConnection()
      if (how === 'close') await connection.close()
      else connection.abort(new Error('cable cut'))
      await sent
    } finally {
      await pair.stop()
    }
  })
})
