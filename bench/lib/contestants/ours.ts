/** This project: a store and the blobs service on a libp2p node. */
import type { Libp2p } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { Hash } from '../../../dist/hash.js'
import { type Blobs, blobs } from '../../../dist/libp2p/index.js'
import type { BlobFormat, BlobStore } from '../../../dist/store/index.js'
import { LET_MANY_IN, LISTEN_HERE, type Stack, startNode } from '../stack.ts'
import { openStore, type StoreName } from '../stores.ts'
import type { Half, Part } from './contestant.ts'

export interface OursOptions {
  readonly store: StoreName
  readonly stack: Stack
  /** Whether the sizes of all files are asked for first, as `blobs get` does for its progress. */
  readonly askSizes?: boolean
}

export async function openOurs(dir: string, { store, stack, askSizes = false }: OursOptions): Promise<Half> {
  return new OurHalf(await openStore(store, dir), stack, askSizes)
}

class OurHalf implements Half {
  readonly #store: BlobStore
  readonly #stack: Stack
  readonly #askSizes: boolean
  #node: Libp2p<{ blobs: Blobs }> | undefined
  #from: Multiaddr | undefined

  constructor(store: BlobStore, stack: Stack, askSizes: boolean) {
    this.#store = store
    this.#stack = stack
    this.#askSizes = askSizes
  }

  async add(path: string): Promise<string> {
    return (await this.#store.addPath(path)).hash.toString()
  }

  async addFolder(path: string): Promise<string> {
    // Only who adds loads what adds, as in the command.
    const { importPath } = await import('../../../dist/node/import-path.js')
    return (await importPath(this.#store, path)).hash.toString()
  }

  async addEach(paths: readonly string[]): Promise<string[]> {
    return await Promise.all(paths.map(path => this.add(path)))
  }

  async provide(): Promise<string> {
    this.#node = await startNode(this.#stack, {
      addresses: LISTEN_HERE,
      connectionManager: LET_MANY_IN,
      services: { blobs: blobs({ store: this.#store }) }
    })
    return String(this.#node.getMultiaddrs()[0])
  }

  async connect(address: string): Promise<void> {
    this.#node = await startNode(this.#stack, { services: { blobs: blobs({ store: this.#store }) } })
    this.#from = multiaddr(address)
    await this.#node.dial(this.#from)
  }

  async get(key: string): Promise<void> {
    await this.#fetch(key, 'raw')
  }

  async getFolder(key: string): Promise<void> {
    await this.#fetch(key, 'hash_seq')
  }

  async #fetch(key: string, format: BlobFormat): Promise<void> {
    if (this.#node === undefined || this.#from === undefined) throw new Error('not connected')
    await this.#node.services.blobs.fetch(Hash.parse(key), {
      from: this.#from,
      format,
      askSizes: this.#askSizes
    })
  }

  async count(part: Part, key: string): Promise<number> {
    // The list of hashes and that of names are blobs as well.
    if (part === 'folder') return (await this.#complete()) - 2
    const status = await this.#store.status(Hash.parse(key))
    return status.state === 'complete' ? status.size : 0
  }

  async #complete(): Promise<number> {
    let count = 0
    for await (const { status } of this.#store.list()) if (status.state === 'complete') count++
    return count
  }

  async close(): Promise<void> {
    await this.#node?.stop()
    await this.#store.close()
  }
}
