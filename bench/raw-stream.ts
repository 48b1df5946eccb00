/**
 * What a libp2p stream can carry at all: bytes from one process to another on this machine over TCP, noise and yamux,
 * through our reader and writer, with no hashing and no disk. The yardstick of the transfer benchmarks, which run it in
 * turn with their own: both then meet the same machine.
 *
 *   node bench/raw-stream.ts [--mib 512] [--runs 5] [--muxer ours|default]
 */
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
import { costSince, endChild, endWithParent, messageFrom, type ProcessCost, startChild } from './lib/child.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'

const RAW_PROTOCOL = '/bench/raw-stream/1'
const MIB = 1024 * 1024
const SOURCE_BYTES = MIB
const REQUEST_BYTES = 8

export interface RawSample {
  /** 10^6 bytes per second, from opening the stream to the last byte. */
  readonly mbPerSecond: number
  readonly getter: ProcessCost
  readonly provider: ProcessCost
}

export interface RawOptions {
  /** @default 536_870_912 */
  readonly bytes?: number
  /** @default 'ours' */
  readonly muxer?: 'ours' | 'default'
}

/** The providing half: answers every stream with as many bytes as it asks for. `onServed` gets what that cost. */
export async function serveRaw(node: Libp2p, onServed?: (cost: ProcessCost) => void): Promise<void> {
  await node.handle(RAW_PROTOCOL, stream => {
    answer(stream).then(onServed, (err: Error) => stream.abort(err))
  })
}

/** The getting half: asks for bytes, counts them and forgets them. */
export async function getRaw(
  connection: Connection,
  bytes: number
): Promise<{ readonly seconds: number; readonly cost: ProcessCost }> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const stream = await connection.newStream(RAW_PROTOCOL)
  const reader = streamReader(stream)
  const writer = streamWriter(stream)
  await writer.write(requestOf(bytes))
  await writer.end()
  for await (const _ of reader);
  if (reader.bytesRead !== bytes) throw new Error(`asked for ${bytes} bytes, got ${reader.bytesRead}`)
  return { seconds: (performance.now() - start) / 1000, cost: costSince(cpu) }
}

/** One transfer between two fresh processes. */
export async function measureRaw(options: RawOptions = {}): Promise<RawSample> {
  const bytes = options.bytes ?? 512 * MIB
  const muxer = options.muxer ?? 'ours'
  const provider = startChild(import.meta.filename, ['provide', muxer])
  try {
    const address = await messageFrom<string>(provider)
    const served = messageFrom<ProcessCost>(provider)
    const getter = startChild(import.meta.filename, ['get', muxer, address, String(bytes)])
    try {
      const got = await messageFrom<{ seconds: number; cost: ProcessCost }>(getter)
      return { mbPerSecond: bytes / 1e6 / got.seconds, getter: got.cost, provider: await served }
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

async function createBenchNode(muxer: string, listen: string[]): Promise<Libp2p> {
  return await createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(muxer === 'default' ? {} : YAMUX_OPTIONS)]
  })
}

async function provide(muxer: string): Promise<void> {
  const node = await createBenchNode(muxer, ['/ip4/127.0.0.1/tcp/0'])
  await serveRaw(node, cost => process.send?.(cost))
  process.send?.(String(node.getMultiaddrs()[0]))
}

async function get(muxer: string, address: string, bytes: number): Promise<void> {
  const node = await createBenchNode(muxer, [])
  const connection = await node.dial(multiaddr(address))
  process.send?.(await getRaw(connection, bytes))
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      mib: { type: 'string', default: '512' },
      runs: { type: 'string', default: '5' },
      muxer: { type: 'string', default: 'ours' }
    }
  })
  const muxer = values.muxer === 'default' ? 'default' : 'ours'
  const samples: RawSample[] = []
  for (let run = 0; run < Number(values.runs); run++) {
    samples.push(await measureRaw({ bytes: Number(values.mib) * MIB, muxer }))
  }
  console.log(
    `${describeMachine()}; ${describeLoad()}; ${values.mib} MiB, ${values.runs} runs, ${muxer} yamux options`
  )
  print('speed', 'MB/s', 0, samples, sample => sample.mbPerSecond)
  print('getter CPU', 's', 2, samples, sample => sample.getter.cpuSeconds)
  print('provider CPU', 's', 2, samples, sample => sample.provider.cpuSeconds)
  print('getter peak RSS', 'MiB', 0, samples, sample => sample.getter.peakRssMib)
  print('provider peak RSS', 'MiB', 0, samples, sample => sample.provider.peakRssMib)
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
  const [half, muxer, address, bytes] = process.argv.slice(2)
  if (half === 'provide') await provide(String(muxer))
  else if (half === 'get') await get(String(muxer), String(address), Number(bytes))
  else await main()
}
