/** Garbage that is collected while blobs are being fetched. */
import type { Libp2p } from '@libp2p/interface'
import { afterEach, expect, it } from 'vitest'
import type { Hash } from '../../src/hash.ts'
import { blobs } from '../../src/libp2p/index.ts'
import { collectGarbage } from '../../src/node/gc/collect.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import type { HashAndFormat } from '../../src/store/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { createTestNode } from '../helpers/libp2p.ts'

const running: Libp2p[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(node => node.stop()))
})

const COUNT = 30

async function start() {
  const store = new MemoryStore()
  const node = await createTestNode({ services: { blobs: blobs({ store }) } })
  running.push(node)
  return { store, blobs: node.services.blobs, addrs: node.getMultiaddrs() }
}

/** Collects garbage again and again until it is stopped. */
function collectAlways(store: MemoryStore): () => Promise<void> {
  let isOver = false
  const collecting = (async () => {
    while (!isOver) {
      await collectGarbage(store, { partialAgeMs: -1000 })
      await new Promise(resolve => setImmediate(resolve))
    }
  })()
  return async () => {
    isOver = true
    await collecting
  }
}

it.each(['fetch', 'fetchMany'] as const)('%s loses nothing to it until it has ended', async method => {
  const [provider, getter] = [await start(), await start()]
  const children: Hash[] = []
  for (let i = 0; i < COUNT; i++)
    children.push((await provider.store.addBytes(randomData(50_000 + i, i))).hash)
  const { hash } = await provider.store.addBytes(HashSequence.fromHashes(children).bytes)
  const stop = collectAlways(getter.store)
  const options = { from: provider.addrs }
  if (method === 'fetch') {
    const { blobs: count } = await getter.blobs.fetch(hash, { ...options, format: 'hash_seq' })
    expect(count).toBe(1 + COUNT)
  } else {
    const { fetched } = await getter.blobs.fetchMany(children, options)
    expect(fetched).toHaveLength(COUNT)
  }
  await stop()
  // What was fetched is the caller's to keep.
  await collectGarbage(getter.store, { partialAgeMs: -1000 })
  expect(await Array.fromAsync(getter.store.list())).toEqual([])
})

it('keeps what a caller holds a lease of', async () => {
  const [provider, getter] = [await start(), await start()]
  const child = await provider.store.addBytes(randomData(100_000))
  const { hash } = await provider.store.addBytes(HashSequence.fromHashes([child.hash]).bytes)
  await using lease = await getter.store.lease()
  await lease.protect({ hash, format: 'hash_seq' })
  const stop = collectAlways(getter.store)
  await getter.blobs.fetch(hash, { from: provider.addrs, format: 'hash_seq' })
  await stop()
  await collectGarbage(getter.store, { partialAgeMs: -1000 })
  for (const each of [hash, child.hash]) expect((await getter.store.status(each)).state).toBe('complete')
})

/** A getter whose store tells what it is asked, in order, and protects nothing before `mayProtect`. */
async function startWatched(mayProtect: Promise<unknown>) {
  const store = new MemoryStore()
  const asked: string[] = []
  const watched = new Proxy(store, {
    get(target, name) {
      if (name === 'lease') {
        return async () => {
          const lease = await target.lease()
          const protect = async (...roots: HashAndFormat[]) => {
            await mayProtect
            await lease.protect(...roots)
            asked.push('protected')
          }
          const release = () => lease.release()
          return { protect, release, [Symbol.asyncDispose]: release }
        }
      }
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (name === 'status' || name === 'writer') asked.push(name)
        return value.apply(target, args)
      }
    }
  })
  const node = await createTestNode({ services: { blobs: blobs({ store: watched }) } })
  running.push(node)
  return { store, asked, blobs: node.services.blobs }
}

it('writes nothing that is not protected, but asks for it meanwhile', async () => {
  const provider = await start()
  const { hash } = await provider.store.addBytes(randomData(5000))
  const protecting = Promise.withResolvers<void>()
  const getter = await startWatched(protecting.promise)
  const served = new Promise(resolve => provider.blobs.addEventListener('request', resolve, { once: true }))
  const fetching = getter.blobs.fetch(hash, { from: provider.addrs })
  await served
  expect(getter.asked).toEqual(['status'])
  protecting.resolve()
  await fetching
  expect(getter.asked).toEqual(['status', 'protected', 'writer'])
})

it('looks at what is there when that is protected', async () => {
  const [provider, getter] = [await start(), await startWatched(Promise.resolve())]
  const { hash } = await provider.store.addBytes(randomData(5000))
  await getter.store.addBytes(randomData(5000))
  await getter.blobs.fetch(hash, { from: provider.addrs })
  expect(getter.asked).toEqual(['status', 'protected', 'status'])
})

it('fails when it cannot be protected, and writes nothing', async () => {
  const failing = Promise.reject(new Error('no room for a lease'))
  failing.catch(() => undefined)
  const [provider, getter] = [await start(), await startWatched(failing)]
  const { hash } = await provider.store.addBytes(randomData(5000))
  await expect(getter.blobs.fetch(hash, { from: provider.addrs })).rejects.toThrow('no room for a lease')
  expect(getter.asked).toEqual(['status'])
})
