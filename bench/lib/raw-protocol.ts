/** What a libp2p stream can carry at all: bytes through our reader and writer, with no hashing and no disk. */
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { streamReader } from '../../dist/libp2p/stream-reader.js'
import { streamWriter, writeAll, writePieceBytes } from '../../dist/libp2p/stream-writer.js'

const RAW_PROTOCOL = '/bench/raw-stream/1'
const SOURCE_BYTES = 1024 * 1024
const REQUEST_BYTES = 8

/** The providing half: answers every stream with as many bytes as it asks for. */
export async function serveRaw(node: Libp2p): Promise<void> {
  await node.handle(RAW_PROTOCOL, (stream, connection) => {
    answer(stream, writePieceBytes(connection)).catch((err: Error) => stream.abort(err))
  })
}

/** The getting half: asks for bytes, counts them and forgets them. */
export async function getRaw(connection: Connection, bytes: number): Promise<number> {
  const stream = await connection.newStream(RAW_PROTOCOL)
  const reader = streamReader(stream)
  const writer = streamWriter(stream)
  await writer.write(requestOf(bytes))
  await writer.end()
  for await (const _ of reader);
  if (reader.bytesRead !== bytes) throw new Error(`asked for ${bytes} bytes, got ${reader.bytesRead}`)
  return bytes
}

async function answer(stream: Stream, pieceBytes: number): Promise<void> {
  const reader = streamReader(stream)
  const request = new Uint8Array(REQUEST_BYTES)
  for await (const piece of reader) request.set(piece, reader.bytesRead - piece.length)
  await writeAll(stream, zeros(Number(new DataView(request.buffer).getBigUint64(0))), { pieceBytes })
}

function requestOf(bytes: number): Uint8Array {
  const request = new Uint8Array(REQUEST_BYTES)
  new DataView(request.buffer).setBigUint64(0, BigInt(bytes))
  return request
}

function* zeros(bytes: number): Generator<Uint8Array> {
  const source = new Uint8Array(SOURCE_BYTES)
  for (let at = 0; at < bytes; at += SOURCE_BYTES) {
    yield source.subarray(0, Math.min(SOURCE_BYTES, bytes - at))
  }
}
