/** What is there again when a persistent store is opened again. */
import assert from 'node:assert/strict'
import { GROUP_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { assertAbsent, assertComplete, assertLists, assertPartial, assertRejects, receive } from './checks.ts'
import { groups, INTERESTING_SIZES, proven, sample, streamOf } from './samples.ts'
import type { Suite } from './suite.ts'
import { assertTag } from './tags.ts'

export function persistenceTests({ describe, test }: Suite): void {
  describe('a store that is opened again', () => {
    test('has its complete blobs, however they came', async (store, reopen) => {
      const blobs = INTERESTING_SIZES.filter(size => size > 0).map((size, i) => sample(size, i))
      for (const [i, blob] of blobs.entries()) {
        if (i % 3 === 0) await store.addBytes(blob.data)
        else if (i % 3 === 1) await store.addStream(streamOf(blob.data))
        else await receive(store, blob, ChunkRanges.all)
      }
      const again = await reopen()
      await assertLists(again, blobs)
      for (const blob of blobs) await assertComplete(again, blob)
    })

    test('has its partial blobs, and goes on with them', async (store, reopen) => {
      const blob = sample(2 * RUN_BYTES + 5 * GROUP_BYTES)
      await receive(store, blob, groups(3, 70))
      let again = await reopen()
      await assertPartial(again, blob, groups(3, 70))
      await assertLists(again, [blob])
      await receive(again, blob, groups(100))
      again = await reopen()
      await assertPartial(again, blob, groups(3, 70).union(groups(100)))
      await receive(again, blob, ChunkRanges.all)
      await assertComplete(again, blob)
      again = await reopen()
      await assertComplete(again, blob)
      await assertLists(again, [blob])
    })

    test('has what writers had written that were still open', async (store, reopen) => {
      const blob = sample(8 * GROUP_BYTES)
      const writer = await store.writer(blob.hash, blob.size)
      for await (const verified of proven(blob, groups(2, 5))) await writer.write(verified)
      await assertPartial(await reopen(), blob, groups(2, 5))
    })

    test('knows which sizes are proven', async (store, reopen) => {
      const blob = sample(6 * GROUP_BYTES)
      await receive(store, blob, groups(5))
      const again = await reopen()
      await assertRejects(again.writer(blob.hash, 7 * GROUP_BYTES), 'ERR_SIZE_MISMATCH')
      await assertPartial(again, blob, groups(5))
    })

    test('has its tags', async (store, reopen) => {
      const { hash } = sample(7)
      await store.tags.set('keep/this 語', { hash, format: 'hash_seq' })
      await store.tags.set('drop', { hash, format: 'raw' })
      await store.tags.delete('drop')
      const again = await reopen()
      assertTag(await again.tags.get('keep/this 語'), { name: 'keep/this 語', hash, format: 'hash_seq' })
      assert.equal((await Array.fromAsync(again.tags.list())).length, 1)
    })

    test('has not what was deleted', async (store, reopen) => {
      const whole = sample(40_000)
      const part = sample(8 * GROUP_BYTES)
      await store.addBytes(whole.data)
      await receive(store, part, groups(1, 4))
      await store.delete(whole.hash)
      await store.delete(part.hash)
      const again = await reopen()
      await assertAbsent(again, whole.hash)
      await assertAbsent(again, part.hash)
      await assertLists(again, [])
    })
  })
}
