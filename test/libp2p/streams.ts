/** What the stream tests share: bytes to send, a sum of what arrives, and a watch over everything that is buffered. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import type { StreamReader } from '../../src/libp2p/stream-reader.ts'
import type { StreamWriter } from '../../src/libp2p/stream-writer.ts'

export const KIB = 1024
export const MIB = 1024 * KIB

/** The most that may wait on one stream, both sides together. */
export const BUFFER_LIMIT_BYTES = 8 * MIB

/** `total` bytes in pieces of `pieceBytes`, each byte depending on its position; `digest()` is that of what was yielded. */
export function patternSource(total: number, pieceBytes: number) {
  const hash = createHash('sha256')
  return {
    digest: () => hash.digest('hex'),
    *[Symbol.iterator](): Generator<Uint8Array> {
      for (let at = 0; at < total; at += pieceBytes) {
        const piece = new Uint8Array(Math.min(pieceBytes, total - at))
        const view = new DataView(piece.buffer)
        for (let i = 0; i < piece.length; i += KIB) view.setUint8(i, ((at + i) / KIB) & 255)
        piece[piece.length - 1] = at & 255
        hash.update(piece)
        yield piece
      }
    }
  }
}

export async function drainAndHash(
  reader: AsyncIterable<Uint8Array>
): Promise<{ bytes: number; digest: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const piece of reader) {
    hash.update(piece)
    bytes += piece.length
  }
  return { bytes, digest: hash.digest('hex') }
}

/** Everything that arrives, in one array. */
export async function readAll(reader: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(reader))
}

/** The most that was buffered while it ran, in bytes, looked at every 2 ms and whenever `look` is called. */
export function watchBuffers(from: [Stream, StreamWriter], to: [Stream, StreamReader]) {
  const [sender, writer] = from
  const [receiver, reader] = to
  const most = { sender: 0, receiver: 0, between: 0 }
  const look = () => {
    most.sender = Math.max(most.sender, sender.writeBufferLength)
    most.receiver = Math.max(most.receiver, reader.bufferedBytes + receiver.readBufferLength)
    most.between = Math.max(most.between, writer.bytesWritten - reader.bytesRead)
  }
  const timer = setInterval(look, 2)
  return {
    look,
    stop() {
      clearInterval(timer)
      return most
    }
  }
}

/** Waits until something is so; a test that waits in vain runs into its own time limit. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(2)
}

/** Waits until a number has not changed for 20 looks, each in a turn of its own: however long the machine stands still between two. */
export async function untilSteady(read: () => number): Promise<number> {
  let value = read()
  for (let looks = 0; looks < 20; looks++) {
    await sleep(5)
    if (read() === value) continue
    value = read()
    looks = 0
  }
  return value
}
