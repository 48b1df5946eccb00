/** A node that is ready to serve and to fetch: TCP with TLS or noise, yamux, identify, the blobs service and a store. */
import { resolve } from 'node:path'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { createLibp2p } from 'libp2p'
import type { Hash } from '../hash.ts'
import { boundedFrames } from '../libp2p/bounded-frames.ts'
import { type Blobs, blobs } from '../libp2p/index.ts'
import { promptConsent } from '../libp2p/prompt-consent.ts'
import { YAMUX_OPTIONS } from '../libp2p/yamux-options.ts'
import { noise } from '../noise/index.ts'
import { MAX_TICKET_ADDRS } from '../protocol/constants.ts'
import type { BlobFormat, BlobStore } from '../store/index.ts'
import { tcp } from '../tcp/index.ts'
import { loopbackFirst } from './address-order.ts'
import { type Config, type ConfigInput, parseConfig } from './config.ts'
import type { GarbageReport } from './gc/collect.ts'
import { scheduleGarbageCollection } from './gc/schedule.ts'
import { createHome } from './home.ts'
import { homePath } from './home-path.ts'
import { type IdentityOptions, loadOrCreateIdentity } from './identity.ts'
import { openStore } from './open-store.ts'
import { tagPushed } from './tag-pushed.ts'
import { ticketOf } from './ticket-of.ts'

/** How long stopping waits for peers in ms. What has not ended by then is cut off. */
export const STOP_TIMEOUT_MS = 5_000

export interface NodeOptions extends ConfigInput, IdentityOptions {
  /**
   * The folder of the identity and the store; made when it is not there. Its config file is not read: that is `loadConfig`'s.
   *
   * @default BLOBS_HOME of the environment, else `~/.blobs`; none when a store is given
   */
  readonly home?: string | undefined
  /** A store to use in place of the home's. It is not closed with the node. */
  readonly store?: BlobStore | undefined
  /**
   * The node's key.
   *
   * @default that of the home; a new one when there is no home
   */
  readonly privateKey?: PrivateKey | undefined
  /** Told what was deleted, when `gc.intervalS` has the node collect garbage. Failures are told by `onWarning`. */
  readonly onGarbage?: ((report: GarbageReport) => void) | undefined
}

/** A running node. */
export interface BlobsNode {
  readonly libp2p: Libp2p<{ blobs: Blobs }>
  /** Fetches, and tells what is served. */
  readonly blobs: Blobs
  readonly store: BlobStore
  readonly peerId: string
  /** Where the node can be reached: multiaddrs that end in `/p2p/` and the peer id. */
  readonly addrs: readonly string[]
  /** A ticket for a blob, with this node's addresses. The blob need not be there. */
  ticket(hash: Hash, format: BlobFormat): string
  /** Ends all transfers, and the store if the node opened it; within a few seconds. May be called again. */
  stop(): Promise<void>
}

/**
 * Starts a node.
 *
 * @throws InvalidConfigError, IdentityError, StoreError; NoValidAddressesError and the like of libp2p when it cannot listen
 */
export async function createNode(options: NodeOptions = {}): Promise<BlobsNode> {
  const { home: givenHome, store: givenStore, privateKey: givenKey, onWarning, onGarbage, ...input } = options
  const config = parseConfig(input, 'options')
  const home = givenHome === undefined && givenStore !== undefined ? undefined : homePath(givenHome)
  if (home !== undefined) await createHome(home)
  const privateKey = givenKey ?? (await keyOf(home, config, { onWarning }))
  const store = givenStore ?? (await openStore(config, homePath(givenHome), { onWarning }))
  const closeStore = async (): Promise<void> => {
    if (givenStore === undefined) await store.close()
  }
  try {
    const libp2p = await startLibp2p(config, privateKey, store)
    libp2p.services.blobs.addEventListener('misbehaved', ({ detail: { peer, hash, error } }) =>
      onWarning?.(`${peer} sent wrong bytes, which were not kept, of blob ${hash}: ${error.message}`)
    )
    const stopCollecting = collecting(store, config, { onWarning, onGarbage })
    return new RunningNode(libp2p, store, async () => {
      await stopCollecting()
      await closeStore()
    })
  } catch (error) {
    await closeStore()
    throw error
  }
}

async function keyOf(
  home: string | undefined,
  { identity }: Config,
  options: IdentityOptions
): Promise<PrivateKey> {
  if (home === undefined) return await generateKeyPair('Ed25519')
  return await loadOrCreateIdentity(resolve(home, identity), options)
}

/** @returns ends it */
function collecting(
  store: BlobStore,
  { gc }: Config,
  { onWarning, onGarbage }: Pick<NodeOptions, 'onWarning' | 'onGarbage'>
): () => Promise<void> {
  if (gc.intervalS === 0) return async () => undefined
  return scheduleGarbageCollection(store, {
    intervalMs: gc.intervalS * 1000,
    partialAgeMs: gc.partialDays * 24 * 60 * 60 * 1000,
    onCollected: onGarbage,
    onFailed: error =>
      onWarning?.(`garbage was not collected: ${error instanceof Error ? error.message : String(error)}`)
  })
}

async function startLibp2p(
  { listen, announce, limits, push }: Config,
  privateKey: PrivateKey,
  store: BlobStore
): Promise<Libp2p<{ blobs: Blobs }>> {
  return await createLibp2p({
    privateKey,
    addresses: { listen, announce },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [promptConsent(boundedFrames(yamux(YAMUX_OPTIONS)))],
    connectionManager: {
      addressSorter: loopbackFirst,
      // A ticket's addresses all count.
      maxPeerAddrsToDial: MAX_TICKET_ADDRS,
      dialTimeout: limits.dialTimeoutMs
    },
    // It pings all peers in one turn of the event loop, which takes 25 ms for 200 of them, and only to end connections: on a slow link just
    // those in use, where a ping waits behind megabytes of blobs. Streams have idle timeouts of their own, and where nothing is sent or
    // received for two minutes the transport ends the connection, which those pings kept it from doing.
    connectionMonitor: { enabled: false },
    services: {
      identify: identify(),
      blobs: blobs({
        store,
        limits,
        acceptPush: push.authorize,
        onPushed: pushed => tagPushed(store, pushed)
      })
    }
  })
}

class RunningNode implements BlobsNode {
  readonly libp2p: Libp2p<{ blobs: Blobs }>
  readonly store: BlobStore
  readonly #end: () => Promise<void>
  #stopped: Promise<void> | undefined

  /** @param end what is to be done when libp2p has stopped */
  constructor(libp2p: Libp2p<{ blobs: Blobs }>, store: BlobStore, end: () => Promise<void>) {
    this.libp2p = libp2p
    this.store = store
    this.#end = end
  }

  get blobs(): Blobs {
    return this.libp2p.services.blobs
  }

  get peerId(): string {
    return this.libp2p.peerId.toString()
  }

  get addrs(): readonly string[] {
    return this.libp2p.getMultiaddrs().map(String)
  }

  ticket(hash: Hash, format: BlobFormat): string {
    return ticketOf(hash, format, this.peerId, this.addrs)
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    try {
      await within(STOP_TIMEOUT_MS, Promise.resolve(this.libp2p.stop()))
    } finally {
      await within(STOP_TIMEOUT_MS, this.#end())
    }
  }
}

/** Waits for `ending`, but not longer. */
async function within(ms: number, ending: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, ms)
  })
  try {
    await Promise.race([ending, late])
  } finally {
    clearTimeout(timer)
  }
}
