/** What a response may read at a time: its share of the memory that all of them have. */
import { afterEach, expect, it } from 'vitest'
import { ENCODE_BATCH_BYTES } from '../../src/bao/encoder.ts'
import { streamReader } from '../../src/libp2p/stream-reader.ts'
import { BLOBS_PROTOCOL } from '../../src/protocol/constants.ts'
import { randomData } from '../helpers/data.ts'
import { createTestNode } from '../helpers/libp2p.ts'
import { addrsOf, MIB, slowedStore, startNode, stopNodes } from './swarm.ts'

afterEach(stopNodes)

it('is not less because of streams that ask for nothing, or are turned away', async () => {
  const reads: number[] = []
  const provider = await startNode({
    wrap: store =>
      slowedStore(store, async bytes => {
        reads.push(bytes)
      })
  })
  const { hash } = await provider.store.addBytes(randomData(2 * MIB))
  const idler = await createTestNode()
  try {
    const connection = await idler.dial(addrsOf(provider))
    const open = async () => {
      const stream = await connection.newStream(BLOBS_PROTOCOL, { maxOutboundStreams: 200 })
      return streamReader(stream).next()
    }
    // Most of them wait for a request, some are told that there are too many.
    let refused = 0
    await connection.newStream(BLOBS_PROTOCOL)
    for (let i = 0; i < 80; i++) {
      open().then(
        () => refused++,
        () => undefined
      )
    }
    await expect.poll(() => refused).toBeGreaterThan(0)
    const getter = await startNode()
    await getter.services.blobs.fetch(hash, { from: addrsOf(provider) })
    expect(Math.max(...reads)).toBe(ENCODE_BATCH_BYTES)
  } finally {
    await idler.stop()
  }
})
