/** Helia 7: UnixFS, bitswap over libp2p (TCP, noise, yamux), blocks as files. */
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { load } from '../../peers/load.ts'
import { LISTEN_HERE } from '../stack.ts'
import type { Half, Part } from './contestant.ts'

/** A CID, made by a package that is not seen here. */
interface Cid {
  toString(): string
}

interface HeliaNode {
  readonly libp2p: {
    getMultiaddrs(): readonly object[]
    dial(address: object): Promise<object>
  }
  start(): Promise<unknown>
  stop(): Promise<unknown>
}

interface Entry {
  readonly cid: Cid
}

interface UnixFs {
  addByteStream(bytes: AsyncIterable<Uint8Array>): Promise<Cid>
  addAll(
    source: Iterable<{ path: string; content: AsyncIterable<Uint8Array> }>,
    options: object
  ): AsyncIterable<Entry>
  cat(cid: Cid): AsyncIterable<Uint8Array>
  ls(cid: Cid): AsyncIterable<Entry>
}

type Factory = (options?: object) => object
type Mixin = (helia: object, options?: object) => HeliaNode

/** Files of a folder that are fetched at the same time. */
const AT_ONCE = 64
const NO_BOOTSTRAP = { services: {}, peerDiscovery: [] }

export async function openHelia(dir: string): Promise<Half> {
  const { createHeliaLight } = await load<{ createHeliaLight: Factory }>('helia')
  const { withLibp2pLight } = await load<{ withLibp2pLight: Mixin }>('@helia/libp2p')
  const { withBitswap } = await load<{ withBitswap: Mixin }>('@helia/bitswap')
  const { FsBlockstore } = await load<{ FsBlockstore: new (dir: string) => object }>('blockstore-fs')
  const { tcp } = await load<{ tcp: Factory }>('@libp2p/tcp')
  const { noise } = await load<{ noise: Factory }>('@libp2p/noise')
  const { yamux } = await load<{ yamux: Factory }>('@libp2p/yamux')
  const { identify } = await load<{ identify: Factory }>('@libp2p/identify')
  const { unixfs } = await load<{ unixfs(helia: object): UnixFs }>('@helia/unixfs')
  const { CID } = await load<{ CID: { parse(text: string): Cid } }>('multiformats/cid')
  const { multiaddr } = await load<{ multiaddr(text: string): object }>('@multiformats/multiaddr')
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight({ blockstore: new FsBlockstore(dir) }), {
      ...NO_BOOTSTRAP,
      addresses: LISTEN_HERE,
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify() }
    })
  )
  await helia.start()
  return new HeliaHalf(helia, unixfs(helia), { parseCid: CID.parse, parseAddress: multiaddr })
}

interface Parsers {
  readonly parseCid: (text: string) => Cid
  readonly parseAddress: (text: string) => object
}

class HeliaHalf implements Half {
  readonly #helia: HeliaNode
  readonly #fs: UnixFs
  readonly #parsers: Parsers
  #counted = 0

  constructor(helia: HeliaNode, fs: UnixFs, parsers: Parsers) {
    this.#helia = helia
    this.#fs = fs
    this.#parsers = parsers
  }

  async add(path: string): Promise<string> {
    return (await this.#fs.addByteStream(createReadStream(path))).toString()
  }

  async addFolder(path: string): Promise<string> {
    const files = (await readdir(path)).map(name => ({
      path: name,
      content: createReadStream(join(path, name))
    }))
    let last: Entry | undefined
    for await (const entry of this.#fs.addAll(files, { wrapWithDirectory: true })) last = entry
    return String(last?.cid)
  }

  async addEach(paths: readonly string[]): Promise<string[]> {
    return await Promise.all(paths.map(path => this.add(path)))
  }

  async provide(): Promise<string> {
    return String(this.#helia.libp2p.getMultiaddrs()[0])
  }

  async connect(address: string): Promise<void> {
    await this.#helia.libp2p.dial(this.#parsers.parseAddress(address))
  }

  async get(key: string): Promise<void> {
    this.#counted = 0
    for await (const bytes of this.#fs.cat(this.#parsers.parseCid(key))) this.#counted += bytes.length
  }

  async getFolder(key: string): Promise<void> {
    const entries = this.#fs.ls(this.#parsers.parseCid(key))[Symbol.asyncIterator]()
    this.#counted = 0
    const work = async (): Promise<void> => {
      for (let next = await entries.next(); !next.done; next = await entries.next()) {
        for await (const _ of this.#fs.cat(next.value.cid));
        this.#counted++
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }

  async count(_: Part): Promise<number> {
    return this.#counted
  }

  async close(): Promise<void> {
    await this.#helia.stop()
  }
}
