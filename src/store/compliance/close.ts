/** What closing a store does to all that is open. What a closed store refuses is in `states.ts`. */
import assert from 'node:assert/strict'
import { GROUP_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { assertRejects, opened } from './checks.ts'
import { proven, sample } from './samples.ts'
import type { Suite } from './suite.ts'

export function closeTests({ describe, test }: Suite): void {
  const blob = sample(8 * GROUP_BYTES)
  const { hash, size } = blob

  describe('a closed store', () => {
    test('may be closed again', async store => {
      await store.close()
      await store.close()
    })

    test('has ended its readers', async store => {
      await store.addBytes(blob.data)
      const reader = await opened(store, hash)
      await store.close()
      await assert.rejects(reader.readData(0, new Uint8Array(1)))
      await reader.close()
    })

    test('has ended its writers, which can still be closed', async store => {
      const writer = await store.writer(hash, size)
      const steps = await Array.fromAsync(proven(blob, ChunkRanges.all, { stepBytes: GROUP_BYTES }))
      await writer.write(steps[0]!)
      await store.close()
      await assertRejects(writer.write(steps[1]!), 'ERR_STORE_CLOSED')
      await writer.close()
    })

    test('has ended its observers', async store => {
      const observing = Array.fromAsync(store.observe(hash))
      const ended = assertRejects(observing, 'ERR_STORE_CLOSED')
      await new Promise(resolve => setTimeout(resolve, 10))
      await store.close()
      await ended
    })

    test('has ended what was being added, also from a silent source', async store => {
      const source = async function* () {
        yield sample(2 * RUN_BYTES).data
        await new Promise(() => undefined)
      }
      const ended = assertRejects(store.addStream(source()), 'ERR_STORE_CLOSED')
      await new Promise(resolve => setTimeout(resolve, 10))
      await store.close()
      await ended
    })
  })
}
