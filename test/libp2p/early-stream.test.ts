/** Requests that leave before the provider has agreed to the protocol, as it has before on the same connection. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, it } from 'vitest'
import { type Blobs, type BlobsInit, blobs, type ServedRequest } from '../../src/libp2p/index.ts'
import { BLOBS_PROTOCOL, IROH_PROTOCOL } from '../../src/protocol/constants.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { createTestNode } from '../helpers/libp2p.ts'

const ended: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ended.splice(0)) await end()
})

async function start(init: Partial<BlobsInit> = {}) {
  const store = new MemoryStore()
  const node = await createTestNode<{ blobs: Blobs }>({ services: { blobs: blobs({ store, ...init }) } })
  ended.push(() => node.stop())
  const served: ServedRequest[] = []
  node.services.blobs.addEventListener('request', ({ detail }) => served.push(detail))
  return { node, store, served, blobs: node.services.blobs }
}

/** A way to a node on which, while it is held, nothing comes back. */
async function wayTo(node: Libp2p) {
  const [, port] = /\/tcp\/(\d+)/.exec(String(node.getMultiaddrs()[0]))!
  const answers: { there: Socket; socket: Socket }[] = []
  const server: Server = createServer(socket => {
    const there = connect(Number(port), '127.0.0.1')
    socket.pipe(there).pipe(socket)
    answers.push({ there, socket })
    for (const end of [socket, there]) end.on('error', () => end.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ended.push(() => server.close())
  const { port: mine } = server.address() as AddressInfo
  return {
    address: multiaddr(`/ip4/127.0.0.1/tcp/${mine}/p2p/${node.peerId}`),
    hold: () => {
      for (const { there } of answers) there.unpipe().pause()
    },
    release: () => {
      for (const { there, socket } of answers) there.pipe(socket)
    }
  }
}

async function addTo(store: MemoryStore, seed: number) {
  return (await store.addBytes(randomData(4096, seed))).hash
}

it('a second request reaches the provider though nothing has come back from it', async () => {
  const asked: string[] = []
  const provider = await start({
    authorize: ({ request }) => {
      asked.push(request.type)
      return true
    }
  })
  const getter = await start()
  const way = await wayTo(provider.node)
  await getter.blobs.fetch(await addTo(provider.store, 1), { from: way.address })
  way.hold()
  const giveUp = new AbortController()
  const fetching = getter.blobs.fetch(await addTo(provider.store, 2), {
    from: way.address,
    signal: giveUp.signal
  })
  await expect.poll(() => asked).toEqual(['get', 'get'])
  giveUp.abort(new Error('seen enough'))
  await expect(fetching).rejects.toThrow('seen enough')
})

it('a provider that does not speak the protocol any more is asked what it speaks', async () => {
  const [provider, getter] = [await start(), await start()]
  const from = provider.node.getMultiaddrs()
  const hashes = await Promise.all([1, 2, 3].map(seed => addTo(provider.store, seed)))
  await getter.blobs.fetch(hashes[0]!, { from })
  await provider.node.unhandle(BLOBS_PROTOCOL)
  for (const hash of hashes.slice(1)) await getter.blobs.fetch(hash, { from })
  for (const hash of hashes) expect(await getter.store.status(hash)).toMatchObject({ state: 'complete' })
  await expect
    .poll(() => provider.served.map(({ protocol }) => protocol))
    .toEqual([BLOBS_PROTOCOL, IROH_PROTOCOL, IROH_PROTOCOL])
})

it('what stands between the streams of the protocol and us is asked before anything is sent', async () => {
  const asked: string[] = []
  const authorize: BlobsInit['authorize'] = ({ request }) => {
    asked.push(request.type)
    return true
  }
  const [provider, getter] = [await start({ authorize }), await start()]
  const from = provider.node.getMultiaddrs()
  let isAllowed = true
  getter.node.use(BLOBS_PROTOCOL, async (stream, connection, next) => {
    // Time enough for a request to arrive.
    await new Promise(resolve => setTimeout(resolve, 50))
    if (!isAllowed) throw new Error('not now')
    next(stream, connection)
  })
  await getter.blobs.fetch(await addTo(provider.store, 1), { from })
  isAllowed = false
  await expect(getter.blobs.fetch(await addTo(provider.store, 2), { from })).rejects.toThrow('not now')
  expect(asked).toEqual(['get'])
})

it('a provider that does not answer to the offer is asked once more', async () => {
  const asked: string[] = []
  const provider = await start({
    authorize: ({ request }) => {
      asked.push(request.type)
      return true
    }
  })
  const getter = await start({ limits: { idleTimeoutMs: 3000 } })
  const way = await wayTo(provider.node)
  await getter.blobs.fetch(await addTo(provider.store, 1), { from: way.address })
  way.hold()
  const hash = await addTo(provider.store, 2)
  const fetching = getter.blobs.fetch(hash, { from: way.address })
  // The first time, early; the second time it is negotiated, which cannot end while the answers are held.
  await expect.poll(() => asked).toEqual(['get', 'get'])
  await new Promise(resolve => setTimeout(resolve, 1300))
  way.release()
  await fetching
  expect(asked).toEqual(['get', 'get', 'get'])
})

it('a provider whose connection has been closed is connected to anew', async () => {
  const [provider, getter] = [await start(), await start()]
  const from = provider.node.getMultiaddrs()
  for (const seed of [1, 2, 3]) {
    const hash = await addTo(provider.store, seed)
    await getter.blobs.fetch(hash, { from })
    expect(await getter.store.status(hash)).toMatchObject({ state: 'complete' })
    await getter.node.hangUp(provider.node.peerId)
  }
})

it.each([0, 1, 2, 3])(
  'a request reaches the provider though their connection was lost %i turns before',
  async turns => {
    const provider = await start()
    const getter = await start()
    const from = provider.node.getMultiaddrs()
    const uncaught: unknown[] = []
    const onUncaught = (error: unknown): unknown => uncaught.push(error)
    process.on('uncaughtException', onUncaught)
    ended.push(() => process.off('uncaughtException', onUncaught))
    await getter.blobs.fetch(await addTo(provider.store, 1), { from })
    for (const connection of provider.node.getConnections()) connection.abort(new Error('gone'))
    for (let turn = 0; turn < turns; turn++) await setImmediate()
    const hash = await addTo(provider.store, 2)
    await getter.blobs.fetch(hash, { from })
    expect((await getter.store.status(hash)).state).toBe('complete')
    expect(uncaught).toEqual([])
  }
)
