/** A libp2p stream that carries as many bytes and does nothing with them: the yardstick. */
import { stat } from 'node:fs/promises'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { getRaw, serveRaw } from '../raw-protocol.ts'
import { LISTEN_HERE, type Stack, startNode } from '../stack.ts'
import type { Half } from './contestant.ts'

export async function openRaw(stack: Stack): Promise<Half> {
  return new RawHalf(stack)
}

class RawHalf implements Half {
  readonly #stack: Stack
  #connection: Connection | undefined
  #got = 0

  constructor(stack: Stack) {
    this.#stack = stack
  }

  /** The key is the number of bytes. */
  async add(path: string): Promise<string> {
    return String((await stat(path)).size)
  }

  async provide(): Promise<string> {
    const node = await startNode(this.#stack, { addresses: LISTEN_HERE })
    await serveRaw(node)
    return String(node.getMultiaddrs()[0])
  }

  async connect(address: string): Promise<void> {
    const node = await startNode(this.#stack)
    this.#connection = await node.dial(multiaddr(address))
  }

  async get(key: string): Promise<void> {
    if (this.#connection === undefined) throw new Error('not connected')
    this.#got = await getRaw(this.#connection, Number(key))
  }

  async count(): Promise<number> {
    return this.#got
  }

  async close(): Promise<void> {}
}
