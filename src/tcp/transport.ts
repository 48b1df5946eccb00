/** The transport: @libp2p/tcp, with TLS in its upgrader. */
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
import { TlsEncrypter } from './tls-encrypter.ts'
import { TlsUpgrader } from './tls-upgrader.ts'

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
    return await this.#tcp.dial(addr, { ...options, upgrader: this.#upgraderFor(options.upgrader) })
  }

  createListener(options: CreateListenerOptions): Listener {
    return this.#tcp.createListener({ ...options, upgrader: this.#upgraderFor(options.upgrader) })
  }

  /** A node has one upgrader, so one is remembered. */
  #upgraderFor(given: Upgrader): Upgrader {
    // A private network's cipher lies between the socket and TLS.
    if (this.#components.connectionProtector !== undefined) return given
    if (this.#upgrader?.given !== given) {
      const tls = new TlsEncrypter(this.#components.privateKey, () => given.getStreamMuxers())
      this.#upgrader = { given, ours: new TlsUpgrader(given, this.#offersTls ? [tls] : []) }
    }
    return this.#upgrader.ours
  }
}
