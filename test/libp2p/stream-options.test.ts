/** That the constants hold what the documentation says, and that js-yamux still obeys them. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_MAX_BUFFERED_BYTES, streamReader } from '../../src/libp2p/stream-reader.ts'
import { streamWriter } from '../../src/libp2p/stream-writer.ts'
import {
  MAX_READ_BUFFER_BYTES,
  MAX_STREAM_WINDOW_BYTES,
  YAMUX_OPTIONS
} from '../../src/libp2p/yamux-options.ts'
import { createTestPair, type TestPair } from '../helpers/libp2p.ts'
import { BUFFER_LIMIT_BYTES, drainAndHash, MIB } from './streams.ts'

test('two windows and the queue fit into the limit, and a window into what a stream may hold', () => {
  expect(2 * MAX_STREAM_WINDOW_BYTES + DEFAULT_MAX_BUFFERED_BYTES).toBeLessThan(BUFFER_LIMIT_BYTES)
  const { maxStreamWindowSize, maxReadBufferLength } = YAMUX_OPTIONS.streamOptions
  expect(maxStreamWindowSize).toBe(MAX_STREAM_WINDOW_BYTES)
  expect(maxReadBufferLength).toBeGreaterThanOrEqual(maxStreamWindowSize)
})

test('the documented default is the default', async () => {
  const source = await readFile(new URL('../../src/libp2p/stream-reader.ts', import.meta.url), 'utf8')
  const documented = /@default ([\d_]+)\n.*\n *readonly maxBufferedBytes/.exec(source)?.[1]
  expect(Number(documented?.replaceAll('_', ''))).toBe(DEFAULT_MAX_BUFFERED_BYTES)
})

describe('in a node that configures nothing', () => {
  let pair: TestPair
  beforeAll(async () => {
    pair = await createTestPair('default')
  })
  afterAll(() => pair.stop())

  /** Sends 64 MiB to a listener that never pauses, or to our reader; the largest window that js-yamux granted. */
  async function largestWindow(withReader: boolean): Promise<number> {
    const [sender, receiver] = await pair.openStream()
    const writer = streamWriter(sender)
    let largest = 0
    const look = () => {
      if ('recvWindow' in receiver) largest = Math.max(largest, Number(receiver.recvWindow))
    }
    receiver.addEventListener('message', look)
    const read = withReader ? drainAndHash(streamReader(receiver)) : undefined
    await writer.write(new Uint8Array(64 * MIB))
    await writer.end()
    await read
    receiver.abort(new Error('read'))
    return largest
  }

  test('js-yamux lets the window grow above the limit, and the reader keeps it below', async () => {
    expect(await largestWindow(false)).toBeGreaterThan(MAX_STREAM_WINDOW_BYTES)
    const largest = await largestWindow(true)
    expect(largest).toBeGreaterThan(256 * 1024)
    expect(largest).toBeLessThanOrEqual(MAX_STREAM_WINDOW_BYTES)
  })

  test('the peer is granted nothing anew for a few bytes, but for more of them', async () => {
    const [sender, receiver] = await pair.openStream()
    const reader = streamReader(receiver)
    const writer = streamWriter(sender)
    const owed = () => {
      const { recvWindow, recvWindowCapacity } = receiver as unknown as Record<string, number>
      return recvWindow! - recvWindowCapacity!
    }
    const send = async (bytes: number) => {
      await writer.write(new Uint8Array(bytes))
      for (let read = 0; read < bytes; ) read += (await reader.next()).value!.length
    }
    const before = owed()
    await send(1000)
    expect(owed()).toBe(before + 1000)
    await send(32 * 1024)
    await expect.poll(owed).toBeLessThan(1000)
    sender.abort(new Error('the test is over'))
  })

  test('a stream of a muxer whose window cannot be bounded may hold a whole default window', async () => {
    const [sender, receiver] = await pair.openStream()
    expect(receiver.maxReadBufferLength).toBeLessThan(MAX_READ_BUFFER_BYTES)
    streamReader(receiver)
    expect(receiver.maxReadBufferLength).toBe(MAX_READ_BUFFER_BYTES)
    sender.abort(new Error('the test is over'))
  })
})
