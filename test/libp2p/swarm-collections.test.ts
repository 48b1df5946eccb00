/** A hash sequence with its children from several providers. */
import { afterEach, expect, it } from 'vitest'
import { ChunkRanges, GROUP_BYTES, hashBytes } from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import type { FetchProgress, FetchResult, ServedRequest } from '../../src/libp2p/index.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import {
  addrsOf,
  copyRanges,
  expectSame,
  limitedTo,
  MIB,
  type SwarmNode,
  startNode,
  stopNodes,
  untilQuiet,
  withoutObserve
} from './swarm.ts'

afterEach(stopNodes)

interface Sequence {
  readonly hash: Hash
  readonly root: Uint8Array
  readonly children: readonly Uint8Array[]
  /** Bytes of all, each blob counted once. */
  readonly size: number
}

function sequenceOf(children: readonly Uint8Array[]): Sequence {
  const root = HashSequence.fromHashes(children.map(data => hashBytes(data).hash)).bytes
  const size = root.length + [...new Set(children)].reduce((sum, { length }) => sum + length, 0)
  return { hash: hashBytes(root).hash, root, children, size }
}

function smallOnes(count: number, size = 4096): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => randomData(size, i + 1))
}

/** @param holds whether the store is to have child `i` */
async function add(
  { store }: SwarmNode,
  { root, children }: Sequence,
  holds: (i: number) => boolean = () => true
): Promise<void> {
  await store.addBytes(root)
  for (const [i, data] of children.entries()) if (holds(i)) await store.addBytes(data)
}

async function expectAll(store: BlobStore, { hash, root, children }: Sequence): Promise<void> {
  await expectSame(store, hash, root)
  for (const data of children) await expectSame(store, hashBytes(data).hash, data)
}

interface Fetched {
  readonly getter: SwarmNode
  readonly result: FetchResult
  readonly progress: readonly FetchProgress[]
}

async function fetchFrom(
  sequence: Sequence,
  nodes: readonly SwarmNode[],
  options: { getter?: SwarmNode; askSizes?: boolean } = {}
): Promise<Fetched> {
  const getter = options.getter ?? (await startNode())
  const progress: FetchProgress[] = []
  const result = await getter.services.blobs.fetch(sequence.hash, {
    from: addrsOf(...nodes),
    format: 'hash_seq',
    askSizes: options.askSizes,
    onProgress: now => progress.push(now)
  })
  await expectAll(getter.store, sequence)
  await untilQuiet(getter, ...nodes)
  expect(result.size).toBe(sequence.size)
  expect(result.received + result.had).toBe(sequence.size)
  for (const [i, { received }] of progress.entries())
    expect(received).toBeGreaterThanOrEqual(progress[i - 1]?.received ?? 0)
  expect(progress.at(-1)).toMatchObject({
    received: result.received,
    had: result.had,
    blobsDone: result.blobs
  })
  return { getter, result, progress }
}

const servedBy = (...nodes: readonly SwarmNode[]): number =>
  nodes.reduce((sum, { served }) => sum + served.bytes, 0)

it('3,000 small children come from two providers, many to a request', async () => {
  const sequence = sequenceOf(smallOnes(3000))
  const [a, b] = await Promise.all([1, 2].map(() => startNode({ wrap: limitedTo(4 * MIB) })))
  for (const node of [a!, b!]) await add(node, sequence)
  const { result, progress } = await fetchFrom(sequence, [a!, b!], { askSizes: true })
  expect(result).toMatchObject({ received: sequence.size, had: 0, blobs: 3001 })
  for (const { served } of [a!, b!]) {
    expect(served.bytes / sequence.size).toBeGreaterThan(0.3)
    expect(served.requests).toBeLessThan(60)
  }
  expect(progress.find(({ total }) => total !== undefined)?.total).toBe(sequence.size)
})

it('from one provider, all that is missing comes in one request', async () => {
  const children = smallOnes(2000, 1000)
  const sequence = sequenceOf([...children, ...children.slice(0, 500)])
  const node = await startNode()
  await add(node, sequence)
  const getter = await startNode()
  for (const data of children.slice(100, 300)) await getter.store.addBytes(data)
  const { result } = await fetchFrom(sequence, [node], { getter })
  expect(result).toMatchObject({ had: 200 * 1000, blobs: 2001 })
  // The sequence itself, and its children.
  expect(node.served.requests).toBe(2)
})

it('one large child among small ones is split', async () => {
  const children = smallOnes(200)
  children.splice(77, 0, randomData(16 * MIB, 999))
  const sequence = sequenceOf(children)
  const [a, b] = await Promise.all([1, 2].map(() => startNode({ wrap: limitedTo(4 * MIB) })))
  for (const node of [a!, b!]) await add(node, sequence)
  await fetchFrom(sequence, [a!, b!])
  for (const { served } of [a!, b!]) expect(served.bytes / sequence.size).toBeGreaterThan(0.25)
  expect(servedBy(a!, b!) / sequence.size).toBeLessThan(1.1)
})

