/** Nodes of several kinds, and peers that do what they want on a bare socket. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { ConnectionGater, Libp2p, MessageStream, PrivateKey } from '@libp2p/interface'
import { tcp as plainTcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { type Blobs, blobs } from '../../src/libp2p/index.ts'
import { noise as ourNoise } from '../../src/noise/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { type TcpInit, tcp } from '../../src/tcp/index.ts'

/** How long a peer may take to be accepted, in ms: longer than any that means well takes, also where the machine stands still. */
const UPGRADE_TIMEOUT_MS = 60_000

/** `ours` is this transport with noise; the others are js-libp2p as others run it. */
export const NODE_KINDS = {
  ours: { transport: tcp, encrypters: [noise] },
  'our noise': { transport: (init?: TcpInit) => tcp({ ...init, tls: false }), encrypters: [ourNoise] },
  'our noise on @libp2p/tcp': { transport: plainTcp, encrypters: [ourNoise] },
  'ours, nothing else': { transport: tcp, encrypters: [] },
  'tls only': { transport: plainTcp, encrypters: [tls] },
  'noise only': { transport: plainTcp, encrypters: [noise] },
  'tls, then noise': { transport: plainTcp, encrypters: [tls, noise] },
  'noise, then tls': { transport: plainTcp, encrypters: [noise, tls] }
}
export type NodeKind = keyof typeof NODE_KINDS

export type TestNode = Libp2p<{ blobs: Blobs }> & { store: MemoryStore } & AsyncDisposable

export interface NodeInit {
  readonly privateKey?: PrivateKey
  readonly connectionGater?: ConnectionGater
  readonly upgradeTimeoutMs?: number
  readonly transport?: TcpInit
  /** Sees each encrypted connection before its muxer does. */
  readonly onSecured?: (connection: MessageStream) => void
}

export async function startNode(
  kind: NodeKind,
  {
    privateKey,
    connectionGater,
    upgradeTimeoutMs = UPGRADE_TIMEOUT_MS,
    transport: init,
    onSecured
  }: NodeInit = {}
): Promise<TestNode> {
  const { transport, encrypters } = NODE_KINDS[kind]
  const store = new MemoryStore()
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [transport(init)],
    connectionEncrypters: encrypters.map(encrypter => encrypter()),
    streamMuxers: [onSecured === undefined ? yamux() : watchedYamux(onSecured)],
    connectionManager: {
      inboundUpgradeTimeout: upgradeTimeoutMs,
      // All come from one address here.
      inboundConnectionThreshold: Number.POSITIVE_INFINITY,
      reconnectRetries: 0
    },
    services: { blobs: blobs({ store }) },
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(connectionGater === undefined ? {} : { connectionGater })
  })
  return Object.assign(node, { store, [Symbol.asyncDispose]: async () => await node.stop() })
}

function watchedYamux(onSecured: (connection: MessageStream) => void): ReturnType<typeof yamux> {
  return () => {
    const factory = yamux()()
    return {
      protocol: factory.protocol,
      createStreamMuxer(connection) {
        onSecured(connection)
        return factory.createStreamMuxer(connection)
      }
    }
  }
}

/** Fetches a blob from one to the other, over whatever connection there is or can be made. */
export async function fetchBlob(getter: TestNode, provider: TestNode, data: Uint8Array): Promise<Uint8Array> {
  const { hash } = await provider.store.addBytes(data)
  await getter.services.blobs.fetch(hash, { from: provider.getMultiaddrs() })
  await using reader = await getter.store.open(hash)
  const bytes = new Uint8Array(reader!.size)
  await reader!.readData(0, bytes)
  return bytes
}

export function portOf(node: Libp2p): number {
  return Number(
    node
      .getMultiaddrs()[0]!
      .getComponents()
      .find(({ name }) => name === 'tcp')!.value
  )
}

/** A bare socket to a node. */
export async function dialRaw(node: Libp2p): Promise<Socket> {
  const socket = connect(portOf(node), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

export interface RawListener extends AsyncDisposable {
  readonly addr: Multiaddr
}

/** Listens, and lets `behave` do with each socket what it wants. */
export async function listenRaw(behave: (socket: Socket) => unknown): Promise<RawListener> {
  const sockets = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    behave(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen on a port')
  return {
    addr: multiaddr(`/ip4/127.0.0.1/tcp/${address.port}`),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    }
  }
}

export const HEADER = message('/multistream/1.0.0')

/** A message of multistream-select. */
export function message(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length + 1]), Buffer.from(`${text}\n`)])
}

/** Reads messages of multistream-select, leaving alone what comes behind them. */
export async function readMessage(socket: Socket): Promise<string> {
  const length = (await readBytes(socket, 1))[0]!
  return (await readBytes(socket, length)).toString().trimEnd()
}

async function readBytes(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = socket.read(count)
    if (bytes !== null && bytes.length === count) return bytes
    if (socket.readableEnded || socket.destroyed) throw new Error('the socket was closed')
    const gone = new AbortController()
    await Promise.race([
      once(socket, 'readable', { signal: gone.signal }),
      once(socket, 'close', { signal: gone.signal })
    ]).finally(() => gone.abort())
  }
}

/** Resolves when the other side, or we, have closed it. */
export async function closed(socket: Socket): Promise<void> {
  socket.resume()
  if (!socket.closed) await new Promise(resolve => socket.once('close', resolve))
}

/** TCP connections of this process, both ends. */
export function openSockets(): number {
  return process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length
}

/** Resolves when `condition` holds; the test's own timeout ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 10))
}
