/** A blob from the store of one process to that of another, verified. Also the program that the two processes run. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { Hash } from '../../src/hash.ts'
import { type Blobs, blobs, YAMUX_OPTIONS } from '../../src/libp2p/index.ts'
import { collectGarbageEarly } from '../../src/node/collect-garbage-early.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { costSince, endChild, endWithParent, messageFrom, type ProcessCost, startChild } from './child.ts'
import { openStore, type StoreName, storeName } from './stores.ts'

export interface TransferSample {
  readonly mbPerSecond: number
  readonly getter: ProcessCost
  readonly provider: ProcessCost
  /** Longest time that the getter's event loop was blocked, in ms. */
  readonly blockedMs?: number
}

export interface TransferOptions {
  readonly from: StoreName
  readonly to: StoreName
  /** Where the stores are. The provider's stays, so that the file is added once. */
  readonly dir: string
  readonly file: string
  /** Folder for CPU profiles. */
  readonly profile?: string | undefined
}

export async function measureTransfer(options: TransferOptions): Promise<TransferSample> {
  const { from, to, dir, file, profile } = options
  const execArgv = (half: string) =>
    profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}/${half}`]
  const script = import.meta.filename
  const into = await mkdtemp(join(dir, 'getter-'))
  const provider = startChild(
    script,
    ['provide', from, join(dir, `provider-${from}`), file],
    execArgv('provider')
  )
  try {
    const { hash, address } = await messageFrom<{ hash: string; address: string }>(provider)
    const served = messageFrom<ProcessCost>(provider)
    const getter = startChild(script, ['get', to, into, hash, address], execArgv('getter'))
    try {
      const { cost, ...got } = await messageFrom<TransferSample & { cost: ProcessCost }>(getter)
      return { ...got, getter: cost, provider: await served }
    } finally {
      await endChild(getter)
    }
  } finally {
    await endChild(provider)
    await rm(into, { recursive: true, force: true })
  }
}

async function startNode(store: BlobStore, listen: string[]): Promise<Libp2p<{ blobs: Blobs }>> {
  return createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(YAMUX_OPTIONS)],
    services: { blobs: blobs({ store }) }
  })
}

async function provide(kind: StoreName, dir: string, file: string): Promise<void> {
  const store = await openStore(kind, dir)
  const { hash } = await store.addPath(file)
  const node = await startNode(store, ['/ip4/127.0.0.1/tcp/0'])
  const cpu = process.cpuUsage()
  node.services.blobs.addEventListener('request', () => process.send?.(costSince(cpu)))
  process.send?.({ hash: hash.toString(), address: String(node.getMultiaddrs()[0]) })
}

async function get(kind: StoreName, dir: string, hash: string, address: string): Promise<void> {
  const store = await openStore(kind, dir)
  const node = await startNode(store, [])
  await node.dial(multiaddr(address))
  const loop = monitorEventLoopDelay({ resolution: 5 })
  loop.enable()
  const cpu = process.cpuUsage()
  const start = performance.now()
  const { size } = await node.services.blobs.fetch(Hash.parse(hash), { from: multiaddr(address) })
  const seconds = (performance.now() - start) / 1000
  loop.disable()
  process.send?.({ mbPerSecond: size / 1e6 / seconds, blockedMs: loop.max / 1e6, cost: costSince(cpu) })
  await store.delete(Hash.parse(hash))
}

if (process.argv[1] === import.meta.filename && process.send !== undefined) {
  const [half, ...args] = process.argv.slice(2)
  endWithParent()
  collectGarbageEarly()
  if (half === 'provide') await provide(storeName(args[0]!), args[1]!, args[2]!)
  else await get(storeName(args[0]!), args[1]!, args[2]!, args[3]!)
}
