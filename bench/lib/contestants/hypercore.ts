/** hypercore 11 with hyperblobs 2, over its own encrypted stream on TCP. */
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { load } from '../../peers/load.ts'
import type { Half, Part } from './contestant.ts'

/** Where a blob is in the log. */
interface Place {
  readonly blockOffset: number
  readonly blockLength: number
  readonly byteLength: number
}

interface Core {
  readonly key: Uint8Array
  ready(): Promise<void>
  replicate(stream: object): void
  download(range: { start: number; end: number }): { done(): Promise<void> }
  get(index: number): Promise<Uint8Array>
  count(start: number, end: number): Promise<number>
  close(): Promise<void>
}

interface Hyperblobs {
  createWriteStream(): NodeJS.WritableStream & { readonly id: Place }
  batch(): { put(bytes: Uint8Array): Promise<Place>; flush(): Promise<void> }
}

interface Packages {
  readonly Hypercore: new (dir: string, key?: Uint8Array) => Core
  readonly Hyperblobs: new (core: Core, options: { blockSize: number }) => Hyperblobs
  readonly SecretStream: new (isInitiator: boolean, socket: object) => object
}

/** What was added: blocks of a log. A folder's files, a block each, follow one another. */
interface Key {
  readonly core: string
  readonly start: number
  readonly end: number
  readonly bytes: number
}

const BLOCK_BYTES = 1024 * 1024
/** Files that are added in one go. */
const BATCH = 256

export async function openHypercore(dir: string): Promise<Half> {
  const [core, blobs, stream] = await Promise.all(
    ['hypercore', 'hyperblobs', '@hyperswarm/secret-stream'].map(name => load<{ default: never }>(name))
  )
  return new HypercoreHalf(
    { Hypercore: core!.default, Hyperblobs: blobs!.default, SecretStream: stream!.default },
    dir
  )
}

class HypercoreHalf implements Half {
  readonly #packages: Packages
  readonly #dir: string
  #core: Core | undefined
  #from: AddressInfo | undefined

  constructor(packages: Packages, dir: string) {
    this.#packages = packages
    this.#dir = dir
  }

  /** @param key of somebody else's log, in hex */
  async #open(key?: string): Promise<Core> {
    if (this.#core !== undefined) return this.#core
    this.#core = new this.#packages.Hypercore(
      this.#dir,
      key === undefined ? undefined : Buffer.from(key, 'hex')
    )
    await this.#core.ready()
    return this.#core
  }

  async add(path: string): Promise<string> {
    const core = await this.#open()
    const into = new this.#packages.Hyperblobs(core, { blockSize: BLOCK_BYTES }).createWriteStream()
    const written = new Promise<void>((resolve, reject) => {
      into.once('close', resolve)
      into.once('error', reject)
    })
    createReadStream(path, { highWaterMark: BLOCK_BYTES }).pipe(into)
    await written
    return keyOf(core, [into.id])
  }

  async addFolder(path: string): Promise<string> {
    const names = (await readdir(path)).sort()
    return keyOf(await this.#open(), await this.#addAll(names.map(name => join(path, name))))
  }

  async addEach(paths: readonly string[]): Promise<string[]> {
    const core = await this.#open()
    return (await this.#addAll(paths)).map(place => keyOf(core, [place]))
  }

  async #addAll(paths: readonly string[]): Promise<Place[]> {
    const blobs = new this.#packages.Hyperblobs(await this.#open(), { blockSize: BLOCK_BYTES })
    const places: Place[] = []
    for (let at = 0; at < paths.length; at += BATCH) {
      const contents = await Promise.all(paths.slice(at, at + BATCH).map(path => readFile(path)))
      const batch = blobs.batch()
      for (const content of contents) places.push(await batch.put(content))
      await batch.flush()
    }
    return places
  }

  async provide(): Promise<string> {
    const core = await this.#open()
    const server = createServer(socket => core.replicate(new this.#packages.SecretStream(false, socket)))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return JSON.stringify(server.address())
  }

  async connect(address: string): Promise<void> {
    this.#from = JSON.parse(address)
  }

  /** Blocks are stored as they are proven. */
  async get(key: string): Promise<void> {
    const { start, end }: Key = JSON.parse(key)
    const core = await this.#replicating(key)
    if (end - start === 1) await core.get(start)
    else await core.download({ start, end }).done()
  }

  async getFolder(key: string): Promise<void> {
    await this.get(key)
  }

  /** The log can only be opened when it is known what it is called. */
  async #replicating(key: string): Promise<Core> {
    if (this.#core !== undefined || this.#from === undefined) return await this.#open()
    const core = await this.#open((JSON.parse(key) as Key).core)
    core.replicate(new this.#packages.SecretStream(true, connect(this.#from.port, this.#from.address)))
    return core
  }

  async count(part: Part, key: string): Promise<number> {
    const { start, end, bytes }: Key = JSON.parse(key)
    const blocks = (await this.#core?.count(start, end)) ?? 0
    if (part === 'folder') return blocks
    return blocks === end - start ? bytes : 0
  }

  async close(): Promise<void> {
    await this.#core?.close()
  }
}

function keyOf(core: Core, places: readonly Place[]): string {
  const last = places.at(-1)!
  const key: Key = {
    core: Buffer.from(core.key).toString('hex'),
    start: places[0]!.blockOffset,
    end: last.blockOffset + last.blockLength,
    bytes: places.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }
  return JSON.stringify(key)
}
