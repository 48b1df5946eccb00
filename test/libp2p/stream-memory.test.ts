/** That neither side buffers more than a few MiB, whoever is slow, in our own node and in somebody else's. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { streamWriter, writeAll } from '../../src/libp2p/stream-writer.ts'
import { createTestPair, MUXER_OPTIONS, type TestPair } from '../helpers/libp2p.ts'
import { BUFFER_LIMIT_BYTES, drainAndHash, MIB, patternSource, untilSteady, watchBuffers } from './streams.ts'

describe.each(MUXER_OPTIONS)('with %s yamux options', muxer => {
  let pair: TestPair
  let sender: Stream
  let receiver: Stream

  beforeEach(async () => {
    pair = await createTestPair(muxer)
    ;[sender, receiver] = await pair.openStream()
  })
  afterEach(() => pair.stop())

  /** Sends `total` bytes to a reader that calls `pace` after each piece. */
  async function transfer(total: number, pace: (bytesRead: number) => Promise<void> | undefined) {
    const reader = streamReader(receiver)
    const writer = streamWriter(sender)
    const watch = watchBuffers([sender, writer], [receiver, reader])
    const source = patternSource(total, MIB + 4096)
    const sent = (async () => {
      for (const piece of source) {
        await writer.write(piece)
        watch.look()
      }
      await writer.end()
    })()
    const paced = (async function* () {
      for await (const piece of reader) {
        watch.look()
        yield piece
        await pace(reader.bytesRead)
      }
    })()
    const [received] = await Promise.all([drainAndHash(paced), sent])
    return { received, source, most: watch.stop() }
  }

  test('a reader of 8 MiB/s makes the writer wait', async () => {
    let readTo = 0
    const { received, source, most } = await transfer(40 * MIB, bytesRead => {
      if (bytesRead < readTo + MIB || bytesRead > 24 * MIB) return undefined
      readTo = bytesRead
      return sleep(125)
    })
    expect(received).toEqual({ bytes: 40 * MIB, digest: source.digest() })
    expect(most.sender).toBeLessThan(MIB)
    expect(most.receiver).toBeLessThan(BUFFER_LIMIT_BYTES)
    expect(most.between).toBeLessThan(BUFFER_LIMIT_BYTES)
  })

  test('a reader that is fast and then pauses for 3 s keeps its stream', async () => {
    let paused = false
    const { received, source, most } = await transfer(256 * MIB, bytesRead => {
      if (paused || bytesRead < 192 * MIB) return undefined
      paused = true
      return sleep(3000)
    })
    expect(received).toEqual({ bytes: 256 * MIB, digest: source.digest() })
    expect(most.sender).toBeLessThan(MIB)
    expect(most.receiver).toBeLessThan(BUFFER_LIMIT_BYTES)
    expect(most.between).toBeLessThan(BUFFER_LIMIT_BYTES)
  })

  test('a slow writer leaves nothing buffered', async () => {
    const reader = streamReader(receiver, { idleTimeoutMs: 10_000 })
    const writer = streamWriter(sender)
    const watch = watchBuffers([sender, writer], [receiver, reader])
    const source = patternSource(2 * MIB, 50_000)
    const sent = (async () => {
      for (const piece of source) {
        await writer.write(piece)
        await sleep(20)
      }
      await writer.end()
    })()
    const [received] = await Promise.all([drainAndHash(reader), sent])
    const most = watch.stop()
    expect(received).toEqual({ bytes: 2 * MIB, digest: source.digest() })
    expect(most.between).toBeLessThan(MIB)
  })

  test('a reader that is never read stops the writer, and the stream stays open', async () => {
    const reader = streamReader(receiver)
    const writer = streamWriter(sender)
    const sent = writer.write(new Uint8Array(64 * MIB))
    expect(await untilSteady(() => writer.bytesWritten)).toBeLessThan(BUFFER_LIMIT_BYTES)
    expect(reader.bufferedBytes + receiver.readBufferLength).toBeLessThan(BUFFER_LIMIT_BYTES)
    expect([sender.status, receiver.status]).toEqual(['open', 'open'])
    writer.abort(new Error('enough'))
    await expect(sent).rejects.toThrow('enough')
  })

  test('a reader that is left by break takes no more, and the stream stays open', async () => {
    const writer = streamWriter(sender)
    const sent = writer.write(new Uint8Array(64 * MIB))
    const reader = streamReader(receiver)
    for await (const _ of reader) if (reader.bytesRead > 20 * MIB) break
    const before = writer.bytesWritten
    expect(reader.bufferedBytes).toBe(0)
    expect((await untilSteady(() => writer.bytesWritten)) - before).toBeLessThan(BUFFER_LIMIT_BYTES)
    expect(receiver.readBufferLength).toBeLessThan(BUFFER_LIMIT_BYTES)
    expect(receiver.status).toBe('open')
    expect(await reader.next()).toEqual({ done: true, value: undefined })
    receiver.abort(new Error('read enough'))
    await expect(sent).rejects.toMatchObject({ code: 'ERR_STREAM_RESET', reason: 'reset' })
  })

  test('a reader that is left before anything came takes no more, and the stream stays open', async () => {
    const writer = streamWriter(sender)
    await streamReader(receiver).return()
    const sent = writer.write(new Uint8Array(64 * MIB))
    expect(await untilSteady(() => writer.bytesWritten)).toBeLessThan(BUFFER_LIMIT_BYTES)
    expect(receiver.status).toBe('open')
    receiver.abort(new Error('not read'))
    await expect(sent).rejects.toMatchObject({ code: 'ERR_STREAM_RESET', reason: 'reset' })
  })

  test('a sender without any back-pressure is read in full', async () => {
    const source = patternSource(48 * MIB, MIB)
    const reader = streamReader(receiver)
    for (const piece of source) sender.send(piece)
    let most = 0
    const watched = (async function* () {
      for await (const piece of reader) {
        most = Math.max(most, reader.bufferedBytes + receiver.readBufferLength)
        yield piece
        if (reader.bytesRead % 7 === 0) await sleep(2)
      }
    })()
    const [received] = await Promise.all([drainAndHash(watched), sender.close()])
    expect(received).toEqual({ bytes: 48 * MIB, digest: source.digest() })
    expect(most).toBeLessThan(BUFFER_LIMIT_BYTES)
  })

  test('streams of one connection share it: a stalled one does not hold up the others', async () => {
    const [stalledSender, stalledReceiver] = [sender, receiver]
    streamReader(stalledReceiver)
    const stalled = expect(writeAll(stalledSender, patternSource(32 * MIB, MIB))).rejects.toMatchObject({
      code: 'ERR_STREAM_RESET'
    })
    const results = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const [from, to] = await pair.openStream()
        const reader = streamReader(to)
        const source = patternSource(8 * MIB, MIB)
        const [received] = await Promise.all([drainAndHash(reader), writeAll(from, source)])
        return { received, digest: source.digest() }
      })
    )
    for (const { received, digest } of results) expect(received).toEqual({ bytes: 8 * MIB, digest })
    expect(stalledReceiver.status).toBe('open')
    stalledReceiver.abort(new Error('done'))
    await stalled
  })
})
