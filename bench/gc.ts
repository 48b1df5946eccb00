/**
 * What a collection of garbage costs a transfer: a node with many blobs serves a large one, with and without a collection going on,
 * in turn. It collects as a node does that is told to do so now and then (src/node/gc/schedule.ts).
 *
 *   node bench/gc.ts [--blobs 100000] [--mib 512] [--runs 5] [--store legacy-fs]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { multiaddr } from '@multiformats/multiaddr'
import { Hash } from '../dist/hash.js'
import { scheduleGarbageCollection } from '../dist/node/gc/schedule.js'
import { collectGarbageEarly, createNode, hashWide, optimizeLate } from '../dist/node/index.js'
import { endChild, endWithParent, messageFrom, startChild } from './lib/child.ts'
import { makeFile } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { openStore, type StoreName, storeName } from './lib/stores.ts'
import { median } from './lib/trial.ts'

/** Blobs that are added at the same time. */
const AT_ONCE = 32

async function provide(kind: StoreName, dir: string, file: string, count: number): Promise<void> {
  const store = await openStore(kind, dir)
  const { hash } = await store.addPath(file)
  await store.tags.set('kept', { hash, format: 'raw' })
  const fill = async (): Promise<void> => {
    let next = 0
    const work = async (): Promise<void> => {
      while (next < count) await store.addBytes(new TextEncoder().encode(`garbage ${next++}`))
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }
  await fill()
  const node = await createNode({ store, listen: ['/ip4/127.0.0.1/tcp/0'] })
  let stop = async (): Promise<void> => undefined
  process.on('message', async message => {
    if (message === 'collect') stop = scheduleGarbageCollection(store, { intervalMs: 1 })
    else await stop()
    process.send?.({ isDone: true })
  })
  process.send?.({ hash: hash.toString(), address: node.addrs[0] })
}

async function get(kind: StoreName, dir: string, hash: string, address: string): Promise<void> {
  const store = await openStore(kind, dir)
  const node = await createNode({ store, listen: [] })
  await node.libp2p.dial(multiaddr(address))
  const start = performance.now()
  const { size } = await node.blobs.fetch(Hash.parse(hash), { from: multiaddr(address) })
  process.send?.({ mbPerSecond: size / 1e3 / (performance.now() - start) })
  await node.stop()
  await store.close()
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      blobs: { type: 'string', default: '100000' },
      mib: { type: 'string', default: '512' },
      runs: { type: 'string', default: '5' },
      store: { type: 'string', default: 'legacy-fs' }
    }
  })
  const kind = storeName(values.store)
  const dir = await mkdtemp(join(tmpdir(), 'blobs-bench-'))
  const file = join(dir, 'blob')
  await makeFile(file, Number(values.mib))
  const speeds: Record<string, number[]> = { 'nothing else': [], 'garbage is collected': [] }
  const provider = startChild(import.meta.filename, [
    'provide',
    kind,
    join(dir, 'provider'),
    file,
    values.blobs
  ])
  const tell = async (message: string): Promise<void> => {
    const done = messageFrom(provider)
    provider.send(message)
    await done
  }
  try {
    const { hash, address } = await messageFrom<{ hash: string; address: string }>(provider)
    for (let run = 0; run < Number(values.runs); run++) {
      for (const [what, list] of Object.entries(speeds)) {
        const isCollecting = what === 'garbage is collected'
        const into = await mkdtemp(join(dir, 'getter-'))
        if (isCollecting) await tell('collect')
        const getter = startChild(import.meta.filename, ['get', kind, into, hash, address])
        list.push((await messageFrom<{ mbPerSecond: number }>(getter)).mbPerSecond)
        await endChild(getter)
        if (isCollecting) await tell('stop')
        await rm(into, { recursive: true })
      }
    }
  } finally {
    await endChild(provider)
    await rm(dir, { recursive: true, force: true })
  }
  console.log(
    `${describeMachine()}; ${describeLoad()}; ${values.blobs} blobs, ${values.mib} MiB, ${kind}, medians of ${values.runs}`
  )
  console.log('| while | MB/s |')
  console.log('| --- | --- |')
  const middles: number[] = []
  for (const [what, list] of Object.entries(speeds)) {
    const sorted = list.toSorted((a, b) => a - b)
    middles.push(median(sorted))
    console.log(
      `| ${what} | ${median(sorted).toFixed(0)} (${sorted[0]?.toFixed(0)} to ${sorted.at(-1)?.toFixed(0)}) |`
    )
  }
  console.log(`ratio: ${(middles[1]! / middles[0]!).toFixed(2)}`)
}

if (process.send === undefined) {
  await measure()
} else {
  const [half, kind, ...args] = process.argv.slice(2)
  endWithParent()
  collectGarbageEarly()
  optimizeLate()
  hashWide()
  if (half === 'provide') await provide(storeName(kind!), args[0]!, args[1]!, Number(args[2]))
  else await get(storeName(kind!), args[0]!, args[1]!, args[2]!)
}
