/** A folder of many files as one collection: one process adds it, another fetches it. Also the program that the two run. */

import { multiaddr } from '@multiformats/multiaddr'
import { Hash } from '../../src/hash.ts'
import { collectGarbageEarly } from '../../src/node/collect-garbage-early.ts'
import { createNode } from '../../src/node/create-node.ts'
import { importPath } from '../../src/node/import-path.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { costSince, endWithParent } from './child.ts'
import type { Added, Fetched } from './folder-trial.ts'

async function provide(dir: string, folder: string): Promise<void> {
  const store = await LegacyFsStore.open(dir)
  const node = await createNode({ store, listen: ['/ip4/127.0.0.1/tcp/0'] })
  const cpu = process.cpuUsage()
  const start = performance.now()
  const { hash } = await importPath(store, folder, { signal: new AbortController().signal })
  const seconds = (performance.now() - start) / 1000
  const added: Added = { seconds, cost: costSince(cpu), hash: hash.toString(), address: node.addrs[0]! }
  process.send?.(added)
}

async function get(dir: string, hash: string, address: string, askSizes: boolean): Promise<void> {
  const store = await LegacyFsStore.open(dir)
  const node = await createNode({ store, listen: [] })
  const from = multiaddr(address)
  await node.libp2p.dial(from)
  const cpu = process.cpuUsage()
  const start = performance.now()
  const { blobs } = await node.blobs.fetch(Hash.parse(hash), {
    from,
    format: 'hash_seq',
    askSizes,
    signal: new AbortController().signal
  })
  const seconds = (performance.now() - start) / 1000
  const fetched: Fetched = { seconds, cost: costSince(cpu), blobs }
  process.send?.(fetched)
}

if (process.argv[1] === import.meta.filename && process.send !== undefined) {
  const [half, ...args] = process.argv.slice(2)
  endWithParent()
  collectGarbageEarly()
  // As bin/blobs.js does.
  process.env.UV_THREADPOOL_SIZE ??= '16'
  if (half === 'provide') await provide(args[0]!, args[1]!)
  else await get(args[0]!, args[1]!, args[2]!, args[3] === 'ask-sizes')
}