it('children that are there in part are gone on with', async () => {
  const sequence = sequenceOf([1, 2, 3, 4].map(seed => randomData(3 * MIB + seed, seed)))
  const [a, b, getter] = [await startNode(), await startNode(), await startNode()]
  for (const node of [a, b]) await add(node, sequence)
  const held = ChunkRanges.range(0, 1024).union(ChunkRanges.range(2048, 2048 + 16))
  for (const data of sequence.children) await copyRanges(a.store, getter.store, hashBytes(data).hash, held)
  const { result } = await fetchFrom(sequence, [a, b], { getter })
  expect(result.had).toBe(4 * (MIB + GROUP_BYTES))
  expect(servedBy(a, b)).toBeLessThan(result.received * 1.03)
})

it.each([
  ['in halves', (i: number) => i < 150],
  ['in turn', (i: number) => i % 2 === 0],
  ['here and there', (i: number) => (i * 2654435761) % 7 < 3]
])('children come from those who have them: %s', async (_, isFirsts) => {
  const sequence = sequenceOf([...smallOnes(300), randomData(5 * MIB, 1000), randomData(5 * MIB, 1001)])
  const [a, b] = [await startNode(), await startNode()]
  await add(a, sequence, i => i === 300 || (i < 300 && isFirsts(i)))
  await add(b, sequence, i => i === 301 || (i < 300 && !isFirsts(i)))
  await fetchFrom(sequence, [a, b], { askSizes: true })
  expect(servedBy(a, b) / sequence.size).toBeLessThan(1.1)
})

it('children come from one that does not have the hash sequence', async () => {
  const sequence = sequenceOf(smallOnes(500))
  const [a, b] = [await startNode(), await startNode()]
  await add(a, sequence, i => i < 200)
  await add(b, sequence, i => i >= 200)
  await b.store.delete(sequence.hash)
  await fetchFrom(sequence, [a, b])
  expect(b.served.requests).toBeLessThan(100)
})

it('children come in part from one and in part from another, who cannot tell what they hold', async () => {
  const sequence = sequenceOf([...smallOnes(20), randomData(6 * MIB, 50)])
  const [whole, a, b] = [await startNode(), await startNode(), await startNode()]
  await add(whole, sequence)
  const { hash } = hashBytes(sequence.children[20]!)
  for (const [node, ranges] of [
    [a, ChunkRanges.range(0, 3072)],
    [b, ChunkRanges.range(3072)]
  ] as const) {
    await add(node, sequence, i => i < 20)
    await copyRanges(whole.store, node.store, hash, ranges)
    await withoutObserve(node)
  }
  await fetchFrom(sequence, [a, b])
})

it('children come from one that is still receiving them', async () => {
  const sequence = sequenceOf(Array.from({ length: 60 }, (_, i) => randomData(100_000, i + 1)))
  const [source, grows, empty] = [
    await startNode({ wrap: limitedTo(3 * MIB) }),
    await startNode(),
    await startNode()
  ]
  await add(source, sequence)
  const growing = grows.services.blobs.fetch(sequence.hash, { from: addrsOf(source), format: 'hash_seq' })
  while ((await grows.store.status(sequence.hash)).state !== 'complete')
    await new Promise(resolve => setTimeout(resolve, 10))
  await fetchFrom(sequence, [grows, empty])
  await growing
})

it('10,000 links are looked up while what is missing of the ones before is on its way', async () => {
  const blobs = Array.from({ length: 10_000 }, (_, i) => randomData(40, i + 1))
  const sequence = sequenceOf(blobs)
  const node = await startNode()
  await add(node, sequence)
  const store = new MemoryStore()
  let lookups = 0
  let most = 0
  const slow = new Proxy(store, {
    get(target, name) {
      if (name !== 'status') {
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
      return async (...args: Parameters<MemoryStore['status']>) => {
        most = Math.max(most, ++lookups)
        await new Promise(resolve => setImmediate(resolve))
        lookups--
        return await store.status(...args)
      }
    }
  })
  const getter = await startNode({ wrap: () => slow })
  const asked: ServedRequest[] = []
  node.services.blobs.addEventListener('request', ({ detail }) => asked.push(detail))
  const result = await getter.services.blobs.fetch(sequence.hash, { from: addrsOf(node), format: 'hash_seq' })
  expect(result).toMatchObject({ blobs: 10_001, received: sequence.size })
  await expectAll(store, sequence)
  // The list, and what it links to, 2,048 blobs at a time.
  expect(asked.length).toBe(1 + 5)
  expect(most).toBeGreaterThan(8)
  expect(most).toBeLessThanOrEqual(32)
})
