/** Real libp2p nodes on this machine: TCP, noise, yamux. */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Connection, Libp2p, ServiceMap, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type ServiceFactoryMap } from 'libp2p'
import { YAMUX_OPTIONS } from '../../src/libp2p/yamux-options.ts'

/** `ours`: as our own node configures yamux; `default`: somebody else's node, which configures nothing. */
export type MuxerOptions = 'ours' | 'default'

export const MUXER_OPTIONS: readonly MuxerOptions[] = ['ours', 'default']

export interface TestNodeOptions<T extends ServiceMap> {
  /** @default 'ours' */
  readonly muxer?: MuxerOptions
  readonly services?: ServiceFactoryMap<T>
}

/** A started node that listens on a free port of 127.0.0.1. Who made it stops it. */
export async function createTestNode<T extends ServiceMap = ServiceMap>(
  options: TestNodeOptions<T> = {}
): Promise<Libp2p<T>> {
  return await createLibp2p<T>({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(options.muxer === 'default' ? {} : YAMUX_OPTIONS)],
    ...(options.services === undefined ? {} : { services: options.services })
  })
}

/** Two nodes and a connection between them. */
export interface TestPair {
  readonly dialer: Libp2p
  readonly listener: Libp2p
  readonly connection: Connection
  /** The same connection as the listener sees it. */
  listenerConnection(): Connection
  /** A new stream, both ends: `[the dialer's, the listener's]`. */
  openStream(): Promise<[dialer: Stream, listener: Stream]>
  stop(): Promise<void>
}

const TEST_PROTOCOL = '/test/stream/1'

export async function createTestPair(muxer: MuxerOptions): Promise<TestPair> {
  const [dialer, listener] = await Promise.all([createTestNode({ muxer }), createTestNode({ muxer })])
  const accepted: ((stream: Stream) => void)[] = []
  await listener.handle(TEST_PROTOCOL, stream => accepted.shift()?.(stream))
  const connection = await dialer.dial(listener.getMultiaddrs())
  return {
    dialer,
    listener,
    connection,
    listenerConnection() {
      const [found] = listener.getConnections(dialer.peerId)
      if (found === undefined) throw new Error('the listener has no connection to the dialer')
      return found
    },
    async openStream() {
      const remote = new Promise<Stream>(resolve => accepted.push(resolve))
      const local = await connection.newStream(TEST_PROTOCOL)
      return [local, await remote]
    },
    async stop() {
      await Promise.all([dialer.stop(), listener.stop()])
    }
  }
}
