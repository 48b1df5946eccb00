/** What a fetch asks for when there is more to ask for than a request can hold. */
import type { Libp2p } from '@libp2p/interface'
import { afterEach, expect, it } from 'vitest'
import { ChunkRanges, Decoder, encode, GROUP_BYTES } from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import type { FetchProgress } from '../../src/libp2p/fetch/progress.ts'
import { type FetchContext, Transfer } from '../../src/libp2p/fetch/transfer.ts'
import { Getter } from '../../src/libp2p/getter.ts'
import { type BlobsComponents, blobs, DEFAULT_LIMITS } from '../../src/libp2p/index.ts'
import { Misbehaviour } from '../../src/libp2p/misbehaviour.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { createTestNode } from '../helpers/libp2p.ts'

const running: Libp2p[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(node => node.stop()))
})

/** Puts every second group of a blob into `to`. */
async function copyEverySecondGroup(from: BlobStore, to: BlobStore, hash: Hash): Promise<void> {
  await using reader = await from.open(hash)
  const { size } = reader!
  const held = ChunkRanges.fromBoundaries(
    Array.from({ length: 2 * Math.floor(size / GROUP_BYTES / 2) }, (_, i) => i * 16)
  )
  await using writer = await to.writer(hash, size)
  const decoder = new Decoder(hash, size, held)
  for await (const bytes of encode(hash, reader!, held)) await writer.write(decoder.decode(bytes))
}

it('asks again until everything is there, and counts each byte and each blob once', async () => {
  const [from, to] = [new MemoryStore(), new MemoryStore()]
  const children: Hash[] = []
  for (const groups of [1, 20, 3, 20, 40, 0, 1]) {
    children.push((await from.addBytes(randomData(groups * GROUP_BYTES, groups))).hash)
  }
  const { hash } = await from.addBytes(HashSequence.fromHashes(children).bytes)
  for (const child of children) await copyEverySecondGroup(from, to, child)
  const sizes = (1 + 20 + 3 + 40) * GROUP_BYTES + 32 * children.length

  const asked: number[] = []
  const provider = await createTestNode({ services: { blobs: blobs({ store: from }) } })
  provider.services.blobs.addEventListener('request', ({ detail }) => {
    if (detail.request?.type === 'get') asked.push(detail.request.ranges.numbers)
  })
  const node = await createTestNode({
    services: {
      getter: (components: BlobsComponents) =>
        new Getter(components, DEFAULT_LIMITS, components.logger.forComponent('test'))
    }
  })
  running.push(provider, node)
  let progress: FetchProgress | undefined
  const context: FetchContext = {
    getter: node.services.getter,
    store: to,
    limits: DEFAULT_LIMITS,
    log: node.logger.forComponent('test'),
    misbehaviour: new Misbehaviour(),
    onMisbehaved: () => undefined
  }
  const transfer = new Transfer(context, {
    hash,
    format: 'hash_seq',
    ranges: ChunkRanges.all,
    rangesPerRequest: 4,
    onProgress: now => {
      progress = now
    }
  })
  transfer.addProviders([provider.getMultiaddrs()])
  const result = await transfer.run()

  expect(result).toMatchObject({ size: sizes, blobs: 1 + 5 })
  expect(result.received + result.had).toBe(sizes)
  expect(result.had).toBe((10 + 1 + 20) * GROUP_BYTES)
  expect(progress).toMatchObject({ received: result.received, had: result.had, blobs: 6, blobsDone: 6 })
  for (const child of children) expect((await to.status(child)).state).toBe('complete')
  expect(asked.length).toBeGreaterThan(6)
  expect(Math.max(...asked)).toBeLessThan(30)
})
