/** iroh-blobs 0.35, written in Rust, through its package for Node. */
import { load } from '../../peers/load.ts'
import type { Half, Part } from './contestant.ts'

interface IrohPackage {
  readonly Iroh: {
    persistent(folder: string, options: object): Promise<IrohNode>
    memory(options: object): Promise<IrohNode>
  }
  readonly SetTagOption: { auto(): object }
  readonly BlobDownloadOptions: new (format: string, nodes: readonly object[], tag: object) => object
}

type OnProgress<T> = (error: Error | null, progress: T | undefined) => void

interface IrohNode {
  readonly net: { nodeAddr(): Promise<object> }
  readonly node: { shutdown(): Promise<void> }
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
    size(hash: string): Promise<bigint>
  }
}

const NAME = '@number0/iroh'
const OPTIONS = { nodeDiscovery: 'None', ipv4Addr: '127.0.0.1:0' }

export async function openIroh(dir: string, isKept: boolean): Promise<Half> {
  // Node tells of a mistake in the package's package.json.
  process.noDeprecation = true
  const iroh = await load<IrohPackage>(NAME)
  const node = await (isKept ? iroh.Iroh.persistent(dir, OPTIONS) : iroh.Iroh.memory(OPTIONS))
  nodes.push(node)
  return new IrohHalf(iroh, node)
}

/** Nodes in use: one that nobody refers to is collected as garbage, and ends. */
const nodes: IrohNode[] = []

class IrohHalf implements Half {
  readonly #iroh: IrohPackage
  readonly #node: IrohNode
  #from: object | undefined

  constructor(iroh: IrohPackage, node: IrohNode) {
    this.#iroh = iroh
    this.#node = node
  }

  async add(path: string): Promise<string> {
    return await this.#add(path, false)
  }

  async addFolder(path: string): Promise<string> {
    return await this.#add(path, true)
  }

  async addEach(paths: readonly string[]): Promise<string[]> {
    return await Promise.all(paths.map(path => this.add(path)))
  }

  async #add(path: string, wrap: boolean): Promise<string> {
    const { hash } = await allDone<{ hash: string }>(onProgress =>
      this.#node.blobs.addFromPath(path, false, this.#iroh.SetTagOption.auto(), { wrap }, onProgress)
    )
    return hash
  }

  async provide(): Promise<string> {
    return JSON.stringify(await this.#node.net.nodeAddr())
  }

  async connect(address: string): Promise<void> {
    this.#from = JSON.parse(address)
  }

  async get(key: string): Promise<void> {
    await this.#download(key, 'Raw')
  }

  async getFolder(key: string): Promise<void> {
    await this.#download(key, 'HashSeq')
  }

  async count(part: Part, key: string): Promise<number> {
    // The list of hashes and that of names are blobs as well.
    if (part === 'folder') return (await this.#node.blobs.list()).length - 2
    return Number(await this.#node.blobs.size(key))
  }

  async #download(key: string, format: string): Promise<void> {
    if (this.#from === undefined) throw new Error('not connected')
    const { BlobDownloadOptions, SetTagOption } = this.#iroh
    const options = new BlobDownloadOptions(format, [this.#from], SetTagOption.auto())
    await allDone(onProgress => this.#node.blobs.download(key, options, onProgress))
  }

  async close(): Promise<void> {
    await this.#node.node.shutdown()
  }
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
