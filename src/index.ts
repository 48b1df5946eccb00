/**
 * Serve and fetch BLAKE3-verified blobs between libp2p peers.
 *
 * This entry loads in browsers and in Node: the libp2p service, the store in memory, and the values they speak in. What needs
 * Node has entries of its own: `libp2p-blobs/store/legacy-fs` and `libp2p-blobs/node`. The hash tree is `libp2p-blobs/bao`,
 * the protocol without libp2p `libp2p-blobs/protocol`.
 *
 * @packageDocumentation
 *
 * @example Two nodes
 *
 * ```ts
 * import { noise } from '@chainsafe/libp2p-noise'
 * import { yamux } from '@chainsafe/libp2p-yamux'
 * import { tcp } from '@libp2p/tcp'
 * import { createLibp2p } from 'libp2p'
 * import { blobs, boundedFrames, MemoryStore, YAMUX_OPTIONS } from 'libp2p-blobs'
 *
 * const start = (store: MemoryStore) =>
 *   createLibp2p({
 *     addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
 *     transports: [tcp()],
 *     connectionEncrypters: [noise()],
 *     streamMuxers: [boundedFrames(yamux(YAMUX_OPTIONS))],
 *     services: { blobs: blobs({ store }) }
 *   })
 *
 * const library = new MemoryStore()
 * const { hash } = await library.addBytes(new TextEncoder().encode('hello'))
 * const provider = await start(library)
 * const getter = await start(new MemoryStore())
 *
 * const { size } = await getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs() })
 * console.log(size) // 5
 * ```
 */
export { readVerified } from './bao/encoder.ts'
export * from './bao/errors.ts'
export * from './bao/ranges.ts'
export * from './cid.ts'
export * from './hash.ts'
export * from './libp2p/index.ts'
export * from './protocol/errors.ts'
export * from './store/errors.ts'
export * from './store/index.ts'
export { MemoryStore, type MemoryStoreOptions } from './store/memory/index.ts'
export { type QuotaOptions, QuotaStore } from './store/quota.ts'
