/**
 * A blob from one process to another on this machine, verified, and where the store is on disk, under its final name;
 * in turn with a raw libp2p stream that carries as many bytes and does nothing with them.
 *
 *   node bench/transfer.ts [--mib 512] [--runs 5] [--store legacy-fs|memory] [--dir FOLDER] [--profile FOLDER] [--no-raw]
 */

import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { Hash } from '../src/hash.ts'
import { type Blobs, blobs, YAMUX_OPTIONS } from '../src/libp2p/index.ts'
import type { BlobStore } from '../src/store/index.ts'
import { LegacyFsStore } from '../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../src/store/memory/index.ts'
import { costSince, endChild, endWithParent, messageFrom, type ProcessCost, startChild } from './lib/child.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { median } from './lib/trial.ts'
import { measureRaw } from './raw-stream.ts'

const MIB = 1024 * 1024

interface Sample {
  readonly mbPerSecond: number
  readonly getter: ProcessCost
  readonly provider: ProcessCost
}

async function openStore(kind: string, dir: string): Promise<BlobStore> {
  return kind === 'memory' ? new MemoryStore() : LegacyFsStore.open(dir)
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

async function provide(kind: string, dir: string, file: string): Promise<void> {
  const store = await openStore(kind, dir)
  const { hash } = await store.addPath(file)
  const node = await startNode(store, ['/ip4/127.0.0.1/tcp/0'])
  const cpu = process.cpuUsage()
  node.services.blobs.addEventListener('request', () => process.send?.(costSince(cpu)))
  process.send?.({ hash: hash.toString(), address: String(node.getMultiaddrs()[0]) })
}

async function get(kind: string, dir: string, hash: string, address: string): Promise<void> {
  const store = await openStore(kind, dir)
  const node = await startNode(store, [])
  await node.dial(multiaddr(address))
  const cpu = process.cpuUsage()
  const start = performance.now()
  const { size } = await node.services.blobs.fetch(Hash.parse(hash), { from: multiaddr(address) })
  const seconds = (performance.now() - start) / 1000
  process.send?.({ mbPerSecond: size / 1e6 / seconds, cost: costSince(cpu) })
}

async function measure(
  kind: string,
  dir: string,
  file: string,
  profile: string | undefined
): Promise<Sample> {
  const execArgv = (half: string) =>
    profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}/${half}`]
  const script = import.meta.filename
  const into = await mkdtemp(join(dir, 'getter-'))
  const provider = startChild(script, ['provide', kind, join(dir, 'provider'), file], execArgv('provider'))
  try {
    const { hash, address } = await messageFrom<{ hash: string; address: string }>(provider)
    const served = messageFrom<ProcessCost>(provider)
    const getter = startChild(script, ['get', kind, into, hash, address], execArgv('getter'))
    try {
      const got = await messageFrom<{ mbPerSecond: number; cost: ProcessCost }>(getter)
      return { mbPerSecond: got.mbPerSecond, getter: got.cost, provider: await served }
    } finally {
      await endChild(getter)
    }
  } finally {
    await endChild(provider)
    await rm(into, { recursive: true, force: true })
  }
}

/** Bytes that do not repeat: a stream cipher's worth of noise, made once. */
async function makeFile(path: string, mib: number): Promise<void> {
  const file = await open(path, 'w')
  const seed = randomBytes(MIB)
  for (let i = 0; i < mib; i++) {
    seed.set(createHash('sha512').update(String(i)).digest(), (i * 977) % (MIB - 64))
    await file.write(seed)
  }
  await file.close()
}

function row(name: string, samples: readonly Sample[]): string {
  const of = (pick: (sample: Sample) => number): number[] => samples.map(pick).sort((a, b) => a - b)
  const speeds = of(({ mbPerSecond }) => mbPerSecond)
  const middle = (pick: (sample: Sample) => number, digits: number): string =>
    median(of(pick)).toFixed(digits)
  return `| ${[
    name,
    `${median(speeds).toFixed(0)} (${speeds[0]?.toFixed(0)} to ${speeds.at(-1)?.toFixed(0)})`,
    middle(({ getter }) => getter.cpuSeconds, 2),
    middle(({ provider }) => provider.cpuSeconds, 2),
    middle(({ getter }) => getter.peakRssMib, 0),
    middle(({ provider }) => provider.peakRssMib, 0)
  ].join(' | ')} |`
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      mib: { type: 'string', default: '512' },
      runs: { type: 'string', default: '5' },
      store: { type: 'string', default: 'legacy-fs' },
      dir: { type: 'string', default: tmpdir() },
      profile: { type: 'string' },
      'no-raw': { type: 'boolean', default: false }
    }
  })
  const mib = Number(values.mib)
  const dir = await mkdtemp(join(values.dir, 'blobs-bench-'))
  try {
    const file = join(dir, 'blob')
    await makeFile(file, mib)
    const raw: Sample[] = []
    const own: Sample[] = []
    for (let run = 0; run < Number(values.runs); run++) {
      if (!values['no-raw']) raw.push(await measureRaw({ bytes: mib * MIB }))
      own.push(await measure(values.store, dir, file, values.profile))
    }
    console.log(`${describeMachine()}; ${describeLoad()}; ${mib} MiB, medians of ${values.runs}`)
    console.log('| what | MB/s | getter CPU s | provider CPU s | getter RSS MiB | provider RSS MiB |')
    console.log('| --- | --- | --- | --- | --- | --- |')
    const speed = (samples: readonly Sample[]) =>
      median(samples.map(s => s.mbPerSecond).sort((a, b) => a - b))
    if (raw.length > 0) console.log(row('raw libp2p stream', raw))
    console.log(row(`blob, ${values.store} to ${values.store}`, own))
    if (raw.length > 0) console.log(`ratio to the raw stream: ${(speed(own) / speed(raw)).toFixed(2)}`)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const [half, ...args] = process.argv.slice(2)
endWithParent()
if (half === 'provide') await provide(args[0]!, args[1]!, args[2]!)
else if (half === 'get') await get(args[0]!, args[1]!, args[2]!, args[3]!)
else await main()
