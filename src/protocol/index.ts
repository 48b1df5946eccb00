/**
 * The protocol over any stream of bytes: requests, responses, and the text forms of hashes and tickets. Nothing here knows
 * of libp2p or does I/O; a store is what {@link BlobStore} says. `libp2p-blobs/protocol`.
 *
 * @packageDocumentation
 *
 * @example A response, over nothing but `it-pipe`
 *
 * ```ts
 * import { pipe } from 'it-pipe'
 * import { ChunkRanges, MemoryStore } from 'libp2p-blobs'
 * import { encodeRequest, RangesSeq, receive, respond, storeSink } from 'libp2p-blobs/protocol'
 *
 * const from = new MemoryStore()
 * const to = new MemoryStore()
 * const { hash } = await from.addBytes(new TextEncoder().encode('hello'))
 * const request = { type: 'get', hash, ranges: RangesSeq.blob(ChunkRanges.all) } as const
 * await pipe(
 *   [encodeRequest(request)],
 *   source => respond(source, from),
 *   async source => {
 *     for await (const { received, size } of receive(request, source, storeSink(to))) console.log(received, size)
 *   }
 * )
 * ```
 */
export * from '../cid.ts'
export * from '../hash.ts'
export * from './collection.ts'
export * from './constants.ts'
export * from './errors.ts'
export * from './hash-or-ticket.ts'
export * from './hash-sequence.ts'
export * from './iroh-ticket.ts'
export * from './links.ts'
export * from './missing.ts'
export { receiveObserved } from './observe.ts'
export * from './observe-item.ts'
export { MalformedError, TruncatedError } from './postcard.ts'
export * from './ranges-seq.ts'
export * from './receive.ts'
export * from './request.ts'
export * from './respond.ts'
export * from './safe-name.ts'
export * from './status.ts'
export * from './store-sink.ts'
export * from './ticket.ts'
