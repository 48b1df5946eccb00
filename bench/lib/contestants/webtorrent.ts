/** webtorrent 3 over TCP. A torrent names pieces by SHA-1; the files stay where they are. */
import { stat } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { load } from '../../peers/load.ts'
import type { Half, Part } from './contestant.ts'

interface Torrent {
  readonly name: string
  addPeer(address: string): boolean
  on(event: 'infoHash' | 'ready' | 'done', listener: () => void): void
  on(event: 'error', listener: (error: Error) => void): void
}

interface Client {
  readonly torrentPort: number
  readonly listening: boolean
  add(torrent: Uint8Array, options: object): Torrent
  once(event: 'listening', listener: () => void): void
  on(event: 'error', listener: (error: Error) => void): void
}

interface WebTorrentPackage {
  readonly default: new (options: object) => Client
}

type CreateTorrent = (
  path: string,
  options: object,
  done: (error: Error | null, torrent: Uint8Array) => void
) => void

/** Peers are given by their addresses, over TCP. */
const OPTIONS = {
  dht: false,
  tracker: false,
  lsd: false,
  utPex: false,
  natUpnp: false,
  natPmp: false,
  utp: false
}

/** What was added. */
interface Key {
  /** The torrent file, in base64. */
  readonly torrent: string
  readonly source: string
}

export async function openWebTorrent(dir: string): Promise<Half> {
  // It is a native module that is not needed over TCP, and only gets its program from the network.
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'webrtc-polyfill'
        ? { url: `data:text/javascript,${encodeURIComponent(NO_WEBRTC)}`, shortCircuit: true }
        : next(specifier, context)
  })
  const { default: WebTorrent } = await load<WebTorrentPackage>('webtorrent')
  return new WebTorrentHalf(new WebTorrent(OPTIONS), dir)
}

const NO_WEBRTC = `export const RTCPeerConnection = undefined
export const RTCSessionDescription = undefined
export const RTCIceCandidate = undefined`

class WebTorrentHalf implements Half {
  readonly #client: Client
  readonly #dir: string
  #from: string | undefined

  constructor(client: Client, dir: string) {
    this.#client = client
    this.#dir = dir
  }

  async add(path: string): Promise<string> {
    const { default: createTorrent } = await load<{ default: CreateTorrent }>('create-torrent')
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    createTorrent(path, { announceList: [] }, (error, torrent) => {
      if (error === null) resolve(torrent)
      else reject(error)
    })
    const key: Key = { torrent: Buffer.from(await promise).toString('base64'), source: path }
    return JSON.stringify(key)
  }

  async provide(key: string): Promise<string> {
    const { torrent, source }: Key = JSON.parse(key)
    await this.#run(torrent, { path: dirname(source), skipVerify: true }, 'ready')
    if (!this.#client.listening) await new Promise<void>(resolve => this.#client.once('listening', resolve))
    return `127.0.0.1:${this.#client.torrentPort}`
  }

  async connect(address: string): Promise<void> {
    this.#from = address
  }

  async get(key: string): Promise<void> {
    const { torrent }: Key = JSON.parse(key)
    await this.#run(torrent, { path: this.#dir }, 'done')
  }

  async #run(torrent: string, options: object, until: 'ready' | 'done'): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#client.on('error', reject)
    const running = this.#client.add(Buffer.from(torrent, 'base64'), options)
    running.on('error', reject)
    running.on(until, resolve)
    const from = this.#from
    if (from !== undefined) running.on('infoHash', () => running.addPeer(from))
    await promise
  }

  async count(_: Part, key: string): Promise<number> {
    const { source }: Key = JSON.parse(key)
    return (await stat(join(this.#dir, basename(source)))).size
  }

  /** What was added is in the key and in the source. */
  async close(): Promise<void> {}
}
