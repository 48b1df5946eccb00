/** Observing. */
import assert from 'node:assert/strict'
import { GROUP_BYTES } from '../../bao/constants.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { BlobStatus } from '../index.ts'
import { assertStatus, partial, receive } from './checks.ts'
import { groups, sample } from './samples.ts'
import type { Suite } from './suite.ts'

export function observeTests({ describe, test }: Suite): void {
  describe('observe', () => {
    test('tells the status now, then each change', async store => {
      const blob = sample(8 * GROUP_BYTES)
      const statuses = store.observe(blob.hash)[Symbol.asyncIterator]()
      const next = async (): Promise<BlobStatus> => (await statuses.next()).value
      assertStatus(await next(), { state: 'absent' })
      await receive(store, blob, groups(2, 4))
      assertStatus(await next(), partial(blob, groups(2, 4)))
      const following = next()
      await receive(store, blob, groups(5))
      assertStatus(await following, partial(blob, groups(2, 4).union(groups(5))))
      await receive(store, blob, ChunkRanges.all)
      assertStatus(await next(), { state: 'complete', size: blob.size })
      await store.delete(blob.hash)
      assertStatus(await next(), { state: 'absent' })
      await store.addBytes(blob.data)
      assertStatus(await next(), { state: 'complete', size: blob.size })
      await statuses.return?.()
    })

    test('reports what changed meanwhile as one', async store => {
      const blob = sample(8 * GROUP_BYTES)
      const statuses = store.observe(blob.hash)[Symbol.asyncIterator]()
      await statuses.next()
      for (let group = 0; group < 6; group++) await receive(store, blob, groups(group))
      const { value } = await statuses.next()
      assertStatus(value, partial(blob, groups(0, 6)))
      await statuses.return?.()
    })

    test('ends without an error when the signal aborts', async store => {
      const blob = sample(100)
      const stop = new AbortController()
      const seen: BlobStatus[] = []
      for await (const status of store.observe(blob.hash, { signal: stop.signal })) {
        seen.push(status)
        setTimeout(() => stop.abort(), 20)
      }
      assert.equal(seen.length, 1)
      for await (const _status of store.observe(blob.hash, { signal: stop.signal }))
        assert.fail('told something')
    })

    test('may be done by many', async store => {
      const blob = sample(30_000)
      const observers = Array.from({ length: 10 }, async () => {
        for await (const status of store.observe(blob.hash)) {
          if (status.state === 'complete') return status.size
        }
        return undefined
      })
      await store.addBytes(blob.data)
      assert.deepEqual(await Promise.all(observers), Array(10).fill(blob.size))
    })
  })
}
