/** The transport: @libp2p/tcp, with TLS in its upgrader. */
import type { OnReadOpts } from 'node:net'
import {
  type Connection,
  type CreateListenerOptions,
  type DialTransportOptions,
  type Listener,
  type MultiaddrFilter,
  serviceCapabilities,
  type Transport,
  transportSymbol,
  type Upgrader
} from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { TcpComponents, TcpInit } from './index.ts'
import { ReusedReads } from './reused-reads.ts'
import { TlsEncrypter } from './tls-encrypter.ts'
import { TlsUpgrader, withEncrypters } from './tls-upgrader.ts'

export class TlsTcp implements Transport {
  readonly [transportSymbol] = true
  readonly [Symbol.toStringTag] = 'libp2p-blobs/tcp'
  readonly [serviceCapabilities] = ['@libp2p/transport']
  readonly #tcp: Transport
  readonly #components: TcpComponents
  readonly #offersTls: boolean
  #upgrader: { readonly given: Upgrader; readonly ours: Upgrader } | undefined

  constructor(components: TcpComponents, { tls = true, ...init }: TcpInit) {
    this.#components = components
    this.#offersTls = tls
    this.#tcp = tcp(init)(components)
  }

  get listenFilter(): MultiaddrFilter {
    return addrs => this.#tcp.listenFilter(addrs)
  }

  get dialFilter(): MultiaddrFilter {
    return addrs => this.#tcp.dialFilter(addrs)
  }

  async dial(addr: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const upgrader = this.#upgraderFor(options.upgrader)
    if (upgrader === undefined) return await this.#tcp.dial(addr, options)
    const reads = new ReusedReads()
    // Goes on to `net.connect`, as all options do. Where it does not, as with Unix sockets, reads are what they always were.
    const withReads: DialTransportOptions & { onread: OnReadOpts } = {
      ...options,
      onread: reads.onread,
      upgrader: new TlsUpgrader(upgrader, reads)
    }
    return await this.#tcp.dial(addr, withReads)
  }

  createListener(options: CreateListenerOptions): Listener {
    const upgrader = this.#upgraderFor(options.upgrader)
    if (upgrader === undefined) return this.#tcp.createListener(options)
    return this.#tcp.createListener({ ...options, upgrader: new TlsUpgrader(upgrader) })
  }

  /** A node has one upgrader, so one is remembered. None in a private network: its cipher lies between the socket and TLS. */
  #upgraderFor(given: Upgrader): Upgrader | undefined {
    if (this.#components.connectionProtector !== undefined) return undefined
    if (this.#upgrader?.given !== given) {
      const tls = new TlsEncrypter(this.#components.privateKey, () => given.getStreamMuxers())
      this.#upgrader = { given, ours: withEncrypters(given, this.#offersTls ? [tls] : []) }
    }
    return this.#upgrader.ours
  }
}
