/**
 * Fetches the blob of a ticket, checks it while it arrives, and prints it.
 *
 *   npx node examples/fetch.ts TICKET
 */
import { multiaddr } from '@multiformats/multiaddr'
import { ChunkRanges, MemoryStore, readVerified } from 'libp2p-blobs'
import { createNode } from 'libp2p-blobs/node'
import { decodeTicket } from 'libp2p-blobs/protocol'

const [, , text] = process.argv
if (text === undefined) {
  console.error('usage: npx node examples/fetch.ts TICKET')
  process.exit(2)
}
const ticket = decodeTicket(text)
const store = new MemoryStore()
const node = await createNode({ store, listen: [] })
try {
  const from = ticket.addrs.map(addr => multiaddr(`${addr}/p2p/${ticket.peerId}`))
  await node.blobs.fetch(ticket.hash, { from, signal: AbortSignal.timeout(30_000) })

  await using blob = await store.open(ticket.hash)
  if (blob === undefined) throw new Error('the blob was deleted meanwhile')
  for await (const { bytes } of readVerified(ticket.hash, blob, ChunkRanges.all)) process.stdout.write(bytes)
} finally {
  await node.stop()
}
