/** How long it takes until the first proven byte of a range comes from another process, on an open connection. */
import { randomInt } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { Hash } from '../../dist/hash.js'
import { type Blobs, blobs } from '../../dist/libp2p/index.js'
import { MemoryStore } from '../../dist/store/memory/index.js'
import { ours } from './contestants/index.ts'
import { makeFile } from './files.ts'
import { HalfProcess } from './half.ts'
import { type Stack, startNode } from './stack.ts'
import type { StoreName } from './stores.ts'

const MIB = 1024 * 1024
const RANGE_BYTES = 64 * 1024
/** Ranges that are not counted, to begin with. */
const WARM_UP = 20
/** The blob is added in one call. */
const TIMEOUT_MS = 1_800_000

export interface FirstByteOptions {
  readonly store: StoreName
  readonly stack: Stack
  readonly dir: string
  readonly mib: number
  readonly ranges: number
  /** Nothing is done for so many ms before each range, and before what is done beside it. */
  readonly pauseMs: number
  /** Done in turn with each range, for comparison; every other time before it. */
  readonly beside?:
    | ((hash: string, storeDir: string, offset: number, length: number) => Promise<void>)
    | undefined
}

export interface FirstByteTimes {
  /** In ms. */
  readonly first: readonly number[]
  /** In ms, until the range's last byte. */
  readonly last: readonly number[]
  /** In ms, of what was done beside. */
  readonly beside: readonly number[]
}

/** Adds a blob in one process, serves it from another, and asks for ranges of it from this one. */
export async function measureFirstBytes(options: FirstByteOptions): Promise<FirstByteTimes> {
  const { store, stack, dir, mib } = options
  const storeDir = join(dir, 'provider')
  const open = () => new HalfProcess(ours(store, stack).name, storeDir, { timeoutMs: TIMEOUT_MS })
  const adder = open()
  let provider: HalfProcess | undefined
  try {
    const hash = await addFile(adder, join(dir, 'large'), mib)
    provider = open()
    const address = await provider.provide(hash)
    const getter = await startNode<{ blobs: Blobs }>(stack, {
      services: { blobs: blobs({ store: new MemoryStore() }) }
    })
    try {
      await getter.dial(multiaddr(address))
      return await askRanges(getter.services.blobs, { ...options, hash, address, storeDir })
    } finally {
      await getter.stop()
    }
  } finally {
    await adder.end()
    await provider?.end()
  }
}

async function addFile(adder: HalfProcess, file: string, mib: number): Promise<string> {
  await makeFile(file, mib)
  const { keys } = await adder.add('blob', file)
  await adder.close()
  await adder.end()
  await rm(file)
  return keys[0]!
}

interface Asking extends FirstByteOptions {
  readonly hash: string
  readonly address: string
  readonly storeDir: string
}

async function askRanges(service: Blobs, asking: Asking): Promise<FirstByteTimes> {
  const { hash, address, storeDir, mib, ranges, pauseMs } = asking
  const times = { first: [] as number[], last: [] as number[], beside: [] as number[] }
  const from = multiaddr(address)
  for (let i = 0; i < WARM_UP + ranges; i++) {
    const offset = randomInt(mib * MIB - RANGE_BYTES)
    const isCounted = i >= WARM_UP
    const ask = async (): Promise<void> => {
      const { first, last } = await askRange(service, { hash: Hash.parse(hash), from, offset })
      if (isCounted) times.first.push(first)
      if (isCounted) times.last.push(last)
    }
    const doBeside = async (): Promise<void> => {
      const start = performance.now()
      await asking.beside!(hash, storeDir, offset, RANGE_BYTES)
      if (isCounted) times.beside.push(performance.now() - start)
    }
    const steps = asking.beside === undefined ? [ask] : i % 2 === 0 ? [ask, doBeside] : [doBeside, ask]
    for (const step of steps) {
      if (pauseMs > 0) await wait(pauseMs)
      await step()
    }
  }
  return times
}

interface Range {
  readonly hash: Hash
  readonly from: Multiaddr
  readonly offset: number
}

/** @returns ms until its first and its last byte */
async function askRange(
  service: Blobs,
  { hash, from, offset }: Range
): Promise<{ first: number; last: number }> {
  const start = performance.now()
  let first: number | undefined
  let bytes = 0
  for await (const piece of service.stream(hash, { from, offset, length: RANGE_BYTES })) {
    first ??= performance.now() - start
    bytes += piece.length
  }
  const last = performance.now() - start
  if (first === undefined || bytes !== RANGE_BYTES) throw new Error(`${bytes} bytes came of ${RANGE_BYTES}`)
  return { first, last }
}
