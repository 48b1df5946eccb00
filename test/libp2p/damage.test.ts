/** What a peer gets of a blob that has been damaged in the provider's store. */
import type { Libp2p } from '@libp2p/interface'
import { afterEach, describe, expect, it } from 'vitest'
import { blobs } from '../../src/libp2p/index.ts'
import { NotAvailableError } from '../../src/protocol/errors.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { dataKey, outboardKey } from '../../src/store/object/layout.ts'
import { MemoryStorage } from '../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../src/store/object/store.ts'
import { randomData } from '../helpers/data.ts'
import { createTestNode } from '../helpers/libp2p.ts'

const running: Libp2p[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(node => node.stop()))
})

async function providerAndGetter() {
  const storage = new MemoryStorage()
  const store = await ObjectStore.inMemory(storage)
  const data = randomData(100_000)
  const { hash } = await store.addBytes(data)
  const into = new MemoryStore()
  const provider = await createTestNode({ services: { blobs: blobs({ store }) } })
  const getter = await createTestNode({ services: { blobs: blobs({ store: into }) } })
  running.push(provider, getter)
  const fetch = () => getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs() })
  return { storage, store, data, hash, into, fetch }
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
})
