/** How long programs take to start. Also a program that starts a node. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { createNode } from '../../dist/node/create-node.js'
import { createHome } from '../../dist/node/home.js'
import { endChild, endWithParent, messageFrom, startChild } from './child.ts'

const LISTEN = '/ip4/127.0.0.1/tcp/0'
const PROGRAM = new URL('../../bin/blobs.js', import.meta.url).pathname
const AT_ONCE = 128

/** Makes a home with a store of plain files, or of objects in a folder, and fills it with blobs that are all different. */
export async function fillHome(home: string, type: 'legacy' | 'filesystem', blobs: number): Promise<void> {
  const blobStore = { type, sync: 'none' } as const
  await createHome(home, blobStore)
  const node = await createNode({ home, listen: [], blobStore })
  const { store } = node
  let next = 0
  const work = async (): Promise<void> => {
    while (next < blobs) await store.addBytes(new TextEncoder().encode(`blob ${next++}`))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  await node.stop()
}

/** Runs the command to its end. @returns ms */
export async function timeCommand(home: string, args: readonly string[]): Promise<number> {
  const start = performance.now()
  const child = blobsCommand(home, args)
  child.stdout?.resume()
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`blobs ${args.join(' ')} ended with code ${code}`)
  return performance.now() - start
}

/** Runs `blobs serve` until it tells where it listens. @returns ms */
export async function timeServe(home: string): Promise<number> {
  const start = performance.now()
  const child = blobsCommand(home, ['serve', '--json', '--listen', LISTEN])
  const closed = once(child, 'close')
  let ms: number | undefined
  for await (const line of createInterface({ input: child.stdout! })) {
    if (ms !== undefined || JSON.parse(line).event !== 'listening') continue
    ms = performance.now() - start
    child.kill('SIGINT')
  }
  await closed
  if (ms === undefined) throw new Error('blobs serve told no address')
  return ms
}

/** Starts a process that makes a node. @returns ms: from the start of the process, and those of `createNode` itself */
export async function timeNode(home: string): Promise<{ readonly process: number; readonly node: number }> {
  const start = performance.now()
  const child = startChild(import.meta.filename, [home])
  try {
    const { ms } = await messageFrom<{ ms: number }>(child)
    return { process: performance.now() - start, node: ms }
  } finally {
    await endChild(child)
  }
}

function blobsCommand(home: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, BLOBS_HOME: home }
  })
}

if (import.meta.main) {
  endWithParent()
  const start = performance.now()
  await createNode({ home: process.argv[2], listen: [LISTEN] })
  process.send?.({ ms: performance.now() - start })
}
