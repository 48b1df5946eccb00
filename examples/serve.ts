/**
 * Serves one piece of text and prints a ticket for it. End it with Ctrl-C.
 *
 *   npx node examples/serve.ts [--listen MULTIADDR]
 */
import { parseArgs } from 'node:util'
import { MemoryStore } from 'libp2p-blobs'
import { createNode } from 'libp2p-blobs/node'

const { values } = parseArgs({ options: { listen: { type: 'string', default: '/ip4/0.0.0.0/tcp/0' } } })

const store = new MemoryStore()
const { hash, size } = await store.addBytes(new TextEncoder().encode('Hello from libp2p-blobs!\n'))

const node = await createNode({ store, listen: [values.listen] })
node.blobs.addEventListener('request', ({ detail }) => {
  console.log(`sent ${detail.bytes} bytes to ${detail.peer}`)
})
console.log(`serving ${size} bytes, get them with:`)
console.log(`npx node examples/fetch.ts ${node.ticket(hash, 'raw')}`)

process.once('SIGINT', () => node.stop())
process.once('SIGTERM', () => node.stop())
