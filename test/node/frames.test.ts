/** A peer that begins a frame as large as it likes. */
import { yamux } from '@chainsafe/libp2p-yamux'
import type { MultiaddrConnection } from '@libp2p/interface'
import { createLibp2p } from 'libp2p'
import { expect, it } from 'vitest'
import { MAX_STREAM_WINDOW_BYTES } from '../../src/libp2p/yamux-options.ts'
import { createNode } from '../../src/node/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { tcp } from '../../src/tcp/index.ts'

it('is cut off when more of it has come than he may send', async () => {
  const victim = await createNode({ store: new MemoryStore(), listen: ['/ip4/127.0.0.1/tcp/0'] })
  let connection: Pick<MultiaddrConnection, 'send'> | undefined
  const attacker = await createLibp2p({
    transports: [tcp()],
    streamMuxers: [
      () => {
        const factory = yamux()()
        return {
          protocol: factory.protocol,
          createStreamMuxer(secured) {
            connection = secured as MultiaddrConnection
            return factory.createStreamMuxer(secured)
          }
        }
      }
    ]
  })
  try {
    await attacker.dial(victim.libp2p.getMultiaddrs())
    await expect.poll(() => victim.libp2p.getConnections().length).toBe(1)
    // Version 0, data, SYN, stream 1, and the largest length.
    connection!.send(Buffer.from('0000000100000001ffffffff', 'hex'))
    const piece = new Uint8Array(64 * 1024)
    const cutOff = async () => {
      for (let sent = 0; sent < 2 * MAX_STREAM_WINDOW_BYTES; sent += piece.length) {
        connection!.send(piece)
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    await cutOff().catch(() => undefined)
    await expect.poll(() => victim.libp2p.getConnections().length).toBe(0)
  } finally {
    await attacker.stop()
    await victim.stop()
  }
})
