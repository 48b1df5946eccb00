import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Address } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import { ChunkRanges } from '../../src/bao/index.ts'
import { loopbackFirst } from '../../src/node/address-order.ts'
import { InvalidConfigError } from '../../src/node/config.ts'
import { createNode, STOP_TIMEOUT_MS } from '../../src/node/create-node.ts'
import { importPath } from '../../src/node/import-path.ts'
import { announceServing, findServing } from '../../src/node/running.ts'
import { pushedTagName } from '../../src/node/tag-pushed.ts'
import { decodeTicket } from '../../src/protocol/ticket.ts'
import { StoreClosedError } from '../../src/store/errors.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { localNode, scratch, writeTree } from './support.ts'

const addressesOf = (text: string) => {
  const { addrs, peerId } = decodeTicket(text)
  return addrs.map(addr => multiaddr(`${addr}/p2p/${peerId}`))
}

describe('a node', () => {
  it('keeps its identity and its blobs in its home', async () => {
    await using folder = await scratch()
    const home = folder.in('home')
    const first = await localNode({ home })
    const { hash } = await first.store.addBytes(Buffer.from('kept'))
    await first.stop()
    const second = await localNode({ home })
    try {
      expect(second.peerId).toBe(first.peerId)
      expect((await second.store.status(hash)).state).toBe('complete')
    } finally {
      await second.stop()
    }
  })

  it('closes the store it has opened, and leaves the one it was given', async () => {
    await using folder = await scratch()
    const own = await localNode({ home: folder.in('home') })
    await own.stop()
    await expect(own.store.addBytes(new Uint8Array(1))).rejects.toThrow(StoreClosedError)
    const store = new MemoryStore()
    const lent = await localNode({ store })
    await lent.stop()
    await lent.stop()
    expect(await Array.fromAsync(store.list())).toEqual([])
  })

  it('gives tickets with all its addresses, by which another one fetches', async () => {
    const store = new MemoryStore()
    const { hash } = await store.addBytes(randomData(200_000))
    const provider = await localNode({ store })
    const getter = await createNode({ store: new MemoryStore(), listen: [] })
    try {
      const ticket = provider.ticket(hash, 'raw')
      const { addrs, peerId } = decodeTicket(ticket)
      expect(peerId).toBe(provider.peerId)
      expect(addrs.map(addr => `${addr}/p2p/${peerId}`)).toEqual(provider.addrs)
      expect(getter.addrs).toEqual([])
      const { size } = await getter.blobs.fetch(hash, { from: addressesOf(ticket) })
      expect(size).toBe(200_000)
    } finally {
      await Promise.all([getter.stop(), provider.stop()])
    }
  })

  it('announces what it is told to instead', async () => {
    const node = await localNode({ store: new MemoryStore(), announce: ['/dns4/example.org/tcp/4001'] })
    try {
      expect(node.addrs).toEqual([`/dns4/example.org/tcp/4001/p2p/${node.peerId}`])
    } finally {
      await node.stop()
    }
  })

  it('takes a key that it is given', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const node = await createNode({ store: new MemoryStore(), privateKey, listen: [] })
    await node.stop()
    expect(node.libp2p.peerId.publicKey?.equals(privateKey.publicKey)).toBe(true)
  })

  it('is not started by a wrong option', async () => {
    const options = { store: new MemoryStore(), listne: [] }
    await expect(createNode(options)).rejects.toThrow(InvalidConfigError)
    await expect(createNode(options)).rejects.toThrow('did you mean "listen"?')
  })

  it('gives its store back when it cannot listen', async () => {
    await using folder = await scratch()
    const taken = await localNode({ store: new MemoryStore() })
    try {
      const listen = taken.addrs.map(addr => addr.replace(/\/p2p\/.*/, ''))
      await expect(createNode({ home: folder.in('home'), listen })).rejects.toThrow('EADDRINUSE')
      const node = await localNode({ home: folder.in('home') })
      await node.stop()
    } finally {
      await taken.stop()
    }
  })

  it(
    'ends soon, also in the middle of a transfer',
    async () => {
      const store = new MemoryStore()
      const { hash } = await store.addBytes(randomData(30_000_000))
      const provider = await localNode({ store })
      const getter = await createNode({ store: new MemoryStore(), listen: [] })
      try {
        const from = addressesOf(provider.ticket(hash, 'raw'))
        let stopping: Promise<void> | undefined
        const fetching = getter.blobs.fetch(hash, {
          from,
          onProgress: ({ received }) => {
            if (received > 0) stopping ??= provider.stop()
          }
        })
        await expect(fetching).rejects.toThrow()
        expect(stopping).toBeDefined()
        await stopping
      } finally {
        await Promise.all([getter.stop(), provider.stop()])
      }
    },
    STOP_TIMEOUT_MS + 60_000
  )
})

