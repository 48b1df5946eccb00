/** A TCP proxy that can be cut: what a server that is stopped and started again looks like from outside. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { linkSockets } from './linked-sockets.ts'
import { listen } from './listen.ts'

export class Cuttable {
  readonly #target: URL
  readonly #sockets = new Set<Socket>()
  #server: Server
  #port = 0

  private constructor(target: URL) {
    this.#target = target
    this.#server = this.#make()
  }

  static async before(endpoint: string): Promise<Cuttable> {
    const proxy = new Cuttable(new URL(endpoint))
    await proxy.restore()
    return proxy
  }

  /** As in `http://127.0.0.1:1234`. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Resets all connections, and refuses new ones. */
  async cut(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.resetAndDestroy()
    await closed
  }

  async restore(): Promise<void> {
    this.#server = this.#make()
    this.#port = await listen(this.#server, this.#port)
  }

  #make(): Server {
    return createServer(client => {
      const { hostname, port } = this.#target
      const upstream = connect({ host: hostname, port: Number(port) })
      linkSockets(client, upstream, this.#sockets)
      client.pipe(upstream)
      upstream.pipe(client)
    })
  }
}
