/**
 * How long a fetch that goes on half way takes until its first new bytes are in the store, from the moment it is connected: what
 * is held must not be read or hashed again. Compared with a fetch of the same blob from its beginning.
 *
 *   node bench/resume.ts [--mib 1024] [--runs 5] [--store legacy-fs]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { multiaddr } from '@multiformats/multiaddr'
import { ChunkRanges } from '../dist/bao/ranges.js'
import { Hash } from '../dist/hash.js'
import { collectGarbageEarly, createNode, hashWide, optimizeLate } from '../dist/node/index.js'
import { endChild, endWithParent, messageFrom, startChild } from './lib/child.ts'
import { makeFile } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { openStore, type StoreName, storeName } from './lib/stores.ts'
import { median } from './lib/trial.ts'

const CHUNKS_PER_MIB = 1024

async function provide(kind: StoreName, dir: string, file: string): Promise<void> {
  const store = await openStore(kind, dir)
  const { hash } = await store.addPath(file)
  const node = await createNode({ store, listen: ['/ip4/127.0.0.1/tcp/0'] })
  process.send?.({ hash: hash.toString(), address: node.addrs[0] })
}

/** Fetches the first `heldMib` in one process life, and goes on in a store that is opened anew. */
async function get(
  kind: StoreName,
  dir: string,
  hashText: string,
  address: string,
  heldMib: number
): Promise<void> {
  const hash = Hash.parse(hashText)
  const from = multiaddr(address)
  if (heldMib > 0) {
    const before = await openStore(kind, dir)
    const node = await createNode({ store: before, listen: [] })
    await node.blobs.fetch(hash, { from, ranges: ChunkRanges.range(0, heldMib * CHUNKS_PER_MIB) })
    await node.stop()
    await before.close()
  }
  const store = await openStore(kind, dir)
  const node = await createNode({ store, listen: [] })
  await node.libp2p.dial(from)
  const connectedAt = performance.now()
  let firstMs: number | undefined
  await node.blobs.fetch(hash, {
    from,
    onProgress: ({ received }) => {
      if (received > 0) firstMs ??= performance.now() - connectedAt
    }
  })
  process.send?.({ firstMs, allMs: performance.now() - connectedAt })
  await node.stop()
  await store.close()
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      mib: { type: 'string', default: '1024' },
      runs: { type: 'string', default: '5' },
      store: { type: 'string', default: 'legacy-fs' }
    }
  })
  const mib = Number(values.mib)
  const kind = storeName(values.store)
  const dir = await mkdtemp(join(tmpdir(), 'blobs-bench-'))
  const file = join(dir, 'blob')
  await makeFile(file, mib)
  const provider = startChild(import.meta.filename, ['provide', kind, join(dir, 'provider'), file])
  const times: Record<string, number[]> = { 'from the beginning': [], 'half of it is held': [] }
  try {
    const { hash, address } = await messageFrom<{ hash: string; address: string }>(provider)
    for (let run = 0; run < Number(values.runs); run++) {
      for (const [what, list] of Object.entries(times)) {
        const held = what === 'half of it is held' ? mib / 2 : 0
        const into = await mkdtemp(join(dir, 'getter-'))
        const getter = startChild(import.meta.filename, ['get', kind, into, hash, address, String(held)])
        const { firstMs } = await messageFrom<{ firstMs: number }>(getter)
        list.push(firstMs)
        await endChild(getter)
        await rm(into, { recursive: true })
      }
    }
  } finally {
    await endChild(provider)
    await rm(dir, { recursive: true, force: true })
  }
  console.log(`${describeMachine()}; ${describeLoad()}; ${mib} MiB, ${kind}, medians of ${values.runs}`)
  console.log('| fetch | ms from the connection to the first new bytes in the store |')
  console.log('| --- | --- |')
  for (const [what, list] of Object.entries(times)) {
    const sorted = list.toSorted((a, b) => a - b)
    console.log(
      `| ${what} | ${median(sorted).toFixed(0)} (${sorted[0]?.toFixed(0)} to ${sorted.at(-1)?.toFixed(0)}) |`
    )
  }
}

if (process.send === undefined) {
  await measure()
} else {
  const [half, kind, ...args] = process.argv.slice(2)
  endWithParent()
  collectGarbageEarly()
  optimizeLate()
  hashWide()
  if (half === 'provide') await provide(storeName(kind!), args[0]!, args[1]!)
  else await get(storeName(kind!), args[0]!, args[1]!, args[2]!, Number(args[3]))
}
