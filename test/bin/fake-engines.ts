/**
 * Stands in for `docker`, `podman` and `minio` where the scripts look for them. What is on the PATH only tells this process how
 * it was called, and does as it is told; the server that is "run" is here, and answers as much as the scripts ask.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Sandbox } from './support.ts'

export interface Call {
  readonly name: string
  readonly args: readonly string[]
  /** What was in the environment. */
  readonly user?: string
  readonly password?: string
  /** Of a request to the server that runs. */
  readonly authorization?: string
}

export class FakeEngines {
  readonly calls: Call[] = []
  /** Engines whose service does not run. */
  readonly broken = new Set<string>()
  /** Whether the server says that it cannot answer. */
  isSick = false
  readonly #sandbox: Sandbox
  readonly #control: Server
  #running: Server | undefined

  private constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox
    this.#control = createServer((request, response) => void this.#called(request, response))
  }

  static async start(sandbox: Sandbox): Promise<FakeEngines> {
    const fakes = new FakeEngines(sandbox)
    await listen(fakes.#control, 0)
    return fakes
  }

  /** Puts one on the PATH. */
  async add(name: string): Promise<void> {
    const { port } = this.#control.address() as AddressInfo
    const tell = `tell() {
      printf '%s\\0' "$@" | curl --silent --fail --data-binary @- \\
        --header "user: $MINIO_ROOT_USER" --header "password: $MINIO_ROOT_PASSWORD" http://127.0.0.1:${port}/
    }`
    const stay = `tell minio "$@"\nsleep 600 &\ntrap 'kill $!; tell minio stop; exit' TERM\nwait`
    await this.#sandbox.program(name, `${tell}\n${name === 'minio' ? stay : `tell ${name} "$@"`}`)
  }

  async stop(): Promise<void> {
    await this.#stopServer()
    await close(this.#control)
  }

  async #called(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [name, ...args] = (await textOf(request)).split('\0').slice(0, -1) as [string, ...string[]]
    this.calls.push({ name, args, user: `${request.headers.user}`, password: `${request.headers.password}` })
    response.writeHead(this.broken.has(name) ? 500 : 200).end(await this.#do(args))
  }

  /** @returns what the command prints */
  async #do(args: readonly string[]): Promise<string> {
    const after = (option: string) =>
      Number(/127\.0\.0\.1:(\d+)/.exec(args[args.indexOf(option) + 1] ?? '')?.[1])
    switch (args[0]) {
      case 'container':
        return this.#running === undefined ? '' : 'true\n'
      case 'run':
        await this.#startServer(after('--publish'))
        return 'the container\n'
      case 'server':
        await this.#startServer(after('--address'))
        return ''
      case 'logs':
        return 'last words of the container\n'
      case 'stop':
      case 'rm':
        await this.#stopServer()
        return ''
      default:
        return ''
    }
  }

  async #startServer(port: number): Promise<void> {
    this.#running = createServer((request, response) => {
      const isHealth = request.url === '/minio/health/live'
      const { authorization = '' } = request.headers
      if (!isHealth)
        this.calls.push({ name: 'request', args: [request.method!, request.url!], authorization })
      response.writeHead(isHealth && this.isSick ? 503 : 200).end()
    })
    await listen(this.#running, port)
  }

  async #stopServer(): Promise<void> {
    const server = this.#running
    this.#running = undefined
    if (server !== undefined) await close(server)
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const piece of request) text += piece
  return text
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
