/**
 * What a libp2p stream can carry at all: bytes from one process to another on this machine over TCP, noise or TLS, and yamux,
 * through our reader and writer, with no hashing and no disk. The yardstick of the transfer benchmarks, which run it in
 * turn with their own: both then meet the same machine.
 *
 *   node bench/raw-stream.ts [--mib 512] [--runs 5] [--stack noise|tls|both] [--muxer ours|default]
 *
 * `noise` is @libp2p/tcp with noise, `tls` the transport of `libp2p-blobs/tcp`; `both` runs them in turn.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { streamReader } from '../src/libp2p/stream-reader.ts'
import { streamWriter, writeAll } from '../src/libp2p/stream-writer.ts'
import { YAMUX_OPTIONS } from '../src/libp2p/yamux-options.ts'
import { collectGarbageEarly } from '../src/node/collect-garbage-early.ts'
import { tcp as tlsTcp } from '../src/tcp/index.ts'
import { costSince, endChild, endWithParent, messageFrom, type ProcessCost, startChild } from './lib/child.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'

const RAW_PROTOCOL = '/bench/raw-stream/1'
const MIB = 1024 * 1024
const SOURCE_BYTES = MIB
const REQUEST_BYTES = 8
const DELAY_RESOLUTION_MS = 1

export interface RawSample {
  /** 10^6 bytes per second, from opening the stream to the last byte. */
  readonly mbPerSecond: number
  readonly getter: ProcessCost
  readonly provider: ProcessCost
  /** Longest time for which the getter's event loop was held, in ms, beyond what the timer that looks for it takes itself. */
  readonly getterHeldMs: number
}

/** The transport and its encryption. */
export type RawStack = 'noise' | 'tls'

export interface RawOptions {
  /** @default 536_870_912 */
  readonly bytes?: number
  /** @default 'noise' */
  readonly stack?: RawStack
  /** @default 'ours' */
  readonly muxer?: 'ours' | 'default'
}

/** The providing half: answers every stream with as many bytes as it asks for. `onServed` gets what that cost. */
export async function serveRaw(node: Libp2p, onServed?: (cost: ProcessCost) => void): Promise<void> {
  await node.handle(RAW_PROTOCOL, stream => {
    answer(stream).then(onServed, (err: Error) => stream.abort(err))
  })
}

interface Got {
  readonly seconds: number
  readonly cost: ProcessCost
  readonly heldMs: number
}

/** The getting half: asks for bytes, counts them and forgets them. */
export async function getRaw(connection: Connection, bytes: number): Promise<Got> {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  delay.enable()
  const cpu = process.cpuUsage()
  const start = performance.now()
  const stream = await connection.newStream(RAW_PROTOCOL)
  const reader = streamReader(stream)
  const writer = streamWriter(stream)
  await writer.write(requestOf(bytes))
  await writer.end()
  for await (const _ of reader);
  if (reader.bytesRead !== bytes) throw new Error(`asked for ${bytes} bytes, got ${reader.bytesRead}`)
  const seconds = (performance.now() - start) / 1000
  delay.disable()
  return { seconds, cost: costSince(cpu), heldMs: Math.max(0, delay.max / 1e6 - DELAY_RESOLUTION_MS) }
}

/** One transfer between two fresh processes. */
export async function measureRaw(options: RawOptions = {}): Promise<RawSample> {
  const bytes = options.bytes ?? 512 * MIB
  const { stack = 'noise', muxer = 'ours' } = options
  const provider = startChild(import.meta.filename, ['provide', stack, muxer])
  try {
    const address = await messageFrom<string>(provider)
    const served = messageFrom<ProcessCost>(provider)
    const getter = startChild(import.meta.filename, ['get', stack, muxer, address, String(bytes)])
    try {
      const got = await messageFrom<Got>(getter)
      return {
        mbPerSecond: bytes / 1e6 / got.seconds,
        getter: got.cost,
        provider: await served,
        getterHeldMs: got.heldMs
      }
    } finally {
      await endChild(getter)
    }
  } finally {
    await endChild(provider)
  }
}

