/** Many getters of one blob at one provider. Also the program that the getters run: many nodes in one process. */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { Hash } from '../../dist/hash.js'
import { type Blobs, blobs } from '../../dist/libp2p/index.js'
import { forEachBounded } from '../../dist/node/bounded.js'
import { collectGarbageEarly } from '../../dist/node/collect-garbage-early.js'
import { hashWide } from '../../dist/node/hash-wide.js'
import { optimizeLate } from '../../dist/node/optimize-late.js'
import { MemoryStore } from '../../dist/store/memory/index.js'
import { ask, endChild, endWithParent, startChild } from './child.ts'
import type { Contestant } from './contestants/contestant.ts'
import { HalfProcess } from './half.ts'
import type { Spent } from './meter.ts'
import { type Stack, stackName, startNode } from './stack.ts'

export interface SwarmOptions {
  readonly provider: Contestant
  readonly stack: Stack
  readonly getters: number
  /** What they fetch. */
  readonly file: string
  readonly bytes: number
  readonly dir: string
  /** Processes that the getters are spread over. By default the provider has a processor for itself. */
  readonly processes?: number | undefined
}

export interface SwarmSample {
  /** What one getter alone got, before all together did. */
  readonly singleMbPerSecond: number
  readonly totalMbPerSecond: number
  /** From the first to the last, while all fetched. */
  readonly provider: Spent
  /** Of all getters' processes, while all fetched. */
  readonly gettersCpuSeconds: number
  /** Of each getter, from the moment that all began. */
  readonly seconds: readonly number[]
}

interface Streamed {
  readonly seconds: readonly number[]
  readonly bytes: number
  readonly cpuSeconds: number
}

type Call =
  | { readonly do: 'connect'; readonly count: number; readonly address: string }
  | { readonly do: 'stream'; readonly hash: string; readonly count: number }

const TIMEOUT_MS = 600_000
/** How often one getter alone fetches it: the first time is not counted. */
const ALONE = 4
const DIALS_AT_ONCE = 8

export async function measureSwarm(options: SwarmOptions): Promise<SwarmSample> {
  const { provider: contestant, stack, getters, file, bytes } = options
  const processes = Math.min(getters, options.processes ?? Math.max(1, availableParallelism() - 1))
  const dir = await mkdtemp(join(options.dir, 'swarm-'))
  const open = () => new HalfProcess(contestant.name, join(dir, 'provider'), { timeoutMs: TIMEOUT_MS })
  const adder = open()
  let provider: HalfProcess | undefined
  const children = Array.from({ length: processes }, () => startChild(import.meta.filename, [stack]))
  try {
    const { keys } = await adder.add('blob', file)
    await adder.close()
    await adder.end()
    provider = open()
    const hash = keys[0]!
    const address = await provider.provide(hash)
    const counts = children.map((_, i) => Math.floor((getters + i) / processes))
    await Promise.all(children.map((child, i) => ask(child, { do: 'connect', count: counts[i]!, address })))
    const stream = async (child: (typeof children)[number], count: number): Promise<Streamed> =>
      await ask(child, { do: 'stream', hash, count })
    const alone: number[] = []
    for (let i = 0; i < ALONE; i++) alone.push((await stream(children[0]!, 1)).seconds[0]!)
    await provider.measure(true)
    const all = await Promise.all(children.map((child, i) => stream(child, counts[i]!)))
    const spent = await provider.measured()
    const seconds = all.flatMap(({ seconds }) => seconds)
    if (seconds.length !== getters || all.some(({ bytes: got }, i) => got !== counts[i]! * bytes)) {
      throw new Error('not all getters got all of it')
    }
    const mb = bytes / 1e6
    const counted = alone.slice(1)
    return {
      singleMbPerSecond: (mb * counted.length) / counted.reduce((sum, each) => sum + each, 0),
      totalMbPerSecond: (mb * getters) / Math.max(...seconds),
      provider: spent,
      gettersCpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
      seconds
    }
  } finally {
    await Promise.all(children.map(endChild))
    await adder.end()
    await provider?.end()
    await rm(dir, { recursive: true, force: true })
  }
}

type Node = Libp2p<{ blobs: Blobs }>

/** Nodes that are connected to the provider, and store nothing. */
async function connect(stack: Stack, count: number, address: string): Promise<Node[]> {
  const nodes: Node[] = []
  await forEachBounded(Array.from({ length: count }), DIALS_AT_ONCE, async () => {
    const node = await startNode(stack, { services: { blobs: blobs({ store: new MemoryStore() }) } })
    await node.dial(multiaddr(address))
    nodes.push(node)
  })
  return nodes
}

async function streamAll(nodes: readonly Node[], address: string, hash: string): Promise<Streamed> {
  const start = performance.now()
  const cpu = process.cpuUsage()
  let bytes = 0
  const seconds = await Promise.all(
    nodes.map(async node => {
      const pieces = node.services.blobs.stream(Hash.parse(hash), { from: multiaddr(address) })
      for await (const piece of pieces) bytes += piece.length
      return (performance.now() - start) / 1000
    })
  )
  const { user, system } = process.cpuUsage(cpu)
  return { seconds, bytes, cpuSeconds: (user + system) / 1e6 }
}

if (import.meta.main) {
  endWithParent()
  collectGarbageEarly()
  optimizeLate()
  hashWide()
  // V8 marks its whole heap for every 64 MiB of buffers. That of two hundred nodes is large, which no getter's is that has a process
  // to itself: it took half of what all of them do here.
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  const stack = stackName(process.argv[2]!)
  let nodes: Node[] = []
  let address = ''
  process.on('message', async (call: Call) => {
    if (call.do === 'connect') {
      address = call.address
      nodes = await connect(stack, call.count, address)
      process.send?.({})
    } else {
      process.send?.(await streamAll(nodes.slice(0, call.count), address, call.hash))
    }
  })
}
