/** Two nodes, with each kind of store on either side. */
import type { Libp2p } from '@libp2p/interface'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { readVerified } from '../../src/bao/encoder.ts'
import { ChunkRanges, RUN_BYTES } from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import { type Blobs, blobs } from '../../src/libp2p/index.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { randomData } from '../helpers/data.ts'
import { createTestNode } from '../helpers/libp2p.ts'
import { S3_URL_VARIABLE } from '../helpers/s3.ts'
import { STORE_NAMES, type StoreName, Stores } from '../helpers/stores.ts'

const stores = new Stores()
const running: Libp2p[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map(node => node.stop()))
})

afterAll(async () => {
  await stores.close()
})

async function start(name: StoreName): Promise<Libp2p<{ blobs: Blobs }> & { store: BlobStore }> {
  const store = await stores.make(name)
  const node = await createTestNode({ services: { blobs: blobs({ store }) } })
  running.push(node)
  return Object.assign(node, { store }) as never
}

async function bytesOf(store: BlobStore, hash: Hash): Promise<Uint8Array> {
  await using reader = await store.open(hash)
  const pieces = readVerified(hash, reader!, ChunkRanges.all)
  return Buffer.concat(await Array.fromAsync(pieces, ({ bytes }) => bytes.slice()))
}

/** Where there is a real S3 server, only what concerns it: the others are tested without it. */
const isOnServer = process.env[S3_URL_VARIABLE] !== undefined

const pairs = STORE_NAMES.flatMap(from => STORE_NAMES.map(to => ({ from, to })))
  .filter(({ from, to }) => from === to || from === 'memory' || to === 'memory' || from === 'legacy-fs')
  .filter(({ from, to }) => !isOnServer || from === 'object: s3' || to === 'object: s3')

describe.each(pairs)('from $from to $to', ({ from, to }) => {
  it('go blobs of several sizes, and a hash sequence', async () => {
    const [provider, getter] = [await start(from), await start(to)]
    const children: Hash[] = []
    for (const size of [1, 16_384, 16_385, RUN_BYTES + 1, 3 * RUN_BYTES + 77]) {
      children.push((await provider.store.addBytes(randomData(size, 5))).hash)
    }
    const { hash } = await provider.store.addBytes(HashSequence.fromHashes(children).bytes)
    await getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs(), format: 'hash_seq' })
    for (const child of children) {
      expect(Buffer.compare(await bytesOf(getter.store, child), await bytesOf(provider.store, child))).toBe(0)
    }
  })

  it('goes a blob that was there in part, and the part is served on meanwhile', async () => {
    const [provider, getter, third] = [await start(from), await start(to), await start('memory')]
    const data = randomData(20 * RUN_BYTES + 5, 9)
    const { hash } = await provider.store.addBytes(data)
    const some = ChunkRanges.range(0, 9 * 1024).union(ChunkRanges.range(12 * 1024, 13 * 1024))
    await getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs(), ranges: some })
    expect(await getter.store.status(hash)).toMatchObject({ state: 'partial', ranges: some })
    await third.services.blobs.fetch(hash, { from: getter.getMultiaddrs(), ranges: some })
    expect(await third.store.status(hash)).toMatchObject({ state: 'partial', ranges: some })
    const result = await getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs() })
    expect(result.had).toBe(10 * RUN_BYTES)
    expect(Buffer.compare(await bytesOf(getter.store, hash), data)).toBe(0)
  })
})