async function answer(stream: Stream): Promise<ProcessCost> {
  const reader = streamReader(stream)
  const request = new Uint8Array(REQUEST_BYTES)
  for await (const piece of reader) request.set(piece, reader.bytesRead - piece.length)
  const cpu = process.cpuUsage()
  await writeAll(stream, zeros(Number(new DataView(request.buffer).getBigUint64(0))))
  return costSince(cpu)
}

function requestOf(bytes: number): Uint8Array {
  const request = new Uint8Array(REQUEST_BYTES)
  new DataView(request.buffer).setBigUint64(0, BigInt(bytes))
  return request
}

function* zeros(bytes: number): Generator<Uint8Array> {
  const source = new Uint8Array(SOURCE_BYTES)
  for (let at = 0; at < bytes; at += SOURCE_BYTES) {
    yield source.subarray(0, Math.min(SOURCE_BYTES, bytes - at))
  }
}

async function createBenchNode(stack: string, muxer: string, listen: string[]): Promise<Libp2p> {
  return await createLibp2p({
    addresses: { listen },
    transports: [stack === 'tls' ? tlsTcp() : tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(muxer === 'default' ? {} : YAMUX_OPTIONS)]
  })
}

async function provide(stack: string, muxer: string): Promise<void> {
  const node = await createBenchNode(stack, muxer, ['/ip4/127.0.0.1/tcp/0'])
  await serveRaw(node, cost => process.send?.(cost))
  process.send?.(String(node.getMultiaddrs()[0]))
}

async function get(stack: string, muxer: string, address: string, bytes: number): Promise<void> {
  const node = await createBenchNode(stack, muxer, [])
  const connection = await node.dial(multiaddr(address))
  process.send?.(await getRaw(connection, bytes))
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      mib: { type: 'string', default: '512' },
      runs: { type: 'string', default: '5' },
      stack: { type: 'string', default: 'noise' },
      muxer: { type: 'string', default: 'ours' }
    }
  })
  const muxer = values.muxer === 'default' ? 'default' : 'ours'
  const stacks = (['noise', 'tls'] as const).filter(stack => [stack, 'both'].includes(values.stack))
  if (stacks.length === 0) throw new Error(`--stack is noise, tls or both, not ${values.stack}`)
  const samples = new Map<RawStack, RawSample[]>(stacks.map(stack => [stack, []]))
  for (let run = 0; run < Number(values.runs); run++) {
    for (const [stack, of] of samples) {
      of.push(await measureRaw({ bytes: Number(values.mib) * MIB, stack, muxer }))
    }
  }
  console.log(
    `${describeMachine()}; ${describeLoad()}; ${values.mib} MiB, ${values.runs} runs, ${muxer} yamux options`
  )
  for (const [stack, of] of samples) {
    console.log(stack)
    print('speed', 'MB/s', 0, of, sample => sample.mbPerSecond)
    print('getter CPU', 's', 2, of, sample => sample.getter.cpuSeconds)
    print('provider CPU', 's', 2, of, sample => sample.provider.cpuSeconds)
    print('getter peak RSS', 'MiB', 0, of, sample => sample.getter.peakRssMib)
    print('provider peak RSS', 'MiB', 0, of, sample => sample.provider.peakRssMib)
    print('getter held', 'ms', 1, of, sample => sample.getterHeldMs)
  }
}

function print(
  what: string,
  unit: string,
  digits: number,
  samples: readonly RawSample[],
  pick: (sample: RawSample) => number
): void {
  const values = samples.map(pick).sort((a, b) => a - b)
  const [low, median, high] = [0, (values.length - 1) / 2, values.length - 1].map(i =>
    values[Math.floor(i)]?.toFixed(digits)
  )
  console.log(`${what.padEnd(18)} ${median} ${unit} (${low} to ${high})`)
}

if (import.meta.main) {
  endWithParent()
  collectGarbageEarly()
  const [half, stack, muxer, address, bytes] = process.argv.slice(2)
  if (half === 'provide') await provide(String(stack), String(muxer))
  else if (half === 'get') await get(String(stack), String(muxer), String(address), Number(bytes))
  else await main()
}
