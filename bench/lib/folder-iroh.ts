/** What `folder-ours.ts` does, done by iroh. Its package is in `bench/peers`, and installed only by who wants to compare. */
import { createRequire } from 'node:module'
import { costSince, endWithParent } from './child.ts'
import type { Added, Fetched } from './folder-trial.ts'

/** What is used of the package; it is not installed where the types are checked. */
interface IrohPackage {
  readonly Iroh: { persistent(folder: string, options: object): Promise<IrohNode> }
  readonly SetTagOption: { auto(): object }
  readonly BlobDownloadOptions: new (format: string, nodes: readonly NodeAddr[], tag: object) => object
}

interface NodeAddr {
  readonly nodeId: string
  readonly addresses?: readonly string[]
}

type OnProgress<T> = (error: Error | null, progress: T | undefined) => void

interface IrohNode {
  readonly net: { nodeAddr(): Promise<NodeAddr> }
  readonly blobs: {
    addFromPath(
      path: string,
      isInPlace: boolean,
      tag: object,
      wrap: { wrap: boolean },
      onProgress: OnProgress<{ allDone?: { hash: string } }>
    ): Promise<void>
    download(hash: string, options: object, onProgress: OnProgress<{ allDone?: object }>): Promise<void>
    list(): Promise<readonly string[]>
  }
}

const NAME = '@number0/iroh'
// Node tells of a mistake in its package.json each time that it is looked at.
process.noDeprecation = true
const require = createRequire(new URL('../peers/package.json', import.meta.url))

export function isIrohInstalled(): boolean {
  try {
    require.resolve(NAME)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND') return false
    throw error
  }
}

/** Nodes in use: one that nobody refers to is collected as garbage, and ends. */
const nodes: IrohNode[] = []

async function start({ Iroh }: IrohPackage, dir: string): Promise<IrohNode> {
  const node = await Iroh.persistent(dir, { nodeDiscovery: 'None', ipv4Addr: '127.0.0.1:0' })
  nodes.push(node)
  return node
}

/** Runs something that tells of its end by a message. */
async function allDone<T>(begin: (onProgress: OnProgress<{ allDone?: T }>) => Promise<void>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const ended = begin((error, progress) => {
    if (error !== null) reject(error)
    else if (progress?.allDone !== undefined) resolve(progress.allDone)
  })
  await Promise.all([promise, ended])
  return await promise
}

async function provide(iroh: IrohPackage, dir: string, folder: string): Promise<void> {
  const node = await start(iroh, dir)
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const { hash } = await allDone<{ hash: string }>(onProgress =>
    node.blobs.addFromPath(folder, false, iroh.SetTagOption.auto(), { wrap: true }, onProgress)
  )
  const seconds = (performance.now() - begun) / 1000
  const address = JSON.stringify(await node.net.nodeAddr())
  const added: Added = { seconds, cost: costSince(cpu), hash, address }
  process.send?.(added)
}

async function get(iroh: IrohPackage, dir: string, hash: string, address: string): Promise<void> {
  const node = await start(iroh, dir)
  const options = new iroh.BlobDownloadOptions('HashSeq', [JSON.parse(address)], iroh.SetTagOption.auto())
  const cpu = process.cpuUsage()
  const begun = performance.now()
  await allDone(onProgress => node.blobs.download(hash, options, onProgress))
  const seconds = (performance.now() - begun) / 1000
  const cost = costSince(cpu)
  const fetched: Fetched = { seconds, cost, blobs: (await node.blobs.list()).length }
  process.send?.(fetched)
}

if (process.argv[1] === import.meta.filename && process.send !== undefined) {
  const iroh: IrohPackage = require(NAME)
  const [half, ...args] = process.argv.slice(2)
  endWithParent()
  if (half === 'provide') await provide(iroh, args[0]!, args[1]!)
  else await get(iroh, args[0]!, args[1]!, args[2]!)
}
