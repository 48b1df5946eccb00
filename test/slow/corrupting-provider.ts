/**
 * A node that serves a home, but spoils a byte in every thousandth chunk group that it sends. An honest node cannot do that: it
 * checks what it sends. Argument: the home. Prints its address.
 */
import { GROUP_BYTES } from '../../src/bao/constants.ts'
import { closeStream } from '../../src/libp2p/close-stream.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { streamWriter } from '../../src/libp2p/stream-writer.ts'
import { createNode } from '../../src/node/create-node.ts'
import { BLOBS_PROTOCOL } from '../../src/protocol/constants.ts'
import { respond } from '../../src/protocol/respond.ts'

const SPOIL_EVERY_BYTES = 1000 * GROUP_BYTES

/** It begins half way, so that a provider of some MiB is caught too. */
let sent = SPOIL_EVERY_BYTES / 2

function spoiled(piece: Uint8Array): Uint8Array {
  const before = Math.floor(sent / SPOIL_EVERY_BYTES)
  sent += piece.length
  if (Math.floor(sent / SPOIL_EVERY_BYTES) === before) return piece
  const copy = piece.slice()
  const at = Math.floor(copy.length / 2)
  copy[at] = copy[at]! ^ 1
  return copy
}

const node = await createNode({ home: process.argv[2], listen: ['/ip4/127.0.0.1/tcp/0'] })
await node.libp2p.unhandle(BLOBS_PROTOCOL)
await node.libp2p.handle(BLOBS_PROTOCOL, async stream => {
  const writer = streamWriter(stream)
  try {
    for await (const piece of respond(streamReader(stream), node.store, { hasStatus: true })) {
      await writer.write(spoiled(piece))
    }
    await writer.end()
    await closeStream(stream)
  } catch (error) {
    writer.abort(error instanceof Error ? error : new Error(String(error)))
  }
})
console.log(node.addrs[0])
