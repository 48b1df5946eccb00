/** Watching a blob arrive at another node. */
import type { Libp2p } from '@libp2p/interface'
import { afterAll, afterEach, expect, it } from 'vitest'
import { bytesWithin } from '../../src/bao/geometry.ts'
import { ChunkRanges, hashBytes } from '../../src/bao/index.ts'
import { type Blobs, blobs } from '../../src/libp2p/index.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { streamWriter } from '../../src/libp2p/stream-writer.ts'
import { BLOBS_PROTOCOL } from '../../src/protocol/constants.ts'
import { respond } from '../../src/protocol/respond.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { createTestNode } from '../helpers/libp2p.ts'
import { Stores } from '../helpers/stores.ts'

const MIB = 1024 * 1024

const stores = new Stores()
const running: Libp2p[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map(node => node.stop()))
})

afterAll(async () => {
  await stores.close()
})

async function start(store = new MemoryStore()): Promise<Libp2p<{ blobs: Blobs }>> {
  const node = await createTestNode({ services: { blobs: blobs({ store }) } })
  running.push(node)
  return node as never
}

it.each(['memory', 'legacy-fs', 'object: memory'] as const)(
  'a slow transfer is told of while it goes on (%s)',
  async name => {
    const data = randomData(12 * MIB, 12)
    const { hash } = hashBytes(data)
    const source = new MemoryStore()
    await source.addBytes(data)
    const [provider, getter, observer] = [
      await start(),
      await start((await stores.make(name)) as never),
      await start()
    ]
    let sent = 0
    let seen = -1
    let wake: () => void = () => undefined
    // As slow as can be: a piece goes out when the observer has been told of what came before it.
    await provider.unhandle(BLOBS_PROTOCOL)
    await provider.handle(BLOBS_PROTOCOL, async stream => {
      const writer = streamWriter(stream)
      for await (const piece of respond(streamReader(stream), source, { hasStatus: true })) {
        while (piece.length > 1 && seen < sent - 3 * MIB) await new Promise<void>(resolve => (wake = resolve))
        await writer.write(piece)
        sent += piece.length
      }
      await writer.end()
    })
    const from = getter.getMultiaddrs()
    expect(await observer.services.blobs.observeOnce(hash, { from })).toEqual({
      size: 0,
      ranges: ChunkRanges.empty
    })
    const fetched = getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs() })
    const told: number[] = []
    for await (const { size, ranges } of observer.services.blobs.observe(hash, { from })) {
      seen = bytesWithin(ranges, size)
      told.push(seen)
      wake()
      if (ranges.isAll) break
    }
    await fetched
    expect(told).toEqual([...new Set(told)].sort((a, b) => a - b))
    expect(told.filter(bytes => bytes > 0 && bytes < data.length).length).toBeGreaterThanOrEqual(2)
    expect(told.at(-1)).toBe(data.length)
    expect(await observer.services.blobs.observeOnce(hash, { from })).toEqual({
      size: data.length,
      ranges: ChunkRanges.all
    })
  }
)
