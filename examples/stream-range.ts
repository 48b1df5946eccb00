/**
 * Plays a second from the middle of a video: of a blob of 64 MiB only the bytes wanted are sent, and each is proven to be the
 * blob's before it is handed out. Nothing is stored.
 *
 *   npx node examples/stream-range.ts
 */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { blobs, boundedFrames, MemoryStore, YAMUX_OPTIONS } from 'libp2p-blobs'

const start = (store: MemoryStore) =>
  createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [boundedFrames(yamux(YAMUX_OPTIONS))],
    services: { blobs: blobs({ store }) }
  })

const MIB = 1024 * 1024
const video = new Uint8Array(64 * MIB).map((_, i) => (i >> 12) % 251)
const library = new MemoryStore()
const { hash } = await library.addBytes(video)
const provider = await start(library)
const player = await start(new MemoryStore())

let sent = 0
provider.services.blobs.addEventListener('request', ({ detail }) => {
  sent += detail.bytes
})
const from = provider.getMultiaddrs()
const status = await player.services.blobs.status(hash, { from })
if (status.state === 'absent') throw new Error('the provider does not have the video')

const offset = Math.floor(status.size / 2) + 12_345
let played = 0
for await (const bytes of player.services.blobs.stream(hash, { from, offset, length: 2 * MIB })) {
  if (!bytes.every((byte, i) => byte === video[offset + played + i])) throw new Error('that is not the video')
  played += bytes.length
}

await Promise.all([provider.stop(), player.stop()])
console.log(`played ${played} bytes of ${status.size}, the provider sent ${sent}`)