describe('the order of dialling', () => {
  it('is loopback first, then public before private', () => {
    const addrs = ['/ip4/192.168.1.5/tcp/1', '/ip4/8.8.8.8/tcp/1', '/ip6/::1/tcp/1', '/ip4/127.0.0.1/tcp/1']
    const sorted = addrs
      .map((text): Address => ({ multiaddr: multiaddr(text), isCertified: false }))
      .sort(loopbackFirst)
      .map(address => address.multiaddr.toString())
    expect(sorted).toEqual([addrs[2], addrs[3], addrs[1], addrs[0]])
  })
})

describe('a home that is being served', () => {
  it('tells by whom, as long as it is', async () => {
    await using folder = await scratch()
    expect(await findServing(folder.path)).toBeUndefined()
    const withdraw = await announceServing(folder.path, { peerId: 'me', addrs: ['/ip4/127.0.0.1/tcp/1'] })
    expect(await findServing(folder.path)).toEqual({
      pid: process.pid,
      peerId: 'me',
      addrs: ['/ip4/127.0.0.1/tcp/1']
    })
    await withdraw()
    expect(await findServing(folder.path)).toBeUndefined()
  })

  it('is not, when the process has died or the file is no such file', async () => {
    await using folder = await scratch()
    const texts = [JSON.stringify({ pid: 2 ** 30, peerId: 'x', addrs: [] }), '{', '[]', '{"pid":"1"}']
    for (const text of texts) {
      await writeTree(folder.path, { 'serving.json': text })
      expect(await findServing(folder.path)).toBeUndefined()
    }
  })
})

describe('what is added while a node serves', () => {
  it('is served at once', async () => {
    await using folder = await scratch()
    const provider = await localNode({ home: folder.in('home') })
    const getter = await createNode({ store: new MemoryStore(), listen: [] })
    try {
      await writeTree(folder.path, { 'new.txt': 'new' })
      const { hash } = await importPath(provider.store, folder.in('new.txt'))
      const { received } = await getter.blobs.fetch(hash, { from: addressesOf(provider.ticket(hash, 'raw')) })
      expect(received).toBe(3)
    } finally {
      await Promise.all([getter.stop(), provider.stop()])
    }
  })
})

describe('a node that peers may push to', () => {
  it('keeps what they push by tags of its own, unless it has one already, and takes nothing from others', async () => {
    const pusher = await createNode({ store: new MemoryStore(), listen: [] })
    const stranger = await createNode({ store: new MemoryStore(), listen: [] })
    const taker = await localNode({ store: new MemoryStore(), push: { authorize: [pusher.peerId] } })
    const to = taker.addrs.map(addr => multiaddr(addr))
    const tags = async () =>
      (await Array.fromAsync(taker.store.tags.list())).map(
        ({ name, hash, format }) => `${name} ${hash} ${format}`
      )
    try {
      const { hash: child } = await pusher.store.addBytes(randomData(200_000))
      const { hash: known } = await pusher.store.addBytes(randomData(100))
      const { hash: sequence } = await pusher.store.addBytes(
        Buffer.concat([child.bytes, known.bytes, child.bytes])
      )
      await pusher.blobs.push(child, { to })
      expect(await tags()).toEqual([`pushed/${child} ${child} raw`])

      await taker.store.tags.delete(pushedTagName(child))
      await taker.store.tags.set('mine', { hash: known, format: 'raw' })
      await pusher.blobs.push(known, { to })
      expect(await tags()).toEqual([`mine ${known} raw`])

      // The blob alone is tagged, then what it links to as well.
      await pusher.blobs.push(sequence, { to })
      expect(await tags()).toEqual([`mine ${known} raw`, `pushed/${sequence} ${sequence} raw`])
      await pusher.blobs.push(sequence, { to, format: 'hash_seq' })
      const both = [`mine ${known} raw`, `pushed/${sequence} ${sequence} hash_seq`]
      expect(await tags()).toEqual(both)
      await pusher.blobs.push(sequence, { to })
      expect(await tags()).toEqual(both)

      // A part is taken, but not tagged.
      const { hash: large } = await pusher.store.addBytes(randomData(300_000, 8))
      await pusher.blobs.push(large, { to, ranges: ChunkRanges.range(0, 16) })
      expect((await taker.store.status(large)).state).toBe('partial')
      expect(await tags()).toEqual(both)

      const { hash } = await stranger.store.addBytes(randomData(200, 9))
      await expect(stranger.blobs.push(hash, { to })).rejects.toThrow(
        'permission denied: this node takes no pushes from this peer'
      )
      expect((await taker.store.status(hash)).state).toBe('absent')
      await expect(taker.blobs.push(sequence, { to: stranger.libp2p.peerId })).rejects.toThrow(
        'permission denied'
      )
    } finally {
      await Promise.all([pusher, stranger, taker].map(node => node.stop()))
    }
  })

  it('is refused at its start when an id is none', async () => {
    await expect(localNode({ store: new MemoryStore(), push: { authorize: ['me'] } })).rejects.toThrow(
      'options: "push.authorize.0": "me" is no peer id'
    )
  })
})
