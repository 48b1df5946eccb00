import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { SideBySideReads } from '../../src/tcp/side-by-side-reads.ts'
import { randomData } from '../helpers/data.ts'

/** Two ends of a connection. */
async function newPair(): Promise<{ near: Socket; far: Socket; end: () => void }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port')
  const accepted = once(server, 'connection')
  const near = connect(address.port, '127.0.0.1')
  const [far] = await accepted
  return {
    near,
    far,
    end: () => {
      near.destroy()
      far.destroy()
      server.close()
    }
  }
}

/** Reads all that comes until the end. */
async function readAll(socket: Socket, takeEach: boolean): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = []
  const reads = SideBySideReads.of(socket, () => {
    if (takeEach) pieces.push(...reads!.take())
  })
  if (reads === undefined) throw new Error('this Node has other names for it')
  socket.on('data', () => expect.unreachable('bytes came in the usual way'))
  await once(socket, 'end')
  pieces.push(...reads.take())
  return pieces
}

describe('reads side by side', () => {
  it.each([true, false])(
    'bring all bytes in order, and never write to them again (each taken at once: %s)',
    async takeEach => {
      const { near, far, end } = await newPair()
      const data = randomData(3_000_000, 9)
      const reading = readAll(near, takeEach)
      let at = 0
      for (const length of [1, 100, 5_000, 70_000, 1_000_000, 3, 900_000, 1_000_000]) {
        far.write(data.subarray(at, at + length))
        at += length
        await new Promise(setImmediate)
      }
      far.end(data.subarray(at))
      const pieces = await reading
      expect(Buffer.compare(Buffer.concat(pieces), data)).toBe(0)
      end()
    }
  )

  it('gather what comes until it is taken', async () => {
    const { near, far, end } = await newPair()
    let more = Promise.withResolvers<void>()
    const reads = SideBySideReads.of(near, () => more.resolve())!
    near.on('data', () => undefined)
    for (const text of ['one ', 'two ', 'three']) {
      more = Promise.withResolvers()
      far.write(text)
      await more.promise
    }
    expect(reads.length).toBe(13)
    const [only, ...others] = reads.take()
    expect(Buffer.from(only!).toString()).toBe('one two three')
    expect(others).toEqual([])
    // Who keeps it keeps no more than that.
    expect(only!.buffer.byteLength).toBe(13)
    expect(reads.length).toBe(0)
    end()
  })

  it('stop while the socket is paused', async () => {
    const { near, far, end } = await newPair()
    const first = Promise.withResolvers<void>()
    const reads = SideBySideReads.of(near, () => first.resolve())!
    near.on('data', () => undefined)
    far.write('a')
    await first.promise
    near.pause()
    far.write(new Uint8Array(100_000))
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    expect(reads.length).toBe(1)
    near.resume()
    far.end()
    await once(near, 'end')
    expect(reads.length).toBe(100_001)
    end()
  })

  it('are left to the socket that cannot have them', async () => {
    const { near, end } = await newPair()
    const closed = once(near, 'close')
    end()
    await closed
    expect(SideBySideReads.of(near, () => undefined)).toBe(undefined)
  })
})
