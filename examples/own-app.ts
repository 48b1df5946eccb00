/**
 * Adds the service to a libp2p app: one more line under `services`. Two such apps swap a blob.
 *
 *   npx node examples/own-app.ts
 */
import { yamux } from '@chainsafe/libp2p-yamux'
import { createLibp2p } from 'libp2p'
import { blobs, boundedFrames, MemoryStore, YAMUX_OPTIONS } from 'libp2p-blobs'
import { noise } from 'libp2p-blobs/noise'
import { tcp } from 'libp2p-blobs/tcp'

const startApp = (store: MemoryStore) =>
  createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    // Or those of @libp2p/tcp and @chainsafe/libp2p-noise: these are faster, and understand them.
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [boundedFrames(yamux(YAMUX_OPTIONS))],
    services: {
      blobs: blobs({
        store,
        // Decided before the store is looked at: here, everybody may get, and nobody may push.
        authorize: ({ request }) => request.type !== 'push'
      })
    }
  })

const alices = new MemoryStore()
const alice = await startApp(alices)
const bob = await startApp(new MemoryStore())

const { hash } = await alices.addBytes(new TextEncoder().encode('a photo, say'))
const result = await bob.services.blobs.fetch(hash, {
  from: alice.getMultiaddrs(),
  onProgress: ({ received, total }) => console.log(`${received} of ${total ?? '?'} bytes`)
})
console.log(`bob has ${result.size} bytes of ${hash}`)

await Promise.all([alice.stop(), bob.stop()])
