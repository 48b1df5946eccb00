/** Several writers of one blob at once. */
import assert from 'node:assert/strict'
import { GROUP_BYTES, PAIR_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { assertComplete, assertLists, assertPartial, assertStatus, partial, receive } from './checks.ts'
import { groups, proven, sample } from './samples.ts'
import type { Suite } from './suite.ts'

export function writersTests({ describe, test }: Suite): void {
  describe('writers of one blob', () => {
    test('share what they hold', async store => {
      const blob = sample(8 * GROUP_BYTES)
      await using first = await store.writer(blob.hash, blob.size)
      await using second = await store.writer(blob.hash, blob.size)
      for await (const verified of proven(blob, groups(0, 2))) await first.write(verified)
      for await (const verified of proven(blob, groups(5, 7))) await second.write(verified)
      await assertPartial(store, blob, groups(0, 2).union(groups(5, 7)))
      const union = partial(blob, groups(0, 2).union(groups(5, 7)))
      assertStatus(await first.close(), union)
      assertStatus(await second.close(), union)
    })

    test('complete it together, each with a part that overlaps the others', async store => {
      const blob = sample(4 * RUN_BYTES + 5)
      const parts = [groups(0, 150), groups(100, 230), groups(200, 257), groups(50, 120)]
      await Promise.all(
        parts.map((ranges, i) => receive(store, blob, ranges, { stepBytes: 40_000 + 30_000 * i }))
      )
      await assertComplete(store, blob)
      await assertLists(store, [blob])
    })

    for (const parents of [1, 2, 3, 4, 5, 6]) {
      test(`lose no parents that come with groups that are held already (${parents})`, async store => {
        const blob = sample(40 * GROUP_BYTES)
        await receive(store, blob, groups(0, 8))
        // Pieces that end with a group that is held and parents of groups that are not.
        await receive(store, blob, ChunkRanges.all, { stepBytes: GROUP_BYTES + parents * PAIR_BYTES })
        await assertComplete(store, blob)
      })
    }

    test('may all write all of it', async store => {
      const blob = sample(2 * RUN_BYTES + 5)
      const statuses = await Promise.all(
        Array.from({ length: 5 }, (_, i) =>
          receive(store, blob, ChunkRanges.all, { stepBytes: 100_000 + i * 17_000 })
        )
      )
      for (const status of statuses) assertStatus(status, { state: 'complete', size: blob.size })
      await assertComplete(store, blob)
    })

    test('go on when another completes it', async store => {
      const blob = sample(8 * GROUP_BYTES)
      const slow = await store.writer(blob.hash, blob.size)
      const steps = await Array.fromAsync(proven(blob, ChunkRanges.all, { stepBytes: GROUP_BYTES }))
      await slow.write(steps[0]!)
      await receive(store, blob, ChunkRanges.all)
      for (const verified of steps.slice(1)) await slow.write(verified)
      assertStatus(await slow.close(), { state: 'complete', size: blob.size })
      await assertComplete(store, blob)
    })

    test('go on when the blob is added meanwhile', async store => {
      const blob = sample(8 * GROUP_BYTES)
      const slow = await store.writer(blob.hash, blob.size)
      const steps = await Array.fromAsync(proven(blob, ChunkRanges.all, { stepBytes: GROUP_BYTES }))
      await slow.write(steps[0]!)
      await store.addBytes(blob.data)
      for (const verified of steps.slice(1)) await slow.write(verified)
      assertStatus(await slow.close(), { state: 'complete', size: blob.size })
      await assertComplete(store, blob)
    })

    test('of many blobs do not mix them up', async store => {
      const blobs = Array.from({ length: 12 }, (_, i) => sample(RUN_BYTES + i * 5000, i))
      await Promise.all(blobs.map(blob => receive(store, blob, ChunkRanges.all, { stepBytes: 70_000 })))
      await assertLists(store, blobs)
      for (const blob of blobs) await assertComplete(store, blob)
    })

    test('are seen by who reads at the same time', async store => {
      const blob = sample(20 * GROUP_BYTES)
      const writer = await store.writer(blob.hash, blob.size)
      let seen = 0
      for await (const verified of proven(blob, ChunkRanges.all, { stepBytes: GROUP_BYTES })) {
        await writer.write(verified)
        const status = await store.status(blob.hash)
        if (status.state !== 'partial') continue
        await assertPartial(store, blob, status.ranges)
        seen++
      }
      assert.ok(seen > 10)
      await writer.close()
    })
  })
}
