/** What a peer gets of a blob that has been damaged in the provider's store. */
import type { Libp2p } from '@libp2p/interface'
import { afterEach, describe, expect, it } from 'vitest'
import { TruncatedEncodingError } from '../../src/bao/errors.ts'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import { blobs } from '../../src/libp2p/index.ts'
import { NotAvailableError } from '../../src/protocol/errors.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { dataKey, outboardKey } from '../../src/store/object/layout.ts'
import { MemoryStorage } from '../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../src/store/object/store.ts'
import { randomData } from '../helpers/data.ts'
import { flipByte } from '../helpers/files.ts'
import { createTestNode } from '../helpers/libp2p.ts'
import { scratch } from '../node/support.ts'

const running: Libp2p[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(node => node.stop()))
})

async function providerAndGetter() {
  const storage = new MemoryStorage()
  const store = await ObjectStore.inMemory(storage)
  return { storage, ...(await fetching(store)) }
}

/** A provider with this store, in which a blob is, and somebody who fetches it. */
async function fetching(store: BlobStore & { readonly notices: readonly string[] }) {
  const data = randomData(100_000)
  const { hash } = await store.addBytes(data)
  const into = new MemoryStore()
  const provider = await createTestNode({ services: { blobs: blobs({ store }) } })
  const getter = await createTestNode({ services: { blobs: blobs({ store: into }) } })
  running.push(provider, getter)
  const fetch = (ranges?: ChunkRanges) =>
    getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs(), ...(ranges && { ranges }) })
  return { store, data, hash, into, fetch }
}

describe('a fetch', () => {
  it.each(['gone', 'cut off'])('succeeds when the outboard is %s: it is mended meanwhile', async what => {
    const { storage, store, hash, into, fetch } = await providerAndGetter()
    if (what === 'gone') await storage.delete([outboardKey(hash)])
    else await storage.put(outboardKey(hash), [new Uint8Array(64)])
    await fetch()
    expect(await into.status(hash)).toMatchObject({ state: 'complete' })
    expect(store.notices).toEqual([expect.stringContaining('computed anew')])
  })

  it.each(['gone', 'cut off'])(
    'says that the provider does not have the blob when its data is %s',
    async what => {
      const { storage, store, data, hash, fetch } = await providerAndGetter()
      if (what === 'gone') await storage.delete([dataKey(hash)])
      else await storage.put(dataKey(hash), [data.subarray(0, 1000)])
      await expect(fetch()).rejects.toThrow(NotAvailableError)
      await expect.poll(() => store.notices).toHaveLength(1)
      expect(store.notices[0]).toContain('add or fetch the blob again')
    }
  )

  const wrongGroup = ChunkRanges.range(48, 64)
  const behind = ChunkRanges.range(64, 98)

  async function expectRest({ store, data, hash, into, fetch }: Awaited<ReturnType<typeof fetching>>) {
    // What comes before the wrong byte is good, and kept.
    await expect(fetch()).rejects.toThrow()
    expect(await into.status(hash)).toMatchObject({ state: 'partial', ranges: ChunkRanges.range(0, 48) })
    await expect.poll(() => store.status(hash)).toMatchObject({ state: 'partial' })
    expect(await store.status(hash)).toMatchObject({ ranges: ChunkRanges.range(0, 48).union(behind) })
    // The wrong group is not there, to whomever asks for it; what is behind it is.
    await expect(fetch(wrongGroup)).rejects.toThrow(TruncatedEncodingError)
    expect(await fetch(behind)).toMatchObject({ received: 100_000 - 65_536 })
    await store.addBytes(data)
    expect(await fetch()).toMatchObject({ received: 16_384 })
    expect(await into.status(hash)).toMatchObject({ state: 'complete' })
  }

  it('gets what is right when a byte is wrong in an object store, and the rest when that is repaired', async () => {
    const { storage, ...parts } = await providerAndGetter()
    const wrong = parts.data.slice()
    wrong[50_000]! ^= 1
    await storage.put(dataKey(parts.hash), [wrong])
    await expectRest(parts)
  })

  it('gets what is right when a byte is wrong in a file, and the rest when that is repaired', async () => {
    await using folder = await scratch()
    await using store = await LegacyFsStore.open(folder.path)
    const parts = await fetching(store)
    await flipByte(folder.in(`data/${parts.hash}.data`), 50_000)
    await expectRest(parts)
  })
})
