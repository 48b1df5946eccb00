/**
 * A TCP proxy through which bytes come back slowly once so many have come: so that a transfer is in its middle for as long as a
 * test needs, on however fast a machine, and also where what the test does meanwhile takes long: 10 MB take half a minute.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { linkSockets } from './linked-sockets.ts'

/** From then on: a wait after each read of a socket, which brings 64 KiB. In ms. */
const PAUSE_MS = 200

export class Throttle {
  /** The ports that are passed on to. */
  readonly #targets = new Map<number, number>()
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  #left: number

  /** @param bytes how many come back at once, over all connections */
  constructor(bytes: number) {
    this.#left = bytes
  }

  /** @param addr where a node listens on 127.0.0.1 @returns the same address, by way of this proxy */
  async before(addr: string): Promise<string> {
    const port = /\/tcp\/(\d+)/.exec(addr)?.[1]
    if (port === undefined) throw new Error(`${addr} names no TCP port`)
    const known = this.#targets.get(Number(port))
    return addr.replace(`/tcp/${port}`, `/tcp/${known ?? (await this.#listen(Number(port)))}`)
  }

  /** As if nothing were there, from now on. */
  open(): void {
    this.#left = Number.POSITIVE_INFINITY
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#servers.map(server => once(server, 'close'))
    for (const server of this.#servers) server.close()
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(closed)
  }

  async #listen(target: number): Promise<number> {
    const server = createServer(client => this.#connect(client, target))
    this.#servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    this.#targets.set(target, port)
    return port
  }

  #connect(client: Socket, target: number): void {
    const upstream = connect(target, '127.0.0.1')
    linkSockets(client, upstream, this.#sockets)
    client.pipe(upstream)
    upstream.on('end', () => client.end())
    upstream.on('data', data => {
      this.#left -= data.length
      const hasRoom = client.write(data)
      if (hasRoom && this.#left > 0) return
      upstream.pause()
      if (this.#left <= 0) setTimeout(() => upstream.resume(), PAUSE_MS)
      else client.once('drain', () => upstream.resume())
    })
  }
}
