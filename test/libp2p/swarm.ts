/** Several providers and a getter, each a real node, and ways to make a provider worse than it should be. */
import type { Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { expect } from 'vitest'
import { ChunkRanges, Decoder, encode, readVerified } from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import { type Blobs, type BlobsInit, blobs } from '../../src/libp2p/index.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { streamWriter, writeAll } from '../../src/libp2p/stream-writer.ts'
import { BLOBS_PROTOCOL, IROH_PROTOCOL } from '../../src/protocol/constants.ts'
import { respond } from '../../src/protocol/respond.ts'
import type { BlobReader, BlobStore } from '../../src/store/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { abortable } from '../../src/store/waiting.ts'
import { createTestNode } from '../helpers/libp2p.ts'

export const MIB = 1024 * 1024

export type SwarmNode = Libp2p<{ blobs: Blobs }> & {
  readonly store: MemoryStore
  /** Bytes and requests that it has answered, and requests that it has begun to answer. */
  readonly served: { bytes: number; requests: number; begun: number }
}

export interface SwarmNodeOptions extends Partial<BlobsInit> {
  /** What the node serves from, made of its store. */
  readonly wrap?: (store: MemoryStore) => BlobStore
}

const running: Libp2p[] = []

export async function startNode({ wrap, ...init }: SwarmNodeOptions = {}): Promise<SwarmNode> {
  const store = new MemoryStore()
  const served = { bytes: 0, requests: 0, begun: 0 }
  const service = blobs({
    store: wrap?.(store) ?? store,
    authorize: () => {
      served.begun++
      return true
    },
    ...init
  })
  const node = await createTestNode({ services: { blobs: service } })
  running.push(node)
  node.services.blobs.addEventListener('request', ({ detail }) => {
    served.bytes += detail.bytes
    served.requests++
  })
  return Object.assign(node, { store, served }) as unknown as SwarmNode
}

export async function stopNodes(): Promise<void> {
  await Promise.all(running.splice(0).map(node => node.stop()))
}

export function addrsOf(...nodes: readonly Libp2p[]): Multiaddr[] {
  return nodes.flatMap(node => node.getMultiaddrs())
}

/** Puts some chunks of a blob that `from` has into `to`. */
export async function copyRanges(
  from: BlobStore,
  to: BlobStore,
  hash: Hash,
  ranges: ChunkRanges
): Promise<void> {
  await using reader = await from.open(hash)
  const { size } = reader!
  await using writer = await to.writer(hash, size)
  const decoder = new Decoder(hash, size, ranges)
  for await (const bytes of encode(hash, reader!, ranges)) await writer.write(decoder.decode(bytes))
}

export async function expectSame(store: BlobStore, hash: Hash, data: Uint8Array): Promise<void> {
  expect(await store.status(hash)).toMatchObject({ state: 'complete' })
  await using reader = await store.open(hash)
  const pieces = await Array.fromAsync(readVerified(hash, reader!, ChunkRanges.all), ({ bytes }) =>
    bytes.slice()
  )
  expect(Buffer.compare(Buffer.concat(pieces), data)).toBe(0)
}

/** Resolves when `condition` holds; the test's own timeout ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10)
}

export async function sleep(ms: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, ms))
}

/** No stream is open at any of the nodes, and what they have served is counted. */
export async function untilQuiet(...nodes: readonly SwarmNode[]): Promise<void> {
  await until(() => nodes.every(node => node.getConnections().every(({ streams }) => streams.length === 0)))
  await until(() => nodes.every(({ served }) => served.requests >= served.begun))
}

/** The store, whose readers wait for `onRead` before each read of data, but not longer than they are wanted. */
export function slowedStore(store: BlobStore, onRead: (bytes: number) => Promise<void>): BlobStore {
  const slowed = (reader: BlobReader): BlobReader =>
    overriding(reader, {
      readData: async (offset: number, target: Uint8Array, signal?: AbortSignal) => {
        await abortable(onRead(target.length), signal)
        await reader.readData(offset, target, signal)
      },
      readDataInto: async (offset: number, targets: readonly Uint8Array[], signal?: AbortSignal) => {
        await abortable(onRead(targets.reduce((sum, { length }) => sum + length, 0)), signal)
        await reader.readDataInto!(offset, targets, signal)
      }
    })
  return overriding(store, {
    open: async (hash: Hash, options?: object) => {
      const reader = await store.open(hash, options)
      return reader && slowed(reader)
    }
  })
}

/** At most so many bytes per second, however many readers there are. */
export function limitedTo(bytesPerSecond: number): (store: BlobStore) => BlobStore {
  let freeAt = 0
  return store =>
    slowedStore(store, async bytes => {
      freeAt = Math.max(freeAt, performance.now()) + (bytes / bytesPerSecond) * 1000
      const ms = freeAt - performance.now()
      // A timer takes longer than a small read.
      if (ms > 10) await sleep(ms)
    })
}

/** A wrapper that adds what is read to `counted`. */
export function counting(counted: { bytes: number }): (store: BlobStore) => BlobStore {
  return store =>
    slowedStore(store, async bytes => {
      counted.bytes += bytes
    })
}

/** So many times slower than another one, however fast this machine is. */
export function slowerThan(
  other: { readonly bytes: number },
  times: number
): (store: BlobStore) => BlobStore {
  let read = 0
  return store =>
    slowedStore(store, async bytes => {
      read += bytes
      const due = read * times
      await until(() => other.bytes >= due)
    })
}

/** Stops for ever after so many bytes. */
export function stallingAfter(bytes: number): (store: BlobStore) => BlobStore {
  let left = bytes
  return store =>
    slowedStore(store, async length => {
      left -= length
      if (left < 0) await new Promise(() => undefined)
    })
}

function overriding<T extends object>(target: T, methods: Partial<Record<keyof T, unknown>>): T {
  return new Proxy(target, {
    get(_, name) {
      const own = (methods as Record<PropertyKey, unknown>)[name]
      if (own !== undefined) return own
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

/** Makes a node flip one bit of each response of `/iroh-bytes/4`, and speak no other protocol. */
export async function corrupt(node: SwarmNode, at: number): Promise<void> {
  await tamper(node, (piece, sent) => {
    if (sent <= at && sent + piece.length > at) piece[at - sent]! ^= 1
  })
}

/** Makes a node one from before Observe: it ends such a stream without a byte. */
export async function withoutObserve(node: SwarmNode): Promise<void> {
  await node.unhandle([BLOBS_PROTOCOL, IROH_PROTOCOL])
  await node.handle(IROH_PROTOCOL, async stream => {
    const request = Buffer.concat(await Array.fromAsync(streamReader(stream)))
    await writeAll(stream, request[0] === 0 ? respond([request], node.store) : [])
  })
}

/** Hands each piece of a response to `change` before it is sent, with the number of bytes sent before. */
export async function tamper(
  node: SwarmNode,
  change: (piece: Uint8Array, sent: number) => void
): Promise<void> {
  await node.unhandle([BLOBS_PROTOCOL, IROH_PROTOCOL])
  await node.handle(IROH_PROTOCOL, async stream => {
    const reader = streamReader(stream)
    const writer = streamWriter(stream)
    try {
      let sent = 0
      for await (const piece of respond(reader, node.store)) {
        const copy = piece.slice()
        change(copy, sent)
        sent += copy.length
        node.served.bytes += copy.length
        await writer.write(copy)
      }
      await writer.end()
    } catch (error) {
      stream.abort(error as Error)
    }
  })
}
